"""The real InsetGAN code over small random networks, for tests of the app that need no weights.

The body's place for the face is fixed, for random networks draw no faces.
"""

from __future__ import annotations

import torch

from gan_core.insetgan.models import InsetGANModel
from gan_core.insetgan.pipeline import InsetGANPipeline
from gan_core.registry import ModelRegistry, ModelSpec
from tests.demo import fakes
from tests.gan_core.insetgan import small

MODEL = "fake/inset"
MODELS = {
    "portraits": InsetGANModel(
        "portraits", "portraits (embedded)", MODEL, (64, 64), 64, "CC0-1.0", body="bust", region="face",
        regions=("face", "head", "mouth"),
    ),
    "human": InsetGANModel("human", "human (published)", "fake/tall", (64, 32), 64, "none"),
}  # fmt: skip


def make(start_shape: tuple[int, int] = (4, 4)) -> InsetGANPipeline:
    torch.manual_seed(0)
    canvas, face = small.generator(start_shape=start_shape), small.generator()
    return InsetGANPipeline(canvas, face, small.features(), finder=small.find_centre)


def specs() -> list[ModelSpec]:
    return [
        ModelSpec(MODEL, lambda load: make(), 64, "CC0-1.0", title="the small generators"),
        ModelSpec("fake/tall", lambda load: make((4, 2)), 64, "none", title="the tall generators"),
    ]


def make_registry() -> ModelRegistry:
    return fakes.registry_of(specs())


def install(monkeypatch) -> None:
    """On top of `tests.demo.fakes.install`."""
    fakes.install_beside(monkeypatch, specs(), "demo.insetgan.tab.insetgan_models", MODELS)
