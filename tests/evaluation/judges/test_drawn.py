"""An editor's pictures and numbers, on the embedded weights, with stub judges."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from gan_core.evaluation.judges.judge import to_bytes
from gan_core.evaluation.judges.pictures import draw
from gan_core.evaluation.judges.scores import score
from gan_core.hfgi.pipeline import HFGIPipeline, load_embedded
from gan_core.training.hfgi.measures import FinderMeasures
from weights.catalogue import FOLDER


class Looks:
    """Identity: what a picture looks like from afar."""

    name = "looks"

    def describe(self, images: Tensor) -> Tensor:
        return torch.nn.functional.adaptive_avg_pool2d(images.float() / 255, 8).flatten(1)


class Finder:
    """The project's own landmarks in the place of a face mesh."""

    name = "finder"
    measures: tuple[str, ...] = ("yaw_deg", "corner_lift")

    def __init__(self) -> None:
        self.finder = FinderMeasures(FOLDER / "finder" / "finder.safetensors")

    def measure(self, images: Tensor) -> dict[str, Tensor]:
        return {name: value for name, value in self.finder(images.float() / 127.5 - 1).items() if name in self.measures}


@pytest.fixture(scope="module")
def pipeline() -> HFGIPipeline:
    """The embedded editor with two of its sliders, one of them with ends that differ."""
    pipeline = load_embedded(FOLDER)
    smile, pose = pipeline.attributes["smile"], pipeline.attributes["pose"]
    pipeline.attributes = {"smile": dataclasses.replace(smile, low=-2.0), "pose": pose}
    return pipeline


@torch.inference_mode()
def test_pictures_and_numbers(pipeline: HFGIPipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    w = pipeline.generator.mapping(torch.randn(1, pipeline.generator.config["z_dim"]))[:, None]
    face = pipeline.decode(pipeline.latent_avg.lerp(w, 0.7)).clamp(-1, 1)
    made, invert, edit = {}, pipeline.invert, pipeline.edit
    monkeypatch.setattr(pipeline, "invert", lambda face: made.setdefault("inversion", invert(face)))
    monkeypatch.setattr(pipeline, "edit", lambda on, how: made.setdefault(tuple(*how.items()), edit(on, how)))
    drawn = draw(pipeline, face)
    assert torch.equal(drawn.photos, to_bytes(face)) and list(drawn.edits) == ["smile", "pose"]
    smile, inversion = drawn.edits["smile"], made["inversion"]
    assert smile.ends == (-2.0, 3.0) and smile.label == pipeline.attributes["smile"].label
    assert torch.equal(smile.low, to_bytes(made["smile", -2.0]))
    assert torch.equal(smile.high, to_bytes(made["smile", 3.0]))
    assert torch.equal(drawn.edits["pose"].high, to_bytes(made["pose", pipeline.attributes["pose"].high]))
    assert torch.equal(drawn.consulted, to_bytes(inversion.restored))
    assert torch.equal(drawn.plain, to_bytes(inversion.image))

    scores = score(drawn, Looks(), [Finder()])
    assert scores.people == 1
    assert scores.inversion["psnr_consulted"] > scores.inversion["psnr_plain"] + 1
    assert 1 > scores.inversion["identity_consulted"] > scores.inversion["identity_plain"]
    smiled, turned = scores.sliders["smile"].moves, scores.sliders["pose"].moves
    assert smiled["corner_lift"].mean > 0.02 and smiled["corner_lift"].people == 1
    assert turned["yaw_deg"].mean > 3 > abs(smiled["yaw_deg"].mean)
    assert all(0 < same < 1 for slider in scores.sliders.values() for same in slider.identity.values())
