"""As many direction sliders as the model with most directions needs, relabelled for the others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import gradio as gr

from gan_core.swapping_autoencoder.models import DirectionSlider, SwappingAutoencoderModel


class DirectionBank:
    """Sliders for the directions of one kind ("texture" or "structure"); `most` is how many the largest model needs."""

    def __init__(self, models: Iterable[SwappingAutoencoderModel], kind: str, prefix: str) -> None:
        self.kind, self._prefix = kind, prefix
        self.most = max((len(self._of(choice)) for choice in models), default=0)
        self.sliders: list[gr.Slider] = []

    def build(self, choice: SwappingAutoencoderModel) -> None:
        """Lay the sliders out in the current context, labelled for `choice`."""
        directions = self._of(choice)
        for index in range(self.most):
            properties = _properties(directions, index)
            self.sliders.append(gr.Slider(**properties, elem_id=f"{self._prefix}-{self.kind}-{index}"))

    def read(self, choice: SwappingAutoencoderModel, values: Sequence[float | None]) -> dict[str, float]:
        """Strengths by name, of those that are not 0, from the values of all sliders."""
        pairs = zip(self._of(choice), values, strict=False)
        return {direction.name: float(value) for direction, value in pairs if value}

    def updates(self, choice: SwappingAutoencoderModel) -> list[gr.Slider]:
        """The sliders for another model, all at 0."""
        directions = self._of(choice)
        return [gr.Slider(**_properties(directions, index)) for index in range(self.most)]

    def _of(self, choice: SwappingAutoencoderModel) -> list[DirectionSlider]:
        return [direction for direction in choice.sliders if direction.kind == self.kind]


def _properties(directions: Sequence[DirectionSlider], index: int) -> dict[str, Any]:
    if index >= len(directions):
        return {"label": "unused", "minimum": -2, "maximum": 2, "value": 0, "step": 0.05, "visible": False}
    direction = directions[index]
    return {
        "label": direction.label,
        "info": direction.note or None,
        "minimum": direction.low,
        "maximum": direction.high,
        "value": 0,
        "step": 0.05,
        "visible": True,
    }
