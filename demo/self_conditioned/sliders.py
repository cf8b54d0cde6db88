"""A slider for each attribute, with labels at its ends and a mark at the face's own value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

import gradio as gr

from gan_core.self_conditioned.models import MOST_ATTRIBUTES, AttributeSlider, SelfConditionedModel

_STEP = 0.01
_PREFIX = "self-conditioned-value"


class ValueBank:
    """As many sliders as the model with most attributes needs, relabelled for the others."""

    def __init__(self, models: Iterable[SelfConditionedModel]) -> None:
        self._most = max([MOST_ATTRIBUTES, *(len(choice.sliders) for choice in models)])
        self.sliders: list[gr.Slider] = []
        self.ends: list[gr.HTML] = []

    def build(self, choice: SelfConditionedModel) -> None:
        """Lay them out in the current context, labelled for `choice`."""
        for index in range(self._most):
            with gr.Column(elem_classes="self-conditioned-slider"):
                slider = gr.Slider(**_properties(choice.sliders, index), buttons=[], elem_id=f"{_PREFIX}-{index}")
                self.sliders.append(slider)
                self.ends.append(gr.HTML(_ends(choice.sliders, index, None), padding=False))

    @property
    def outputs(self) -> list[Any]:
        """The components that `updates` and `starts` set."""
        return [*self.sliders, *self.ends]

    def read(
        self, choice: SelfConditionedModel, data: Mapping[Any, Any], present: Mapping[str, float]
    ) -> dict[str, float]:
        """Values by attribute; if a slider was not moved from the `present` value, it is exactly that."""
        values = {}
        for attribute, slider in zip(choice.sliders, self.sliders, strict=False):
            value, now = data[slider], present[attribute.name]
            values[attribute.name] = now if value is None or abs(value - _rounded(now)) < _STEP / 2 else float(value)
        return values

    def starts(self, choice: SelfConditionedModel, present: Mapping[str, float]) -> dict[Any, Any]:
        """Updates for another face: sliders and marks at its values."""
        updates: dict[Any, Any] = {}
        for index, (attribute, slider) in enumerate(zip(choice.sliders, self.sliders, strict=False)):
            now = present[attribute.name]
            updates[slider] = _rounded(now)
            updates[self.ends[index]] = _ends(choice.sliders, index, now)
        return updates

    def moves(self, choice: SelfConditionedModel, values: Mapping[str, float]) -> dict[Any, Any]:
        """Updates that set some of the sliders."""
        pairs = zip(choice.sliders, self.sliders, strict=False)
        return {slider: values[attribute.name] for attribute, slider in pairs if attribute.name in values}

    def updates(self, choice: SelfConditionedModel) -> list[Any]:
        """Updates for another model."""
        places = range(self._most)
        sliders = [gr.Slider(**_properties(choice.sliders, index)) for index in places]
        return [*sliders, *(_ends(choice.sliders, index, None) for index in places)]


def _rounded(value: float) -> float:
    return round(value, 2)


def _properties(attributes: Sequence[AttributeSlider], index: int) -> dict[str, Any]:
    unused = index >= len(attributes)
    return {
        "label": "unused" if unused else attributes[index].label,
        "info": None if unused else attributes[index].note or None,
        "minimum": 0,
        "maximum": 1,
        "value": 0.5,
        "step": _STEP,
        "visible": not unused,
    }


def _ends(attributes: Sequence[AttributeSlider], index: int, now: float | None) -> str:
    """HTML of the labels at the ends, and between them the mark at the face's own value."""
    if index >= len(attributes):
        return ""
    low, high = (escape(word) for word in (attributes[index].low or "0", attributes[index].high or "1"))
    mark = "" if now is None else f'<i style="--at:{now:.3f}" title="this face by itself: {now:.2f}"></i>'
    return f'<div class="ends"><span>{low}</span>{mark}<span>{high}</span></div>'
