"""What the evaluation measures, on networks that were never trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gan_core.evaluation.hfgi import evaluate as scoring
from gan_core.evaluation.hfgi.evaluate import changes, evaluate, outside_face, photo_changes
from gan_core.evaluation.hfgi.probes import UNITS, FeatureRegression, greyness, head_probe, light_hair, simple_probes
from gan_core.faces.head import HeadNet
from gan_core.hfgi.pipeline import HFGIPipeline
from gan_core.stylegan2 import Discriminator
from tests.gan_core.hfgi.test_pipeline import SIZE, W, attributes, networks
from weights.catalogue import FOLDER


class Middle(HeadNet):
    """A head in the middle half of the picture, whatever it shows."""

    def masks(self, images: torch.Tensor) -> torch.Tensor:
        side = images.shape[-1]
        mask = torch.zeros(len(images), 2, side, side)
        mask[..., side // 4 : side * 3 // 4, side // 4 : side * 3 // 4] = 1
        return mask


def test_where_a_change_counts() -> None:
    before = torch.zeros(1, 3, 256, 256)
    face, outline, corner = before.clone(), before.clone(), before.clone()
    face[:, :, 100:150, 100:150] = 1
    outline[:, :, 100:110, 194:204] = 1  # beside the head
    corner[:, :, :20, :20] = 1
    head = Middle((8, 8))
    assert changes(before, face, head) == {"outside": 0, "backdrop": 0, "outline": 0}
    got = changes(before, outline, head)
    assert got["outline"] > got["backdrop"] > 0 and got["outside"] > 0
    got = changes(before, corner, head)
    assert got["outline"] == 0 and got["backdrop"] == pytest.approx(0.5 * 400 / (256**2 - 136**2), rel=0.05)
    assert changes(before, corner, None).keys() == {"outside"}
    assert 0.3 < 1 - outside_face(64).mean() < 0.5


def test_all_sliders_are_scored() -> None:
    pipe = HFGIPipeline(**networks(), latent_avg=torch.zeros(12, W), attributes=attributes(), head=Middle((8, 8)))
    faces = torch.rand(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(2)) * 2 - 1
    seen: list[int] = []

    def probe(images: torch.Tensor) -> np.ndarray:
        seen.append(len(images))
        return images.mean((1, 2, 3)).numpy() * (1 if len(seen) % 2 else -1)

    numbers, rows = evaluate(pipe, faces, {"smile": probe}, head=Middle((8, 8)))
    assert rows.shape == (2 * (3 + 4), 3, SIZE, SIZE) and seen == [2, 2]
    assert 0 <= numbers["smile_moves_right"] <= 1 and "age_moves_right" not in numbers
    for name in ("smile", "age"):
        assert {f"{name}_changes_{where}" for where in ("outside", "backdrop", "outline")} <= numbers.keys()
    assert numbers["ratio"] == pytest.approx(numbers["mse_consulted"] / numbers["mse_plain"])


def test_whole_photos(monkeypatch: pytest.MonkeyPatch) -> None:
    from gan_core.faces import face_from_points

    face = face_from_points((160, 160), (240, 160), (200, 250))
    monkeypatch.setattr(scoring, "find_faces", lambda photo: [face])
    pipe = HFGIPipeline(**networks(), latent_avg=torch.zeros(12, W), attributes=attributes())
    picture = np.random.RandomState(0).randint(0, 255, (400, 400, 3), dtype=np.uint8)
    got = photo_changes(pipe, Image.fromarray(picture), ["smile", "age"])
    assert got.keys() == {"smile_changes_photo", "age_changes_photo"} and all(0 < v < 0.5 for v in got.values())


def test_probes(tmp_path: Path) -> None:
    grey = torch.rand(2, 1, 64, 64).expand(-1, 3, -1, -1) * 2 - 1
    assert (greyness(grey) > greyness(torch.rand(2, 3, 64, 64) * 2 - 1)).all() and greyness(grey) == pytest.approx(1)
    assert (light_hair(grey * 0 + 0.8) > light_hair(grey * 0 - 0.8)).all()
    assert head_probe(Middle((8, 8)), "hair_length")(grey) == pytest.approx(18 / 64**2)
    probes = simple_probes(FOLDER / "finder" / "finder.safetensors", Middle((8, 8)))
    assert {"smile", "pose", "hair", "grey", "hair_length"} <= probes.keys() <= UNITS.keys()
    assert np.isfinite(probes["pose"](torch.rand(1, 3, 256, 256) * 2 - 1)).all()
    torch.manual_seed(0)
    values = torch.linspace(-0.9, 0.9, 40)
    images = values[:, None, None, None] + 0.1 * torch.randn(40, 3, 32, 32)
    learned = FeatureRegression(Discriminator(32, channel_base=256, channel_max=16)).fit(
        images[::2], values[::2].numpy()
    )
    assert np.corrcoef(learned(images[1::2]), values[1::2])[0, 1] > 0.9
