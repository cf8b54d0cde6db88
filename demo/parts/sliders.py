"""Sliders for what a model can change, of which each choice of weights has a list of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, Protocol

import gradio as gr

from demo.parts.choices import Model
from demo.parts.settings_bar import Setting


class SliderSpec(Protocol):
    """A slider as a model declares it."""

    @property
    def name(self) -> str:
        """What the pipeline calls it."""

    @property
    def label(self) -> str:
        """What a person reads."""

    @property
    def low(self) -> float:
        """The least strength."""

    @property
    def high(self) -> float:
        """The greatest strength."""

    @property
    def note(self) -> str:
        """A sentence for a person, or ""."""


class SliderGroup(Generic[Model]):
    """As many sliders as the model with most of them needs (`most`), relabelled for the others; 0 changes nothing.

    of: the sliders that a choice of weights has in this group; at_least: as many as a model may have that is installed
    later. The components themselves: `sliders`.
    """

    def __init__(
        self,
        models: Iterable[Model],
        of: Callable[[Model], Sequence[SliderSpec]],
        elem_id: str,
        *,
        step: float,
        at_least: int = 0,
    ) -> None:
        self._of, self._elem_id, self._step = of, elem_id, step
        self.most = max([at_least, *(len(of(choice)) for choice in models)])
        self.sliders: list[gr.Slider] = []

    def build(self, choice: Model) -> None:
        """Lay the sliders out in the current context, labelled for `choice`."""
        for index in range(self.most):
            self.sliders.append(gr.Slider(**self._properties(choice, index), elem_id=f"{self._elem_id}-{index}"))

    def read(self, choice: Model, data: dict[Any, Any]) -> dict[str, float]:
        """Strengths by name, out of a handler's data."""
        pairs = zip(self._of(choice), self.sliders, strict=False)
        return {spec.name: float(data[slider] or 0.0) for spec, slider in pairs}

    def settings(self, choice: Model) -> list[Setting]:
        """What the sliders are to a `SettingsBar`, in their order; those that `choice` does not use have no name."""
        used = [Setting(spec.name, spec.low, spec.high, 0.0) for spec in self._of(choice)]
        return used + [Setting("", -1.0, 1.0, 0.0)] * (self.most - len(used))

    def updates(self, choice: Model) -> list[gr.Slider]:
        """The sliders for another model, all at 0."""
        return [gr.Slider(**self._properties(choice, index)) for index in range(self.most)]

    def _properties(self, choice: Model, index: int) -> dict[str, Any]:
        specs = self._of(choice)
        if index >= len(specs):
            return {"label": "unused", "minimum": -1, "maximum": 1, "value": 0, "step": self._step, "visible": False}
        spec = specs[index]
        return {
            "label": spec.label,
            "info": spec.note or None,
            "minimum": spec.low,
            "maximum": spec.high,
            "value": 0,
            "step": self._step,
            "visible": True,
        }
