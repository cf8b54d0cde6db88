"""Settings of a tab's sliders: presets, undo and redo, the page's address, and the API call that does the same.

All of it happens in the browser (demo/assets/settings.js); the server only draws what the sliders say then.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr

_CLIENT = (
    "from gradio_client import Client, handle_file\n\n"
    'client = Client("{address}")\n'
    'result = client.predict(\n    %s,\n    api_name="/%s",\n)\n'
)


@dataclass(frozen=True)
class Setting:
    """A slider in the address and in presets."""

    name: str
    low: float
    high: float
    rest: float | None
    """Where it changes nothing; None where that depends on the face."""


@dataclass(frozen=True)
class Preset:
    """Values for some of the sliders; the others go to where they change nothing."""

    label: str
    values: Mapping[str, float]


@dataclass(frozen=True)
class ApiCall:
    """A call of an endpoint as a person would write it. arguments: Python, one a line, in which {name} is the value of
    that setting, and {changed} all that are not at rest, as a dictionary."""

    endpoint: str
    arguments: Sequence[str]

    def text(self) -> str:
        """The whole script, for settings.js to fill in."""
        return _CLIENT % (",\n    ".join(self.arguments), self.endpoint)


class SettingsBar:
    """Buttons above the sliders. tab: its id on the page; prefix: begins the elements' ids.

    arrives: the sliders' values come from the server after the tab is opened (`wire` then says with which events).
    """

    def __init__(self, tab: str, prefix: str, presets: Sequence[Preset], *, arrives: bool = False) -> None:
        self.tab, self.prefix, self.presets, self.arrives = tab, prefix, presets, arrives

    def build(self, models: Mapping[str, tuple[Sequence[Setting], ApiCall]]) -> None:
        """Lay it out in the current context. models: settings in the sliders' order, and the API call, by choice of
        weights, the one chosen first at the beginning."""
        spec = {
            "models": {
                name: {"sliders": [[one.name, one.low, one.high, one.rest] for one in settings], "api": call.text()}
                for name, (settings, call) in models.items()
            },
            "presets": [list(one.values) for one in self.presets],
        }
        gr.HTML(
            f'<span hidden data-settings="{self.tab}" data-prefix="{self.prefix}" '
            f'data-arrives="{"yes" if self.arrives else "no"}" data-spec="{escape(json.dumps(spec))}"></span>',
            visible="hidden",
        )
        first = {one.name for one in next(iter(models.values()))[0]} if models else set()
        with gr.Row(elem_classes="actions settings-bar"):
            self._presets = [
                self._button(one.label, f"preset-{i}", suits=bool(first & one.values.keys()))
                for i, one in enumerate(self.presets)
            ]
        with gr.Row(elem_classes="actions settings-bar"):
            self._undo, self._redo = self._button("↶ Undo", "undo"), self._button("↷ Redo", "redo")
            self._call = self._button("As API call", "call")
        self._text = gr.Textbox(
            label="The same in Python", lines=8, visible=False, interactive=False, buttons=["copy"],
            elem_id=f"{self.prefix}-call-text",
        )  # fmt: skip
        self._apply = gr.Button("Apply settings", visible="hidden", elem_id=f"{self.prefix}-apply")

    def wire(
        self,
        state: Sequence[Any],
        *,
        released: Sequence[Callable[..., Any]],
        arrived: Sequence[Callable[..., Any]],
        redraw: Callable[[Any], Any],
    ) -> None:
        """Connect it.

        state: the menu of weights, then the sliders in the settings' order. released: events after which a person has
        changed a slider; arrived: after which the server has set all of them. redraw: adds the drawing to an event.
        """
        state = list(state)
        for event in released:
            self._run(event, state, "record")
        for event in arrived:
            self._run(event, state, "arrive")
        self._run(self._undo.click, None, "step", "true")
        self._run(self._redo.click, None, "step", "false")
        for button, one in zip(self._presets, self.presets, strict=True):
            self._run(button.click, state, "preset", json.dumps(dict(one.values)))
        self._run(self._call.click, state, "call", outputs=self._text)
        redraw(self._run(self._apply.click, state, "apply", outputs=state))

    def _run(self, event: Any, inputs: Any, function: str, *arguments: str, outputs: Any = None) -> Any:
        before = "".join(f"{argument}, " for argument in (json.dumps(self.tab), *arguments))
        script = f"(...state) => studioSettings.{function}({before}...state)"
        return event(None, inputs, outputs, js=script, api_visibility="private", queue=False, show_progress="hidden")

    def _button(self, label: str, name: str, *, suits: bool = True) -> gr.Button:
        unsuitable = [] if suits else ["unsuitable"]  # for other weights; settings.js follows the weights
        return gr.Button(label, size="sm", min_width=70, elem_id=f"{self.prefix}-{name}", elem_classes=unsuitable)
