"""CoModGANs without weights: small, random, and true to the contracts. For tests only."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from demo.comodgan import editor
from gan_core.comodgan.models import CoModGANModel
from gan_core.comodgan.networks import CoModGenerator
from gan_core.comodgan.pipeline import CoModGANPipeline
from gan_core.registry import ModelRegistry, ModelSpec
from tests.demo import fakes

SIDE = 64  # of what the small networks make
HOLE, PLACES, SCENES, DRAWING = "fake/fill", "fake/places", "fake/scenes", "fake/draw"


def _model(name: str, label: str, model: str, kind: str, alignment: str) -> CoModGANModel:
    return CoModGANModel(name, label, model, kind, SIDE, "CC0-1.0", alignment, "fake")


MODELS = {
    "portraits": _model("portraits", "portraits (embedded)", HOLE, "hole", "face"),
    "places": _model("places", "any photo (embedded)", PLACES, "hole", "any"),
    "scenes": _model("scenes", "scenes (published)", SCENES, "hole", "any"),
    "drawing": _model("drawing", "drawing to portrait (embedded)", DRAWING, "drawing", "face"),
}


class CountingPipeline(CoModGANPipeline):
    """The real pipeline, which also counts."""

    prepared = completed = 0

    def prepare(self, *arguments, **named):
        self.prepared += 1
        return super().prepare(*arguments, **named)

    def complete(self, prepared, seeds, **named):
        self.completed += len(seeds)
        return super().complete(prepared, seeds, **named)


def make(kind: str, framing: str) -> CountingPipeline:
    torch.manual_seed(0)
    generator = CoModGenerator(
        SIDE,
        in_channels=4 if kind == "hole" else 1,
        z_dim=8,
        w_dim=8,
        global_dim=16,
        mapping_layers=2,
        channel_base=512,
        channel_max=16,
    )
    return CountingPipeline(generator, framing=framing)


def specs() -> list[ModelSpec]:
    return [
        ModelSpec(
            choice.model, lambda load, c=choice: make(c.kind, c.alignment), SIDE, "CC0-1.0", title="the fake filler"
        )
        for choice in MODELS.values()
    ]


def make_registry() -> ModelRegistry:
    return fakes.registry_of(specs())


def install(monkeypatch) -> None:
    """On top of `tests.demo.fakes.install`."""
    # The browser's editor reads its canvases back for each run: seconds each, at full size without a GPU.
    monkeypatch.setattr(editor, "PAINTING", (256, 384))
    fakes.install_beside(monkeypatch, specs(), "demo.comodgan.tab.comodgan_models", MODELS)


def ramp(path: Path, size: tuple[int, int] = (256, 256)) -> str:
    """A picture no two neighbouring pixels of which are the same, as a file; its path."""
    width, height = size
    y, x = np.mgrid[:height, :width]
    Image.fromarray(np.stack([x % 256, y % 256, (x * 7 + y * 3) % 256], -1).astype(np.uint8)).save(path)
    return str(path)


def mask(path: Path, size: tuple[int, int], box: tuple[int, int, int, int]) -> str:
    """A black picture with a white box, as a file; its path."""
    picture = Image.new("L", size)
    picture.paste(255, box)
    picture.save(path)
    return str(path)
