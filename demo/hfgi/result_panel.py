"""The result of "Edit a face": the whole photo before and after, and the face close up with what consultation does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from demo.context import Studio
from demo.hfgi.first_sight import EXAMPLE
from demo.hfgi.work import Edited, Work
from demo.parts.events import ONCE_MOUNTED, QUIET, Data
from demo.parts.pictures import result_picture, shown, shown_once
from demo.session import Session

_CLOSE_UP = (
    "The *plain inversion* is what the encoder alone makes of the face; the *consultation* brings back what it lost."
)


class FaceResultPanel:
    """The two views, of which a visitor has one open. `build_whole` and `build_close_up` lay them out, each in the
    current gr.Tab."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    def build_whole(self, view: gr.Tab) -> None:
        """The whole photo; `below` is a place under it."""
        self._whole = view
        self._studio.sessions.shared |= EXAMPLE.build()
        self.compare = gr.ImageSlider(
            label="Before and after", type="filepath", interactive=False, max_height=560, buttons=["fullscreen"],
            elem_id="hfgi-compare",
        )  # fmt: skip
        self.below = gr.Column()

    def build_close_up(self, view: gr.Tab) -> None:
        """The face."""
        self._close = view
        gr.Markdown(_CLOSE_UP, elem_classes="hint")
        with gr.Row():
            self._crop = result_picture("The face, cut out", "hfgi-crop")
            self._plain = result_picture("Plain inversion", "hfgi-plain")
        with gr.Row():
            self._plain_edit = result_picture("Edit without consultation", "hfgi-plain-edit")
            self._crop_edit = result_picture("Edit with consultation", "hfgi-crop-edit")
        self.close_up, self.result = gr.State(False), gr.State(None)
        """Whether the face is what is seen; and the path of the last result."""

    @property
    def drawn(self) -> list[Any]:
        """What `updates` sets."""
        return [self.compare, self.result, self._crop, self._plain, self._plain_edit, self._crop_edit]

    def updates(self, session: Session, work: Work, edited: Edited, close_up: bool) -> Data:
        """Show a result. close_up: the pictures of the face, too."""
        before = shown_once(session, ("before", work.digest), "before", edited.before)
        after = shown(session, "after", edited.after)
        updates: Data = {self.compare: (before, after), self.result: after}
        if close_up:
            pictures = (edited.crop, edited.plain_inversion, edited.plain_edit, edited.crop_edit)
            places = (self._crop, self._plain, self._plain_edit, self._crop_edit)
            for place, picture in zip(places, pictures, strict=True):
                if picture is not None:
                    updates[place] = shown(session, "crop", picture, exact=True)
        return updates

    def wire(self, draw: Callable[[Any], Any]) -> None:
        """Connect the views. draw: adds the drawing to an event."""
        draw(self._close.select(lambda: True, None, self.close_up, js=ONCE_MOUNTED, **QUIET))
        self._whole.select(lambda: False, None, self.close_up, **QUIET)
