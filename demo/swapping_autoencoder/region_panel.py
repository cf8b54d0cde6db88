"""The region part of "Swap structure and texture": painting where the second picture is used."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr
import numpy as np

from demo.parts.errors import guarded
from demo.parts.events import ONCE_MOUNTED, QUIET, Data
from demo.parts.painting import layers_from, paint_input, paint_value, painted
from demo.parts.pictures import shown
from demo.session import Session
from demo.swapping_autoencoder.editor import OpenedPicture

KINDS = [("texture", "texture"), ("structure", "structure"), ("both", "both")]
_HINT = (
    "Pick the brush, paint on the first picture, then *Apply*. Inside, the second picture's texture (or structure, or "
    "both) is taken; outside the first picture stays. The border is soft."
)
_NOTHING = "Nothing is painted, so the whole picture changes."
Open = Callable[[Data, gr.Request], tuple[Session, OpenedPicture]]


class RegionPanel:
    """An image editor, and the region painted in it. `region`, `feather` and `used` are inputs of every drawing."""

    def build(self) -> None:
        """Lay it out in the current context."""
        gr.Markdown(_HINT, elem_classes="hint")
        with gr.Row():
            self.region = gr.Radio(KINDS, value="texture", label="Inside, take the second picture's")
            self.feather = gr.Slider(0, 0.15, value=0.04, step=0.01, label="Softness of the border")
        self.paint = paint_input(label="Paint here", height=420, elem_id="swapping-autoencoder-paint")
        with gr.Row(elem_classes="actions"):
            self.apply = gr.Button("Apply", variant="primary", size="sm", elem_id="swapping-autoencoder-region-apply")
            self.whole = gr.Button("Whole picture", size="sm", elem_id="swapping-autoencoder-region-whole")
        self.state = gr.Markdown("", elem_id="swapping-autoencoder-region-state")
        self.used = gr.State("")  # key of the picture that a region was applied to, or ""
        self.shown = gr.State("")  # key of the picture in the editor

    def wire(self, tab: gr.Tab, views: gr.Tabs, inputs: set[Any], opened: Open, redraw: Callable[[Any], None]) -> None:
        """Connect the buttons. views: the tabs, of which "result" is shown once a region is applied. opened: the first
        picture, out of a handler's data. redraw: adds the drawing to an event."""

        @guarded
        def on_open(data: Data, request: gr.Request) -> Data:
            session, source = opened(data, request)
            if data[self.shown] == source.key:
                return {self.state: gr.skip()}  # what is painted stays
            background = shown(session, "paint", source.picture)
            return {self.paint.editor: paint_value(session, background), self.shown: source.key, self.state: ""}

        @guarded
        def on_apply(data: Data, request: gr.Request) -> Data:
            session, source = opened(data, request)
            mask = painted(layers_from(session, data[self.paint.sent]), source.picture.size)
            if mask is None or data[self.shown] != source.key:
                return {self.used: "", self.state: _NOTHING}
            session.keep(("swapping-autoencoder-mask", source.key), mask, mask.nbytes)
            state = f"{mask.mean():.0%} of the picture are painted."
            return {self.used: source.key, self.state: state, views: gr.Tabs(selected="result")}

        tab.select(on_open, inputs, [self.paint.editor, self.shown, self.state], js=ONCE_MOUNTED, **QUIET)
        redraw(
            self.paint.sending(self.apply.click)(
                on_apply,
                inputs | {self.paint.sent},
                [self.used, self.state, views],
                api_visibility="private",
                queue=False,
            )
        )
        redraw(self.whole.click(lambda: ("", "The whole picture changes."), None, [self.used, self.state], **QUIET))

    def mask(self, data: Data, session: Session, source: OpenedPicture) -> np.ndarray | None:
        """The region applied to this picture, (H, W) bool; None for the whole picture."""
        return session.recall(("swapping-autoencoder-mask", source.key)) if data[self.used] == source.key else None
