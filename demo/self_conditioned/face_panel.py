"""Choosing the face: a random one, or the visitor's picture, which can be refined."""

from __future__ import annotations

from typing import Any

import gradio as gr

from demo.context import Studio
from demo.parts.events import Data
from demo.parts.examples import PEOPLE, examples_row
from demo.parts.long_job import start_and_stop
from demo.parts.photo import photo_input
from demo.self_conditioned.editor import MOST_REFINING, OPENING_SEED, PSI, Origin

DICE = "() => [Math.floor(Math.random() * 1000000), null]"
_STEPS = 60
_REFINE = "The model only comes near a picture. Refining changes both generators a little until they draw this one."


class FacePanel:
    """The input column. While there is a picture, it is used instead of the seed."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio

    def build(self) -> None:
        """Lay it out in the current context."""
        with gr.Row(elem_classes="actions", equal_height=True):
            self.seed = gr.Number(
                OPENING_SEED,
                label="Seed",
                precision=0,
                minimum=0,
                min_width=110,
                scale=2,
                elem_id="self-conditioned-seed",
            )
            self.dice = gr.Button(
                "Another face", min_width=120, scale=2, elem_classes="dice", elem_id="self-conditioned-dice"
            )
        with gr.Column(elem_classes="sliders"):
            self.psi = gr.Slider(0, 1, value=PSI, step=0.05, label="Truncation", elem_id="self-conditioned-psi")
        with gr.Column(elem_classes="few-examples"):
            self.photo = photo_input(label="Or your own picture", height=230, elem_id="self-conditioned-photo")
            self.studio.sessions.shared |= examples_row(self.photo, PEOPLE)
        with gr.Column(visible=False, elem_classes="tight", elem_id="self-conditioned-refining") as self.refining:
            gr.Markdown(_REFINE, elem_classes="hint")
            with gr.Row(elem_classes="actions"):
                self.refine = gr.Button("Refine", min_width=90, size="md", elem_id="self-conditioned-refine")
                self.stop = gr.Button(
                    "Stop, keep it",
                    variant="stop",
                    interactive=False,
                    min_width=110,
                    size="md",
                    elem_id="self-conditioned-stop",
                )
            self.bar = gr.HTML("", padding=False, elem_id="self-conditioned-bar")
            with gr.Column(elem_classes="sliders"):
                self.steps = gr.Slider(
                    10,
                    MOST_REFINING,
                    value=_STEPS,
                    step=10,
                    label="Steps of refining",
                    elem_id="self-conditioned-steps",
                )

    @property
    def inputs(self) -> set[Any]:
        """The components that `origin` reads."""
        return {self.seed, self.psi, self.photo}

    def origin(self, data: Data) -> Origin:
        """The chosen face."""
        return Origin(data[self.seed], data[self.psi], data[self.photo] or None)

    def refinable(self, data: Data) -> Data:
        """Show the controls for refining if there is a picture; random faces need no refining."""
        return {self.refining: gr.Column(visible=bool(data[self.photo])), self.bar: ""}

    def running(self, busy: bool) -> Data:
        """Updates of the buttons, while it refines (`busy`) and after."""
        return dict(zip((self.refine, self.stop), start_and_stop(busy=busy), strict=True))


def progress_bar(step: int, steps: int, error: float | None = None) -> str:
    """Progress of inverting or refining as HTML. error: mean squared error of pictures in [-1, 1]."""
    apart = "" if error is None else f", {127.5 * error**0.5:.1f} of 255 apart"
    return f'<progress value="{step}" max="{steps}"></progress> {step} of {steps}{apart}'
