"""The second mode of "Fill a hole": portraits from lines, which are painted or taken from a picture."""

from __future__ import annotations

from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from demo.comodgan.drawing import CANVAS, lines_of, painted_lines
from demo.comodgan.editor import Editor
from demo.comodgan.run_bar import RunBar
from demo.context import Studio
from demo.parts.errors import guarded
from demo.parts.events import QUIET, Data
from demo.parts.examples import examples_row
from demo.parts.painting import PEN, layer_of, layers_from, paint_input, paint_value
from demo.parts.photo import photo_input
from demo.parts.pictures import shown
from demo.parts.queued import QUEUE, queued
from demo.session import Session

_WELCOME = "Draw a face, or give it a picture whose lines are taken. Then press **Draw portraits**."
_BLANK = "White paper: draw a face, as large as the paper."


class DrawingPanel:
    """An image editor, a picture from which lines are taken, and the controls of a run."""

    def __init__(self, studio: Studio, editor: Editor) -> None:
        self.studio, self.editor = studio, editor
        self.run = RunBar(studio.offer(lambda: editor.of_kind("drawing")), "comodgan-drawing")
        self._examples: list[str] = []

    def build(self) -> None:
        """Lay it out in the current context."""
        with gr.Row(elem_classes="comodgan-source"):
            with gr.Column(scale=2, min_width=150):
                self.photo = photo_input(label="Take lines from", height=130, elem_id="comodgan-drawing-photo")
            with gr.Column(scale=3, min_width=220, elem_classes="few-examples"):
                self.message = gr.Markdown(_WELCOME, elem_classes="notice", elem_id="comodgan-drawing-message")
                copies = examples_row(self.photo)
        self.studio.sessions.shared |= copies
        self._examples = [str(path) for path in sorted(copies, key=lambda path: path.name)]
        self.paint = paint_input(label="Draw here", height=420, colour=PEN, width=4, elem_id="comodgan-drawing-paint")
        with gr.Row(elem_classes="actions"):
            self.blank = gr.Button("White paper", size="sm", elem_id="comodgan-drawing-blank")
        self.run.build("Draw portraits")
        self.opened = gr.Timer(0.8)

    @property
    def painting(self) -> set[Any]:
        """The components that `read` reads."""
        return {self.paint.sent}

    def read(self, data: Data, session: Session) -> np.ndarray:
        """The painted lines, (CANVAS, CANVAS) float32 from 0 to 1. Raises BadImage."""
        return painted_lines(layers_from(session, data[self.paint.sent]))

    def wire(self) -> None:
        """Connect all events except the run."""
        picture: dict[str, Any] = {
            "api_visibility": "private",
            "show_progress": "minimal",
            "show_progress_on": [self.message],
            **QUEUE,
        }
        quick = {**QUIET, "show_progress_on": [self.message]}
        self.opened.tick(self.on_opened, self.photo, [self.photo, self.opened], trigger_mode="once", **quick)
        self.photo.change(
            queued(self.on_photo), self.photo, [self.paint.editor, self.message], trigger_mode="always_last", **picture
        )
        self.blank.click(guarded(self.on_blank), None, [self.paint.editor, self.message], **quick)

    def on_opened(self, path: str | None) -> list[Any]:
        """The tab is opened for the first time: take the lines of an example."""
        example = self._examples[-1] if self._examples and not path else path
        return [example, gr.Timer(active=False)]

    def on_photo(self, path: str | None, request: gr.Request) -> list[Any]:
        """Another picture: take its lines."""
        session = self.studio.sessions.get(request.session_hash)
        if not path:
            return [_paper(session, None), _WELCOME]
        lines, note = lines_of(session, path, self.editor.find_faces)
        return [_paper(session, lines), f"{note} Then press **Draw portraits**."]

    def on_blank(self, request: gr.Request) -> list[Any]:
        """Clear the paper."""
        return [_paper(self.studio.sessions.get(request.session_hash), None), _BLANK]


def as_picture(lines: np.ndarray, side: int) -> Image.Image:
    """A drawing, (H, W) from 0 to 1, as black lines on white, `side` pixels a side."""
    grey = Image.fromarray((255 * (1 - lines)).astype(np.uint8))
    return grey.convert("RGB").resize((side, side), Image.Resampling.BOX)


def _paper(session: Session, lines: np.ndarray | None) -> dict[str, Any]:
    background = shown(session, "paper", Image.new("RGB", (CANVAS, CANVAS), "white"))
    return paint_value(session, background, layer_of(np.zeros((CANVAS, CANVAS)) if lines is None else lines, PEN))
