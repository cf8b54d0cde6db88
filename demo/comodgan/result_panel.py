"""The result column of "Fill a hole": the results as they are made, and the chosen one compared with its input."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from demo.comodgan.editor import Editor, Result
from demo.context import Studio
from demo.parts.download import download_button
from demo.parts.errors import guarded
from demo.parts.events import QUIET, Data
from demo.parts.pictures import shown
from demo.session import Session
from gan_core.images import resize_within

_SIDE = 1024  # longer side of the compared pictures, pixels
_THUMBNAIL = 320
_EXACT = 2_000_000  # pixels up to which another tab is sent a lossless file
_BEFORE, _THUMBNAILS = "comodgan-before", "comodgan-thumbnails"
_WELCOME = "The results come here. Click one to compare it with what it was made of."


class ResultPanel:
    """The result column. `result` holds the path of the chosen one, `chosen` its number."""

    def __init__(self, studio: Studio, editor: Editor) -> None:
        self.studio, self.editor = studio, editor

    def build(self) -> None:
        """Lay it out in the current context."""
        self.message = gr.Markdown(_WELCOME, elem_classes="notice", elem_id="comodgan-state")
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
        self.result, self.chosen = gr.State(None), gr.State(0)

    @property
    def outputs(self) -> list[Any]:
        """The components that `begin` and `add` set."""
        return [self.message, self.compare, self.gallery, self.again, self.result, self.chosen]

    def wire(self, modes: gr.Tabs, photo: gr.Image | None) -> None:
        """Connect the events. photo: the input to which a result can be sent back; it is in the tab "hole" of modes."""
        chosen = [self.compare, self.result, self.chosen]
        self.gallery.select(guarded(self.on_choose), None, chosen, **QUIET)
        self.again.visible = photo is not None
        if photo is not None:
            self.again.click(guarded(self.on_again), self.chosen, photo, **QUIET).success(
                lambda: gr.Tabs(selected="hole"), None, modes, **QUIET
            )
        with self.download_place:
            download_button("Download PNG", self.make_download, self.chosen, elem_id="comodgan-download")

    def begin(self, session: Session, before: Image.Image) -> Data:
        """Begin a new run, without results. before: the picture that they will be compared with."""
        session.keep(_BEFORE, shown(session, "before", resize_within(before, _SIDE)), 0)
        session.keep(_THUMBNAILS, [], 0)
        return {self.again: gr.Button(interactive=False)}

    def add(self, session: Session, results: Sequence[Result]) -> Data:
        """Show one more result; the first one is chosen."""
        self.editor.keep(session, list(results))
        latest = results[-1]
        small = shown(session, "thumbnail", resize_within(latest.picture, _THUMBNAIL))
        thumbnails = [*(session.recall(_THUMBNAILS) or []), (small, f"seed {latest.seed}")]
        session.keep(_THUMBNAILS, thumbnails, 0)
        updates: Data = {self.gallery: _gallery(thumbnails)}
        if len(results) == 1:
            updates |= {self.again: gr.Button(interactive=True)}
            updates |= dict(zip((self.compare, self.result, self.chosen), self._chosen(session, 0), strict=True))
        return updates

    def on_end(self, request: gr.Request) -> gr.Gallery:
        """Show all results of the run again: updates may be lost while the gallery appears."""
        return _gallery(self.studio.sessions.get(request.session_hash).recall(_THUMBNAILS) or [])

    def on_choose(self, request: gr.Request, event: gr.SelectData) -> list[Any]:
        """Another one of the results."""
        return self._chosen(self.studio.sessions.get(request.session_hash), int(event.index))

    def on_again(self, chosen: int, request: gr.Request) -> str:
        """The chosen result becomes the picture."""
        session = self.studio.sessions.get(request.session_hash)
        return str(self.editor.save(session, self.editor.result(session, int(chosen)), "again"))

    def make_download(self, chosen: int, request: gr.Request) -> str:
        """The chosen result as a marked PNG."""
        session = self.studio.sessions.get(request.session_hash)
        return str(self.editor.save(session, self.editor.result(session, int(chosen))))

    def _chosen(self, session: Session, index: int) -> list[Any]:
        """Values for compare, result and chosen."""
        picture = self.editor.result(session, index).picture
        after = shown(session, "after", resize_within(picture, _SIDE))
        before = session.recall(_BEFORE)
        if before is None or not Path(before).is_file():
            before = after
        exact = picture.width * picture.height <= _EXACT
        return [(before, after), shown(session, "result", picture, exact=exact), index]


def _gallery(thumbnails: Sequence[tuple[str, str]]) -> gr.Gallery:
    return gr.Gallery(list(thumbnails), visible=bool(thumbnails), selected_index=None)
