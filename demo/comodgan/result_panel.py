"""The result column of "Fill a hole": the results as they are made, the chosen one compared with its input, and the way
back to the results of earlier runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from demo.comodgan.editor import Editor, Result
from demo.comodgan.history import History, RunResults
from demo.context import Studio
from demo.parts.download import download_button
from demo.parts.errors import guarded
from demo.parts.events import QUIET, Data
from demo.parts.first_sight import Example
from demo.parts.pictures import shown
from demo.session import Session
from gan_core.images import resize_within

_SIDE = 1024  # longer side of the compared pictures, pixels
_THUMBNAIL = 320
_EXACT = 2_000_000  # pixels up to which another tab is sent a lossless file
_BEFORE, _THUMBNAILS = "comodgan-before", "comodgan-thumbnails"
_EXAMPLE = Example("hole", ("Painted over", "One result", "Another"))
_WELCOME = "The results come here. Click one to compare it with what it was made of."


class ResultPanel:
    """The result column. `result` holds the path of the chosen one, `chosen` its number."""

    def __init__(self, studio: Studio, editor: Editor) -> None:
        self.studio, self.editor = studio, editor

    def build(self) -> None:
        """Lay it out in the current context."""
        self.message = gr.Markdown(_WELCOME, elem_classes="notice", elem_id="comodgan-state")
        self.studio.sessions.shared |= _EXAMPLE.build()
        self.compare = gr.ImageSlider(
            label="Before and after", type="filepath", interactive=False, max_height=520, slider_position=0,
            buttons=["fullscreen"], elem_id="comodgan-compare",
        )  # fmt: skip
        self.gallery = gr.Gallery(
            label="Results: click one", columns=4, height="auto", allow_preview=False, interactive=False, buttons=[],
            object_fit="contain", visible=False, elem_id="comodgan-gallery",
        )  # fmt: skip
        with gr.Row(elem_classes="actions"):
            self.again = gr.Button("Keep painting on it", size="sm", interactive=False, elem_id="comodgan-again")
            self.download_place = gr.Column(min_width=120)
        with gr.Row(elem_classes="actions", visible=False) as self.steps:
            self.earlier = gr.Button("◀ Earlier results", size="sm", elem_id="comodgan-earlier")
            self.later = gr.Button("Later results ▶", size="sm", elem_id="comodgan-later")
        self.result, self.chosen = gr.State(None), gr.State(0)

    @property
    def outputs(self) -> list[Any]:
        """The components that a run sets."""
        steps = [self.steps, self.earlier, self.later]
        return [self.message, self.compare, self.gallery, self.again, self.result, self.chosen, *steps]

    def wire(self, modes: gr.Tabs, photo: gr.Image | None) -> None:
        """Connect the events. photo: the input to which a result can be sent back; it is in the tab "hole" of modes."""
        chosen = [self.compare, self.result, self.chosen]
        self.gallery.select(guarded(self.on_choose), None, chosen, **QUIET)
        for button, by in ((self.earlier, -1), (self.later, 1)):
            button.click(guarded(self._on_step(by)), None, self.outputs, trigger_mode="once", **QUIET)
        self.again.visible = photo is not None
        if photo is not None:
            self.again.click(guarded(self.on_again), self.chosen, photo, **QUIET).success(
                lambda: gr.Tabs(selected="hole"), None, modes, **QUIET
            )
        with self.download_place:
            download_button("Download PNG", self.make_download, self.chosen, elem_id="comodgan-download")

    def begin(self, session: Session, before: Image.Image) -> Data:
        """Begin a new run, without results. before: the picture that they will be compared with."""
        small = resize_within(before, _SIDE)
        History.of(session).begin(session, small)
        session.keep(_BEFORE, shown(session, "before", small), 0)
        session.keep(_THUMBNAILS, [], 0)
        waits = gr.Button(interactive=False)
        return {self.again: waits, self.earlier: waits, self.later: waits}

    def add(self, session: Session, result: Result) -> Data:
        """Show one more result; the first one is chosen."""
        results = History.of(session).add(session, result)
        thumbnails = [*(session.recall(_THUMBNAILS) or []), _thumbnail(session, result)]
        session.keep(_THUMBNAILS, thumbnails, 0)
        updates: Data = {self.gallery: _gallery(thumbnails)}
        if len(results) == 1:
            updates |= {self.again: gr.Button(interactive=True), **self._chosen(session, 0)}
        return updates

    def end(self, session: Session, results: Sequence[Result], *, stopped: bool) -> Data:
        """Say how a run ended."""
        message = _said(results, stopped=stopped)
        if results:
            History.of(session).say(message)
        return {self.message: message}

    def on_end(self, request: gr.Request) -> list[Any]:
        """Values for gallery, steps, earlier and later after a run. The gallery shows all results again: updates may be
        lost while it appears."""
        session = self.studio.sessions.get(request.session_hash)
        return [_gallery(session.recall(_THUMBNAILS) or []), *self._steps(History.of(session)).values()]

    def _on_step(self, by: int) -> Callable[[gr.Request], Data]:
        def on_step(request: gr.Request) -> Data:
            session = self.studio.sessions.get(request.session_hash)
            history = History.of(session)
            return self._show(session, history, history.step(by))

        return on_step

    def _show(self, session: Session, history: History, run: RunResults) -> Data:
        """Show an earlier run as it was at its end."""
        thumbnails = [_thumbnail(session, result) for result in run.results]
        said = run.message or _said(run.results, stopped=True)
        session.keep(_BEFORE, shown(session, "before", run.before), 0)
        session.keep(_THUMBNAILS, thumbnails, 0)
        return {
            self.gallery: _gallery(thumbnails),
            self.message: f"Run {history.at + 1} of {len(history.runs)}: {said}",
            self.again: gr.Button(interactive=True),
            **self._chosen(session, 0),
            **self._steps(history),
        }

    def _steps(self, history: History) -> Data:
        """Updates of the buttons that go to earlier and later runs."""
        last = len(history.runs) - 1
        return {
            self.steps: gr.Row(visible=last > 0),
            self.earlier: gr.Button(interactive=history.at > 0),
            self.later: gr.Button(interactive=history.at < last),
        }

    def on_choose(self, request: gr.Request, event: gr.SelectData) -> list[Any]:
        """Another one of the results."""
        return list(self._chosen(self.studio.sessions.get(request.session_hash), int(event.index)).values())

    def on_again(self, chosen: int, request: gr.Request) -> str:
        """The chosen result becomes the picture."""
        session = self.studio.sessions.get(request.session_hash)
        return str(self.editor.save(session, History.of(session).result(int(chosen)), "again"))

    def make_download(self, chosen: int, request: gr.Request) -> str:
        """The chosen result as a marked PNG."""
        session = self.studio.sessions.get(request.session_hash)
        return str(self.editor.save(session, History.of(session).result(int(chosen))))

    def _chosen(self, session: Session, index: int) -> Data:
        """Updates of compare, result and chosen, in this order."""
        picture = History.of(session).result(index).picture
        after = shown(session, "after", resize_within(picture, _SIDE))
        before = session.recall(_BEFORE)
        if before is None or not Path(before).is_file():
            before = after
        exact = picture.width * picture.height <= _EXACT
        return {
            self.compare: (before, after),
            self.result: shown(session, "result", picture, exact=exact),
            self.chosen: index,
        }


def _thumbnail(session: Session, result: Result) -> tuple[str, str]:
    return shown(session, "thumbnail", resize_within(result.picture, _THUMBNAIL)), f"seed {result.seed}"


def _gallery(thumbnails: Sequence[tuple[str, str]]) -> gr.Gallery:
    return gr.Gallery(list(thumbnails), visible=bool(thumbnails), selected_index=None)


def _said(results: Sequence[Result], *, stopped: bool) -> str:
    if not results:
        return "Stopped before there was a result."
    several = len(results) > 1
    many = f"{len(results)} results" if several else "1 result"
    hint = "Click one to compare it; drag the line over the picture." if several else "Drag the line to compare."
    return f"{'Stopped; ' if stopped else ''}{many}. {results[-1].remark or hint}"
