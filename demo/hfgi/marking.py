"""Marking a face by hand: three clicks on the picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import gradio as gr
from PIL import Image, ImageDraw

from demo.hfgi.editor import Editor
from demo.hfgi.work import Work
from demo.parts.events import Data
from demo.parts.pictures import shown
from demo.parts.queued import queued
from demo.session import Session

Point = tuple[float, float]

_NAMES = ("first eye", "second eye", "mouth")
_COLOUR = "#4f46e5"

Open = Callable[..., tuple[Session, Work]]
Draw = Callable[[Session, Work, Data, gr.Progress], Data]


class MarkingPanel:
    """The picture in which a face is marked, in the current context; `build_button` makes the button that shows it."""

    def __init__(self) -> None:
        with gr.Column(visible=False, elem_id="hfgi-marking") as self._place:
            self._hint = gr.Markdown("")
            self._canvas = gr.Image(
                label="Click the two eyes and the mouth", interactive=False, buttons=[], height=340,
                elem_id="hfgi-canvas",
            )  # fmt: skip
            self._again = gr.Button("Start again", size="sm")
        self._points = gr.State([])

    def build_button(self) -> None:
        """In the current context."""
        self._button = gr.Button("Mark the face by hand", size="sm", visible=False, elem_id="hfgi-by-hand")

    @property
    def outputs(self) -> list[Any]:
        """What `hidden`, `offered` and `asked` set."""
        return [self._points, self._place, self._canvas, self._hint, self._button]

    def hidden(self) -> Data:
        """There is no picture."""
        return {self._place: gr.Column(visible=False), self._points: [], **self.offered(False)}

    def offered(self, there: bool) -> Data:
        """The button, where a face can be marked."""
        return {self._button: gr.Button(visible=there)}

    def asked(self, session: Session, work: Work) -> Data:
        """The picture, without marks."""
        return {
            self._points: [],
            self._place: gr.Column(visible=True),
            self._canvas: shown(session, "canvas", work.preview),
            self._hint: _hint(0),
        }

    def wire(
        self, editor: Editor, *, inputs: set[Any], outputs: list[Any], opened: Open, draw: Draw, busy: dict[str, Any]
    ) -> None:
        """Connect it. opened: the session and the photo of a handler's data; draw: updates of `outputs` for the face
        that was marked; busy: options of events that compute."""

        def on_by_hand(data: Data, request: gr.Request) -> Data:
            return self.asked(*opened(data, request))

        def on_mark(
            data: Data, request: gr.Request, event: gr.SelectData, progress: gr.Progress = gr.Progress()
        ) -> Iterator[Data]:
            session, work = opened(data, request, progress)
            points = [*data[self._points], tuple(event.index)]
            canvas = shown(session, "canvas", _dotted(work.preview, points))
            if len(points) < 3:
                yield {self._points: points, self._canvas: canvas, self._hint: _hint(len(points))}
                return
            yield {self._points: [], self._canvas: canvas, self._hint: "Cutting the face out ..."}
            editor.mark(work, points)
            yield {**draw(session, work, data, progress), self._hint: _hint(0)}

        self._canvas.select(
            queued(on_mark),
            inputs | {self._points},
            [*outputs, *self.outputs],
            trigger_mode="multiple",  # else a quick second click is lost
            **busy,
        )
        for button in (self._button, self._again):
            button.click(queued(on_by_hand), inputs, self.outputs, **busy)


def _hint(done: int) -> str:
    """What to click next, as Markdown."""
    return f"Click the **{_NAMES[done]}** in the picture below ({done + 1} of {len(_NAMES)})."


def _dotted(picture: Image.Image, points: Sequence[Point]) -> Image.Image:
    """A copy with a dot at each point."""
    picture = picture.copy()
    pen = ImageDraw.Draw(picture)
    radius = max(4, max(picture.size) // 120)
    for x, y in points:
        box = (x - radius, y - radius, x + radius, y + radius)
        pen.ellipse(box, fill=_COLOUR, outline="white", width=2)
    return picture
