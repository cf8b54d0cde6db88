"""The real InsetGAN code over small random networks, for tests of the app that need no weights.

The body's place for the face is fixed, for random networks draw no faces.
"""

from __future__ import annotations

import torch

from gan_core.insetgan.models import BodyPose, BodySlider, InsetGANModel
from gan_core.insetgan.pipeline import InsetGANPipeline
from gan_core.insetgan.sources import CanvasDirection
from gan_core.registry import ModelRegistry, ModelSpec
from tests.demo import fakes
from tests.gan_core.insetgan import small

MODEL = "fake/inset"
SLIDERS = (BodySlider("age", "Age", -2.0, 2.0), BodySlider("turn", "Turn", -1.0, 1.0))
POSES = tuple(
    BodyPose(((128.0, 60.0 + turn), *[(60.0 + 9 * i, 30.0 * i + turn) for i in range(14)])) for turn in (0, 9)
)
MODELS = {
    "portraits": InsetGANModel(
        "portraits", "portraits (embedded)", MODEL, (64, 64), 64, "CC0-1.0", body="bust", region="face",
        regions=("face", "head", "mouth"),
    ),
    "human": InsetGANModel("human", "human (published)", "fake/tall", (64, 32), 64, "none"),
    "bodies": InsetGANModel(
        "bodies", "Whole body (embedded)", "fake/bodies", (64, 32), 64, "CC0-1.0", body="rendered", region="oval",
        regions=("oval", "face"), sliders=SLIDERS, poses=POSES, seconds=("feet",), enlarged=2, finding=8,
    ),
}  # fmt: skip


def make(start_shape: tuple[int, int] = (4, 4)) -> InsetGANPipeline:
    torch.manual_seed(0)
    canvas, face = small.generator(start_shape=start_shape), small.generator()
    return InsetGANPipeline(canvas, face, small.features(), finder=small.find_centre)


def make_bodies() -> InsetGANPipeline:
    torch.manual_seed(0)
    rng = torch.Generator().manual_seed(1)
    return InsetGANPipeline(
        small.generator(start_shape=(4, 2)), small.generator(), small.features(), finder=small.find_centre, tone=True,
        directions={s.name: CanvasDirection(s, 3 * torch.randn(16, generator=rng)) for s in SLIDERS}, enlarged=2,
        poses=3 * torch.randn(len(POSES), 3, 16, generator=rng),
        others={"feet": small.generator(32)}, finders={"feet": small.at_box((0.2, 0.7, 0.8, 1.0))},
    )  # fmt: skip


def specs() -> list[ModelSpec]:
    return [
        ModelSpec(MODEL, lambda load: make(), 64, "CC0-1.0", title="the small generators"),
        ModelSpec("fake/tall", lambda load: make((4, 2)), 64, "none", title="the tall generators"),
        ModelSpec("fake/bodies", lambda load: make_bodies(), 64, "CC0-1.0", title="the small bodies"),
    ]


def make_registry() -> ModelRegistry:
    return fakes.registry_of(specs())


def install(monkeypatch) -> None:
    """On top of `tests.demo.fakes.install`."""
    fakes.install_beside(monkeypatch, specs(), "demo.insetgan.tab.insetgan_models", MODELS)
