"""A swapping autoencoder without weights: fast, deterministic, and true to the contracts. For tests only.

The structure code is the picture itself, less its mean colour; the texture code is that colour.
"""

from __future__ import annotations

from pathlib import Path

import torch
from PIL import Image

from gan_core.errors import BadImage
from gan_core.registry import ModelRegistry, ModelSpec
from gan_core.swapping_autoencoder.models import DirectionSlider, SwappingAutoencoderModel
from gan_core.swapping_autoencoder.pipeline import Codes, Direction, Mixture, SwappingAutoencoderPipeline
from tests.demo import fakes

MODEL = "fake/swap"
SLIDERS = (
    DirectionSlider("bright", "Bright", "texture", -2.0, 2.0, note="lighter all over"),
    DirectionSlider("warm", "Warm", "texture", -2.0, 2.0),
    DirectionSlider("flip", "Shapes", "structure", -3.0, 3.0),
)
MODELS = {
    "portraits": SwappingAutoencoderModel(
        "portraits", "portraits (embedded)", MODEL, 256, "CC0-1.0", SLIDERS, faces=True
    ),
    "scenes": SwappingAutoencoderModel("scenes", "scenes (published)", MODEL, 256, "none", (), faces=False),
}
_VECTORS = {
    "bright": torch.full((3,), 0.1),
    "warm": torch.tensor([0.1, 0.0, -0.1]),
    "flip": torch.full((1, 1, 1), 0.05),
}


class FakeSwap(torch.nn.Module):
    """Mixes mean colours; uses the real pipeline's checks, weights and masks."""

    step, smallest = 16, 64

    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.zeros(64))
        self.device = torch.device("cpu")
        self.directions = {s.name: Direction(s.name, s.label, _VECTORS[s.name], s.kind, s.low, s.high) for s in SLIDERS}
        self.encoded = self.drawn = 0

    def encode(self, image: torch.Tensor) -> Codes:
        if min(image.shape[-2:]) < self.smallest:
            raise BadImage("The picture is too small.")
        self.encoded += 1
        mean = image.mean((2, 3))
        return Codes(image - mean[:, :, None, None], mean, tuple(image.shape[-2:]))

    def structure_picture(self, codes: Codes) -> torch.Tensor:
        return torch.nn.functional.avg_pool2d(codes.structure, 16).clamp(-1, 1)

    def difference(self, having: list[Codes], lacking: list[Codes]) -> torch.Tensor:
        return torch.cat([c.texture for c in having]).mean(0) - torch.cat([c.texture for c in lacking]).mean(0)

    def draw_together(self, wanted: list[tuple[Codes, list[Codes], Mixture]]) -> list[torch.Tensor]:
        return [self.draw(*one) for one in wanted]

    def draw(self, first: Codes, others: list[Codes] = (), mixture: Mixture | None = None) -> torch.Tensor:
        self.drawn += 1
        mixture = mixture or Mixture()
        SwappingAutoencoderPipeline._check(self, first, others, mixture)
        if others:
            SwappingAutoencoderPipeline.mix(self, [torch.ones(1, 1)] * len(others), mixture.weights)  # for its checks
        texture, structure = first.texture, first.structure
        if others:
            shares = torch.tensor(mixture.weights) / sum(mixture.weights)
            mixed = (shares[:, None] * torch.cat([c.texture for c in others])).sum(0)
            texture = torch.lerp(texture, mixed[None], mixture.amount)
        for name, strength in mixture.strengths.items():
            if self.directions[name].kind == "texture":
                texture = texture + strength * _VECTORS[name]
            else:
                structure = structure + strength * _VECTORS[name]
        for vector, strength in mixture.vectors:
            texture = texture + strength * vector
        changed, own = (structure + t[:, :, None, None] for t in (texture, first.texture))
        if mixture.mask is not None:
            changed = torch.lerp(own, changed, mixture.mask)
        return changed.clamp(-1, 1)


def specs() -> list[ModelSpec]:
    return [ModelSpec(MODEL, lambda load: FakeSwap(), 256, "CC0-1.0", title="the fake swapper")]


def make_registry() -> ModelRegistry:
    return fakes.registry_of(specs())


def install(monkeypatch) -> None:
    """On top of `tests.demo.fakes.install`."""
    fakes.install_beside(monkeypatch, specs(), "demo.swapping_autoencoder.tab.swapping_autoencoder_models", MODELS)


def plain(colour: str, path: Path, size: tuple[int, int] = (256, 256)) -> str:
    """A picture of two halves, the left one a little darker, as a file; its path."""
    picture = Image.new("RGB", size, colour)
    dark = picture.crop((0, 0, size[0] // 2, size[1])).point(lambda value: value * 3 // 4)
    picture.paste(dark, (0, 0))
    picture.save(path)
    return str(path)
