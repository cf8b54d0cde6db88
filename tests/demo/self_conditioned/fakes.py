"""The real Self-Conditioned GAN code over small random networks, for tests of the app that need no weights."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import torch

from gan_core.registry import ModelRegistry, ModelSpec
from gan_core.self_conditioned.models import AttributeSlider, SelfConditionedModel
from gan_core.self_conditioned.pipeline import InversionReport, SelfConditionedPipeline
from tests.demo import fakes
from tests.gan_core.self_conditioned import small

MODEL = "fake/edges"
SIDE = small.SIZE
SLIDERS = tuple(AttributeSlider(a.name, a.label, a.low, a.high, a.measure, a.note) for a in small.ATTRIBUTES)
MODELS = {"portraits": SelfConditionedModel("portraits", "portraits (embedded)", MODEL, SIDE, "CC0-1.0", SLIDERS)}


def make() -> SelfConditionedPipeline:
    """Its encoder gives latents that depend on the picture."""

    def encode(images: torch.Tensor) -> torch.Tensor:
        codes = images.mean((2, 3)).repeat(1, small.LAYERS * small.W_DIM)[:, : small.LAYERS * small.W_DIM]
        return codes.view(-1, small.LAYERS, small.W_DIM) / 2

    pipeline = small.pipeline(encode=encode)
    refine = pipeline.refine

    def unhurried(*arguments: Any, **named: Any) -> Iterator[InversionReport]:
        """Refining takes as long as a person, or a test, needs to stop it."""
        for report in refine(*arguments, **named):
            time.sleep(0.1)
            yield report

    pipeline.refine = unhurried  # type: ignore[method-assign]
    return pipeline


def specs() -> list[ModelSpec]:
    return [ModelSpec(MODEL, lambda load: make(), SIDE, "CC0-1.0", title="the small generators")]


def make_registry() -> ModelRegistry:
    return fakes.registry_of(specs())


def install(monkeypatch) -> None:
    """On top of `tests.demo.fakes.install`."""
    fakes.install_beside(monkeypatch, specs(), "demo.self_conditioned.tab.self_conditioned_models", MODELS)
