"""The real InsetGAN code over small random networks, for tests of the app that need no weights.

The body's place for the face is fixed, for random networks draw no faces.
"""

from __future__ import annotations

import torch

from demo import context as studio
from gan_core.insetgan.models import InsetGANModel
from gan_core.insetgan.pipeline import InsetGANPipeline
from gan_core.registry import ModelRegistry, ModelSpec
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


def declare(registry: ModelRegistry) -> None:
    registry.declare(ModelSpec(MODEL, lambda load: make(), 64, "CC0-1.0", title="the small generators"))
    registry.declare(ModelSpec("fake/tall", lambda load: make((4, 2)), 64, "none", title="the tall generators"))


def make_registry() -> ModelRegistry:
    registry = ModelRegistry(lambda: ("cpu",))
    declare(registry)
    return registry


def install(monkeypatch) -> None:
    """On top of `fakes.install`."""
    before = studio.declare_models

    def declare_all(registry, folder):
        before(registry, folder)
        declare(registry)

    monkeypatch.setattr(studio, "declare_models", declare_all)
    monkeypatch.setattr("demo.insetgan.tab.insetgan_models", lambda _folder: MODELS)
