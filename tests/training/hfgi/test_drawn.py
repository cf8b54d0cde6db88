"""Sliders for glasses, a beard and red lips: what they are measured by, a planted direction, and the command."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from gan_core.checkpoints import store
from gan_core.errors import BadValue
from gan_core.hfgi.models import Slider
from gan_core.hfgi.pipeline import load_attributes
from gan_core.stylegan2 import Generator
from gan_core.training.hfgi import drawn
from gan_core.training.hfgi.drawn import DrawnTarget, find_direction, first_look
from gan_core.training.hfgi.measures import colour_measures
from gan_core.training.hfgi.readers import FaceFeatures, Readers, extremes
from tests.training.test_projected import random_features
from weights import catalogue


def test_measures_tell_lips_shade_and_skin_apart() -> None:
    plain = torch.tensor([0.4, 0.0, -0.1])[None, :, None, None].expand(1, 3, 256, 256).contiguous()
    lipstick, bearded, sunburnt = plain.clone(), plain.clone(), plain.clone()
    lipstick[:, 1:, 176:200, 112:144] -= 0.4
    bearded[:, :, 167:230, 75:180] -= 0.5
    sunburnt[:, 0] += 0.3
    before, *after = (colour_measures(x) for x in (plain, lipstick, bearded, sunburnt))
    moved = [{name: (one[name] - before[name]).item() for name in one} for one in after]
    assert moved[0]["lips"] > 0.3 and all(abs(moved[0][name]) < 0.05 for name in ("shade", "red", "blue"))
    assert moved[1]["shade"] > 0.3 and abs(moved[1]["red"]) < 0.05
    assert moved[2]["red"] > 0.1 and abs(moved[2]["lips"]) < 0.01 and abs(moved[2]["shade"]) < 0.01
    assert before["lips"].abs() < 1e-5 and before["shade"].abs() < 1e-5


def test_readers_find_what_was_labelled() -> None:
    draw = np.random.RandomState(0)
    features = draw.randn(400, 6) * [1, 5, 1, 1, 0.2, 1] + 3
    glasses = (features[:, 1] > 5).astype(float)
    glasses[::5] = np.nan
    readers = Readers()
    readers.fit("glasses", features, glasses, yes_or_no=True)
    readers.fit("age", features, 40 + 10 * (features[:, 2] - 3), yes_or_no=False)
    found = {name: value.numpy() for name, value in readers(torch.from_numpy(features).float()).items()}
    known = np.isfinite(glasses)
    assert ((found["glasses"] > 0) == (glasses == 1))[known].mean() > 0.9
    assert np.corrcoef(found["age"], features[:, 2])[0, 1] > 0.99 and abs(found["age"].mean() - 40) < 2
    labels = extremes(np.arange(100.0), np.arange(100) < 50)
    assert np.flatnonzero(labels == 1).tolist() == [46, 47, 48, 49] and (labels == 0).sum() == 30
    assert np.isnan(labels[50:]).all()


def test_features_are_differentiable_and_look_at_the_eyes() -> None:
    torch.manual_seed(0)
    features = FaceFeatures(random_features())
    face = torch.rand(1, 3, 256, 256).requires_grad_()
    got = features(face)
    (gradient,) = torch.autograd.grad(got.square().sum(), face)
    assert got.shape[0] == 1 and gradient[:, :, 100:150, 80:180].abs().sum() > 0
    stored = features.of_pictures(torch.randint(0, 255, (2, 3, 256, 256), dtype=torch.uint8))
    assert stored.shape == (2, got.shape[1]) and np.isfinite(stored).all()


@pytest.fixture
def generator() -> Generator:
    torch.manual_seed(0)
    made = Generator(64, z_dim=8, w_dim=8, mapping_layers=1, channel_base=256, channel_max=8)
    return made.eval().requires_grad_(False)


READINGS = ("glasses", "gender", "age", "beard")


def planted(images: Tensor) -> dict[str, Tensor]:
    """Brightness of the upper half, and of the left one."""
    return {"upper": images[:, :, :32].mean((1, 2, 3)), "left": images[..., :32].mean((1, 2, 3))}


def test_a_direction_moves_its_measure_and_leaves_the_other(generator: Generator) -> None:
    w = generator.mapping(torch.randn(64, 8))
    readings = {"gender": np.linspace(-4, 4, 64), "glasses": np.full(64, -2.0)}
    look = first_look(generator, w, readings, planted, 12, men=False)
    assert look[0].shape == (12, generator.num_ws, 8)
    target = DrawnTarget(Slider("upper", "Upper"), "upper", ("left",), (0, 13), 0.1, ahead=0.01)
    direction = find_direction(generator, w, target, planted, look)
    assert (direction / w.std(0)).norm(dim=1).max() == pytest.approx(0.1, rel=1e-4)
    before, after = (planted(generator.synthesis(x, noise="const")) for x in (look[0], look[0] + 0.3 * direction))
    moved = {name: (after[name] - before[name]).mean().item() for name in before}
    assert moved["upper"] > 3 * abs(moved["left"]) and moved["upper"] > 0
    with pytest.raises(BadValue, match="draw more --faces"):
        first_look(generator, w, {**readings, "glasses": np.ones(64)}, planted, 12, men=True)


class Colours(nn.Module):
    """In place of the ImageNet features: mean colours."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()

    def forward(self, images: Tensor) -> Tensor:
        return images.mean((2, 3))

    def of_pictures(self, pictures: Tensor) -> np.ndarray:
        return self(pictures.double() / 127.5 - 1).numpy()


def test_the_command_keeps_the_sliders_there_are(
    tmp_path: Path, generator: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.save(tmp_path / "generator.safetensors", generator.state_dict(), config=generator.config)
    draw = np.random.RandomState(0)
    folder = tmp_path / "varied"
    folder.mkdir()
    rows = ["id,sex,age,glasses"]
    for i in range(60):  # the more red the older, green for women, blue with glasses
        age, woman, glasses = 20 + i, i % 2, i % 3 == 0
        colour = np.array([4 * i, 200 * woman + 20, 200 * glasses + 20])
        picture = np.clip(colour + draw.randint(-20, 20, (64, 64, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(picture).save(folder / f"v_{i}.png")
        rows.append(f"v_{i},{('male', 'female')[woman]},{age},{int(glasses)}")
    (tmp_path / "people.csv").write_text("\n".join(rows))
    smile = {"name": "smile", "label": "Smile", "low": -3.0, "high": 3.0, "kind": "hyperplane", "note": ""}
    old = tmp_path / "old.safetensors"
    store.save(old, {"smile": torch.ones(10, 8)}, config={"attributes": [smile], "_report": {}})
    monkeypatch.setattr(drawn, "FaceFeatures", Colours)
    monkeypatch.setattr(drawn, "load", nn.Identity)
    first = drawn.first_look
    sure = {"gender": np.array([-2.0, 2.0] * 12), "glasses": np.full(24, -1.0)}
    monkeypatch.setattr(drawn, "first_look", lambda g, w, readings, *rest, **men: first(g, w, sure, *rest, **men))
    words = f"--generator {tmp_path}/generator.safetensors --collection {folder} {tmp_path}/people.csv --faces 24"
    words += f" --finder {catalogue.FOLDER}/finder/finder.safetensors --people 2 --directions {old}"
    drawn.main([*words.split(), "--out", str(tmp_path / "new.safetensors")])
    found = load_attributes(tmp_path / "new.safetensors")
    assert list(found) == ["smile", "glasses", "beard", "lips"] and (found["smile"].direction == 1).all()
    assert found["glasses"].low == 0 and found["glasses"].region == "eyes" and found["lips"].region == "mouth"
    drawn.main([*words.split(), "--only", "lips", "--out", str(tmp_path / "lips.safetensors")])
    assert list(load_attributes(tmp_path / "lips.safetensors")) == ["smile", "lips"]
    for name in ("glasses", "beard", "lips"):
        assert found[name].direction.shape == (10, 8) and found[name].direction.isfinite().all()
        assert found[name].direction.abs().max() > 0
