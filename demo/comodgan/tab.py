"""Fill a hole (CoModGAN): layout and event handlers; the steps of the work are in demo/comodgan/editor.py."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from demo.comodgan import api
from demo.comodgan.drawing_panel import DrawingPanel, as_picture
from demo.comodgan.editor import DRAWING, HOLE, Editor, Photo, Result
from demo.comodgan.hole_panel import HolePanel
from demo.comodgan.result_panel import ResultPanel
from demo.comodgan.run_bar import RunBar
from demo.context import Studio
from demo.gpu import Step
from demo.parts.errors import guarded
from demo.parts.events import QUIET, Data, reporter
from demo.parts.first_sight import About
from demo.parts.long_job import can_be_stopped, has_stopped
from demo.parts.queued import queued
from demo.parts.send_to import TabHandle
from demo.parts.tab import Tab, without_weights
from demo.parts.uploads import MAX_PIXELS
from demo.session import Session
from gan_core.comodgan.models import comodgan_models
from gan_core.errors import Busy, StudioError

Steps = Generator[Step | Result, None, None]

_ABOUT = About(
    "Paint over part of a picture, from a scratch to nearly all of it, and get several different completions.",
    (
        "What you paint over is taken out of the picture.",
        "A network reads what is left; random numbers, others for each result, say what is new.",
        "Both together steer the generator, layer by layer (co-modulation): it fits, and each result is another one.",
    ),
    "Small holes are repaired, large ones imagined. What you do not paint over stays as it is, to the last bit.",
)
_MISSING = (
    "The weights of the networks that fill holes are not on this machine, so this tab has nothing to fill with. "
    "`python -m gan_core.checkpoints.fetch` lists published ones."
)
_PAINTED = "comodgan-painted"
_CREDIT = (
    "Method: [Large Scale Image Completion via Co-Modulated Generative Adversarial Networks]"
    "(https://github.com/zsyzzsoft/co-mod-gan) (Zhao et al., ICLR 2021). What you do not paint over stays as it is, to "
    "the last bit. Results are marked as edited."
)


class FillAHole:
    """The tab's components and its handlers."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        models = studio.offer(lambda: comodgan_models(studio.settings.weights))
        self.editor = Editor.for_app(models, studio.settings)
        self.hole = HolePanel(studio, self.editor) if self.editor.of_kind(HOLE) else None
        self.drawing = DrawingPanel(studio, self.editor) if self.editor.of_kind(DRAWING) else None
        self.results = ResultPanel(studio, self.editor)
        studio.warmers.append(self.editor.warm_up)

    # Layout

    def build(self, tab_id: str, label: str) -> TabHandle:
        """Lay the tab out inside the current gr.Tab, wire it, and add its endpoints."""
        api.build(self.studio, self.editor)
        if not self.hole and not self.drawing:
            return without_weights(tab_id, label, _MISSING)
        _ABOUT.build()
        with gr.Row(elem_classes="comodgan-work"):
            with gr.Column(elem_classes="comodgan-input"):
                self._build_modes()
            with gr.Column(elem_classes="comodgan-result"):
                self.results.build()
                send_row = gr.Row(elem_classes="actions send-to")
        gr.Markdown(_CREDIT, elem_classes="credit")
        self._wire()
        takes = self.hole.photo if self.hole else None
        menus = [panel.run.menu for panel in (self.hole, self.drawing) if panel]
        return TabHandle(tab_id, label, takes=takes, gives=self.results.result, row=send_row, menus=menus)

    def _build_modes(self) -> None:
        """The modes that there are weights for; with a single one the tab bar is hidden."""
        with gr.Tabs(elem_classes=[] if self.hole and self.drawing else ["one-way"]) as self.modes:
            if self.hole:
                with gr.Tab("Fill a hole", id="hole"):
                    self.hole.build()
            if self.drawing:
                with gr.Tab("From a drawing", id="drawing"):
                    self.drawing.build()

    def _wire(self) -> None:
        for panel, handler in ((self.hole, self.on_fill), (self.drawing, self.on_draw)):
            if panel:
                run, shown_on = panel.run, self.results.compare
                outputs = [*self.results.outputs, run.start, run.dice, run.stop]
                reader = self._reader(panel)
                stopped = has_stopped(self.studio.sessions, run.job)
                handler = queued(handler, idle=run.idle, stopped=stopped)
                for event in run.wire(reader, panel.painting, panel.paint, handler, outputs, shown_on):
                    ended = [self.results.gallery, self.results.steps, self.results.earlier, self.results.later]
                    event.then(self.results.on_end, None, ended, **QUIET)
                can_be_stopped(self.studio.sessions, run.job, run.stop)
                panel.wire()
        self.results.wire(self.modes, self.hole.photo if self.hole else None)

    # Handlers

    def _reader(self, panel: HolePanel | DrawingPanel) -> Callable[[Data, gr.Request], Data]:
        """A handler that keeps what is painted for the run that follows, or the error if it cannot be used."""

        def on_read(data: Data, request: gr.Request) -> Data:
            session = self.studio.sessions.get(request.session_hash)
            session.job(panel.run.job).ask()
            try:
                found: Any = panel.read(data, session)
            except StudioError as error:
                found = error
            session.keep(_PAINTED, found, MAX_PIXELS)
            return panel.run.busy()

        return guarded(on_read)

    def on_fill(self, data: Data, request: gr.Request, progress: gr.Progress = gr.Progress()) -> Iterator[Data]:
        """Fill the hole, showing each result as it is made."""
        assert self.hole is not None
        run = self.hole.run

        def begin(session: Session, painted: tuple[Photo, np.ndarray | None]) -> tuple[Image.Image, Steps]:
            choice, seeds = self.editor.model(data[run.model], HOLE), run.seeds(data)
            photo, mask = painted
            steps = self.editor.fill(session, photo, mask, choice, seeds, data[run.psi], reporter(progress))
            return photo.picture, steps

        yield from self._running(run, request, begin)

    def on_draw(self, data: Data, request: gr.Request, progress: gr.Progress = gr.Progress()) -> Iterator[Data]:
        """Draw portraits of the drawing, showing each one as it is made."""
        assert self.drawing is not None
        run = self.drawing.run

        def begin(session: Session, lines: np.ndarray) -> tuple[Image.Image, Steps]:
            choice, seeds = self.editor.model(data[run.model], DRAWING), run.seeds(data)
            steps = self.editor.draw(lines, choice, seeds, data[run.psi], reporter(progress))
            return as_picture(lines, choice.resolution), steps

        yield from self._running(run, request, begin)

    def _running(
        self, run: RunBar, request: gr.Request, begin: Callable[[Session, Any], tuple[Image.Image, Steps]]
    ) -> Iterator[Data]:
        """Run a job, showing its results. begin: takes what was painted and returns the picture that results are
        compared with, and the steps of the work."""
        session = self.studio.sessions.get(request.session_hash)
        job, message = session.job(run.job), self.results.message
        if job.stopped:
            yield {**run.idle(), **self.results.end(session, [], stopped=True)}
            return
        yield {**run.busy(), message: "Starting ..."}
        results: list[Result] = []
        try:
            painted = session.recall(_PAINTED)
            if painted is None or isinstance(painted, StudioError):
                raise painted or Busy("What was painted had to make room. Please try again.")
            before, steps = begin(session, painted)
            with closing(steps):
                for step in steps:
                    if isinstance(step, Result):
                        updates = {} if results else self.results.begin(session, before)
                        results.append(step)
                        yield {**updates, **self.results.add(session, step)}
                    else:
                        yield {message: f"{step.text} ..."}
                    if job.stopped:
                        break
        except StudioError as error:
            yield {message: str(error)}
            raise
        yield self.results.end(session, results, stopped=job.stopped)


TAB = Tab("comodgan", "Fill a hole", FillAHole)
