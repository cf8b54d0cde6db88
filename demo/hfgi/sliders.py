"""As many attribute sliders as the model with most attributes needs, relabelled for the others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import gradio as gr

from gan_core.hfgi.models import HFGIModel, Slider


class SliderBank:
    """Named attributes in sight, principal directions folded away. The sliders themselves: `sliders`."""

    def __init__(self, models: Iterable[HFGIModel], prefix: str) -> None:
        tables = [_ordered(choice) for choice in models]
        self._prefix = prefix
        self._named = max((len(named) for named, _ in tables), default=0)
        self._principal = max((len(principal) for _, principal in tables), default=0)
        self.sliders: list[gr.Slider] = []

    def build(self, choice: HFGIModel) -> None:
        """Lay the sliders out in the current context, labelled for `choice`."""
        named, principal = _ordered(choice)
        if not named and not principal:
            gr.Markdown("The editor's weights are not installed, so there is nothing to set here.")
        with gr.Column(elem_classes="sliders"):
            self._add(named, self._named, "named")
        if self._principal:
            with gr.Accordion("More directions", open=False), gr.Column(elem_classes="sliders"):
                self._add(principal, self._principal, "principal")

    def read(self, choice: HFGIModel, values: Sequence[float | None]) -> dict[str, float]:
        """Strengths by attribute name from the values of all sliders."""
        named, principal = _ordered(choice)
        places = {slider.name: index for index, slider in enumerate(named)}
        places.update({slider.name: self._named + index for index, slider in enumerate(principal)})
        return {name: values[place] or 0.0 for name, place in places.items()}

    def updates(self, choice: HFGIModel) -> list[gr.Slider]:
        """The sliders for another model, all at 0."""
        named, principal = _ordered(choice)
        tables = ((named, self._named), (principal, self._principal))
        return [gr.Slider(**_properties(table, index)) for table, n in tables for index in range(n)]

    def _add(self, sliders: Sequence[Slider], count: int, kind: str) -> None:
        for index in range(count):
            elem_id = f"{self._prefix}-{kind}-{index}"
            self.sliders.append(gr.Slider(**_properties(sliders, index), elem_id=elem_id))


def _ordered(choice: HFGIModel) -> tuple[list[Slider], list[Slider]]:
    named = [slider for slider in choice.sliders if slider.kind != "principal"]
    return named, [slider for slider in choice.sliders if slider.kind == "principal"]


def _properties(sliders: Sequence[Slider], index: int) -> dict[str, Any]:
    if index >= len(sliders):
        return {"label": "unused", "minimum": -3, "maximum": 3, "value": 0, "step": 0.1, "visible": False}
    slider = sliders[index]
    return {
        "label": slider.label,
        "info": slider.note or None,
        "minimum": slider.low,
        "maximum": slider.high,
        "value": 0,
        "step": 0.1,
        "visible": True,
    }
