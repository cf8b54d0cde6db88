"""The grid: pictures over the whole ranges of two attributes, by both methods."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import gradio as gr
from PIL import Image

from demo.context import Studio
from demo.gpu import Done
from demo.parts.download import download_button
from demo.parts.events import QUIET, Data
from demo.parts.long_job import has_stopped, idle, long_job, start_and_stop
from demo.parts.pictures import captioned_picture, shown
from demo.parts.queued import QUEUE, queued
from demo.self_conditioned.editor import GRID_SIDES, Editor, Subject
from demo.self_conditioned.filmstrip_panel import OWN, PLAIN, Request, names_of
from demo.self_conditioned.image_grid import captioned, cell_at, image_grid
from gan_core.errors import BadValue
from gan_core.self_conditioned.models import SelfConditionedModel

Pictures = list[list[Image.Image]]
_SIDE = 128  # pixels of a picture on the page
_KEPT, _JOB = "self-conditioned-grid", "self_conditioned.grid"


@dataclass(frozen=True)
class Grid:
    """The last grid that was drawn."""

    choice: SelfConditionedModel
    subject: Subject
    down: str
    across: str
    values: dict[str, float]
    parts: tuple[tuple[str, Pictures], ...]
    """By method."""


class GridPanel:
    """Controls and pictures of the grid. read: reads the page's inputs from a handler's data."""

    def __init__(self, studio: Studio, editor: Editor, read: Callable[..., Request]) -> None:
        self.studio, self.editor, self.read = studio, editor, read

    def build(self, first: SelfConditionedModel) -> None:
        """Lay it out in the current context."""
        choices = names_of(first)
        names = [name for _, name in choices] + [None, None]
        with gr.Row(elem_classes="actions"):
            self.across = gr.Dropdown(
                choices, value=names[0], label="Across", min_width=120, elem_id="self-conditioned-grid-across"
            )
            self.down = gr.Dropdown(
                choices, value=names[1], label="Down", min_width=120, elem_id="self-conditioned-grid-down"
            )
            self.side = gr.Dropdown(
                [(f"{n} x {n}", n) for n in GRID_SIDES], value=5, label="Pictures", min_width=100,
                elem_id="self-conditioned-grid-side",
            )  # fmt: skip
        with gr.Row(elem_classes="actions"):
            self.start = gr.Button("Draw the grid", variant="primary", size="md", elem_id="self-conditioned-grid-start")
            self.stop = gr.Button(
                "Stop", variant="stop", size="md", interactive=False, elem_id="self-conditioned-grid-stop"
            )
        self.state = gr.Markdown("", elem_id="self-conditioned-grid-state", elem_classes="hint")
        with gr.Row():
            self.own = captioned_picture(OWN, "self-conditioned-grid-own", min_width=260)
            self.plain = captioned_picture(PLAIN, "self-conditioned-grid-plain", min_width=260)
        self.download_place = gr.Row()

    def wire(self, inputs: set[Any], pick: Callable[..., None]) -> None:
        """Connect the events. pick(event, handler): connects a click on a picture; the handler returns values by
        attribute."""
        inputs = inputs | {self.down, self.across, self.side}
        long_job(self.studio.sessions, _JOB, self.start, self.stop).then(
            queued(self.on_start, idle=idle(self.start, self.stop), stopped=has_stopped(self.studio.sessions, _JOB)),
            inputs,
            [self.own, self.plain, self.state, self.start, self.stop],
            show_progress="hidden",
            api_visibility="private",
            **QUEUE,
        ).then(lambda: start_and_stop(busy=False), None, [self.start, self.stop], **QUIET)
        for place in (self.own, self.plain):
            pick(place.select, self.on_pick)
        with self.download_place:
            download_button("Download as PNG", self.make_download, inputs, elem_id="self-conditioned-grid-download")

    def on_start(self, data: Data, request: gr.Request) -> Iterator[Data]:
        """Draw this method's grid, then that of the plain direction, showing the progress."""
        session, choice, subject, values = self.read(data, request)
        job = session.job(_JOB)
        down, across, places = data[self.down], data[self.across], (self.own, self.plain)
        yield {self.state: "Stopped." if job.stopped else "Drawing"}
        if job.stopped:
            return
        parts: list[tuple[str, Pictures]] = []
        for name, place, plain in zip((OWN, PLAIN), places, (False, True), strict=True):
            steps = self.editor.grid(choice, subject, down, across, data[self.side], values, plain=plain)
            with closing(steps):
                for step in steps:
                    if job.stopped:
                        yield {self.state: "Stopped."}
                        return
                    if not isinstance(step, Done):
                        yield {self.state: f"{name}: {step.text} ..."}
                        continue
                    parts.append((name, step.value))
                    grid = Grid(choice, subject, down, across, values, tuple(parts))
                    session.keep(_KEPT, grid, 4 * len(parts) * len(step.value) ** 2 * choice.resolution**2)
                    rest = {} if plain else {self.plain: None}
                    yield {**rest, place: shown(session, "grid", image_grid(step.value, _SIDE))}
        yield {self.state: f"{_told(grid)} Click a picture to continue with it."}

    def on_pick(self, data: Data, request: gr.Request, event: gr.SelectData) -> dict[str, float]:
        """The values of the picture that was clicked."""
        grid = self._kept(request)
        count = len(grid.parts[0][1])
        row, column = (round(min(place, count - 1) / (count - 1), 2) for place in cell_at(event.index, _SIDE))
        return {grid.down: row, grid.across: column}

    def make_download(self, data: Data, request: gr.Request) -> str:
        """Both grids as one marked PNG."""
        session, grid = self.studio.sessions.get(request.session_hash), self._kept(request)
        parts = [(f"{name}. {_told(grid)}", image_grid(rows, grid.choice.resolution)) for name, rows in grid.parts]
        what = f"grid of {grid.across} across and {grid.down} down from 0 to 1"
        picture = captioned(parts)
        return str(self.editor.save(session, picture, grid.choice, grid.subject, grid.values, method=what))

    def _kept(self, request: gr.Request) -> Grid:
        grid = self.studio.sessions.get(request.session_hash).recall(_KEPT)
        if grid is None:
            raise BadValue("There is no grid here yet. Please draw it first.")
        return grid


def _told(grid: Grid) -> str:
    sliders = {slider.name: slider for slider in grid.choice.sliders}
    across, down = sliders[grid.across], sliders[grid.down]
    return (
        f"Across: {across.label.lower()}, {across.low} → {across.high}. "
        f"Down: {down.label.lower()}, {down.low} → {down.high}."
    )
