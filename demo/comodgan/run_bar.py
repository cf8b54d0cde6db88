"""Controls of a run, which both modes of "Fill a hole" have: start, number of results, seed, variety, weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from demo.comodgan.editor import MOST_SAMPLES, VARIETY, seeds_from
from demo.parts.choices import Choices, Menu, choice_of, licence_line, weights_dropdown
from demo.parts.errors import guarded
from demo.parts.events import QUIET, Data
from demo.parts.painting import PaintInput
from demo.parts.queued import QUEUE
from gan_core.comodgan.models import CoModGANModel

_DICE = "() => Math.floor(Math.random() * 1000000)"
# On a phone the results are below the visible part of the page.
_LOOK = """() => document.querySelector('#comodgan-state').scrollIntoView(
  { behavior: 'smooth', block: innerWidth > 820 ? 'nearest' : 'start' })"""
_VARIETY = "1: everything the model can think of, tints too. Lower: more usual results, more alike."


class RunBar:
    """Start, stop, number of results, seed and a button for another one; folded: variety and weights."""

    def __init__(self, models: Choices[CoModGANModel], prefix: str) -> None:
        self.models, self._prefix = models, prefix
        self.job = f"comodgan.{prefix}"  # name of the visitor's job

    def build(self, label: str) -> None:
        """Lay it out in the current context. label: of the start button."""
        first = next(iter(self.models.values()))
        with gr.Row(elem_classes="actions"):
            self.start = gr.Button(label, variant="primary", min_width=120, scale=3, elem_id=f"{self._prefix}-start")
            self.stop = gr.Button(
                "Stop", variant="stop", interactive=False, min_width=70, scale=1, elem_id=f"{self._prefix}-stop"
            )
        with gr.Row(elem_classes="actions"):
            self.count = gr.Slider(
                1, MOST_SAMPLES, value=4, step=1, label="Results", min_width=140, scale=3,
                elem_id=f"{self._prefix}-count",
            )  # fmt: skip
            self.seed = gr.Number(2, label="Seed", precision=0, min_width=80, scale=2, elem_id=f"{self._prefix}-seed")
            self.dice = gr.Button(
                "Other results", min_width=120, scale=2, elem_classes="dice", elem_id=f"{self._prefix}-dice"
            )
        with gr.Accordion("Variety and weights", open=False):
            self.psi = gr.Slider(
                0, 1, value=VARIETY, step=0.05, label="Variety", info=_VARIETY, elem_id=f"{self._prefix}-psi"
            )
            self.model = weights_dropdown(self.models, f"{self._prefix}-model", always=True)
            self.licence = gr.Markdown(licence_line(first), elem_classes="credit")

    @property
    def menu(self) -> Menu:
        """Its list of weights."""
        return Menu(self.model, self.models, always=True)

    @property
    def inputs(self) -> set[Any]:
        """The components that a handler reads."""
        return {self.count, self.seed, self.psi, self.model}

    def seeds(self, data: Data) -> list[int]:
        """The seeds of the requested results. Raises BadValue."""
        return seeds_from(data[self.seed], data[self.count])

    def wire(
        self,
        read: Callable[..., Data],
        painting: set[Any],
        paint: PaintInput,
        run: Callable[..., Any],
        outputs: list[Any],
        shown_on: Any,
    ) -> list[Any]:
        """Connect the events. Returns the last events of the runs, to which more can be attached.

        read: handler that reads what is painted from the components `painting`, which include what `paint` has sent,
        and keeps it for `run`; it updates start, dice and stop. run: the `queued` handler of the run; its outputs must
        include the three buttons, too.
        shown_on: component that shows the progress.
        """
        running: dict[str, Any] = {"api_visibility": "private", "show_progress_on": [shown_on], **QUEUE}
        buttons, ended = [self.start, self.dice, self.stop], []
        rolled = self.dice.click(None, None, self.seed, js=_DICE, api_visibility="private")
        for first in (self.start.click, rolled.then):
            event = paint.sending(first)(read, painting, buttons, trigger_mode="once", **QUIET)
            event = event.then(run, self.inputs, outputs, **running)
            ended.append(event.then(self.idle, None, buttons, **QUIET))
        for button in (self.start, self.dice):
            button.click(None, None, None, js=_LOOK, api_visibility="private")
        self.model.change(guarded(self.on_model), self.model, self.licence, **QUIET)
        return ended

    def on_model(self, name: str) -> str:
        """Other weights: show their licence."""
        return licence_line(choice_of(self.models, name, "this mode"))

    def busy(self) -> Data:
        """Updates of the buttons during a run."""
        return self._buttons(busy=True)

    def idle(self) -> Data:
        """Updates of the buttons after a run."""
        return self._buttons(busy=False)

    def _buttons(self, *, busy: bool) -> Data:
        can_start, can_stop = gr.Button(interactive=not busy), gr.Button(interactive=busy)
        return {self.start: can_start, self.dice: can_start, self.stop: can_stop}
