"""A domain vector from uploaded pictures: two small sets, and a slider for their mean difference."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from demo.context import Studio
from demo.parts.events import Data, reporter
from demo.parts.queued import QUEUE, queued
from demo.session import Session
from demo.swapping_autoencoder.editor import MOST_IN_A_SET, Editor
from demo.swapping_autoencoder.files import pictures_input
from gan_core.errors import BadValue

_HINT = (
    "Upload a few pictures that have something (snow, a certain light, ...) and a few that lack it. Their mean "
    "difference becomes a slider."
)


class VectorPanel:
    """Two sets of uploads, a button, a slider. `strength` is an input of every drawing."""

    def __init__(self, studio: Studio, editor: Editor) -> None:
        self.studio, self.editor = studio, editor

    def build(self) -> None:
        """Lay it out in the current context."""
        gr.Markdown(_HINT, elem_classes="hint")
        self.having = pictures_input(
            label=f"Have it (up to {MOST_IN_A_SET})", height=110, elem_id="swapping-autoencoder-having"
        )
        self.lacking = pictures_input(
            label=f"Lack it (up to {MOST_IN_A_SET})", height=110, elem_id="swapping-autoencoder-lacking"
        )
        self.make = gr.Button("Make the slider", size="sm", elem_id="swapping-autoencoder-vector-make")
        self.state = gr.Markdown("", elem_id="swapping-autoencoder-vector-state")
        self.strength = gr.Slider(
            -2, 2, value=0, step=0.05, label="Your own vector", visible=False, elem_id="swapping-autoencoder-vector"
        )

    def wire(self, model: gr.Dropdown, cut: gr.Checkbox, redraw: Callable[[Any], None]) -> None:
        """Connect the button. redraw: adds the drawing to an event."""

        @queued
        def on_make(data: Data, request: gr.Request, progress: gr.Progress = gr.Progress()) -> Data:
            session = self.studio.sessions.get(request.session_hash)
            choice = self.editor.model(data[model])
            having, lacking = data[self.having], data[self.lacking]
            if not having or not lacking:
                raise BadValue("Please give at least one picture for each of the two sets.")
            vector = self.editor.vector(
                session, having, lacking, choice, cut_face=data[cut],
                progress=reporter(progress),
            )  # fmt: skip
            session.keep(("swapping-autoencoder-vector", choice.model), vector, 4 * vector.numel())
            return {
                self.strength: gr.Slider(visible=True, value=1),
                self.state: f"Made from {len(having)} and {len(lacking)} pictures.",
            }

        redraw(
            self.make.click(
                on_make,
                {self.having, self.lacking, model, cut},
                [self.strength, self.state],
                api_visibility="private",
                show_progress_on=[self.state],
                **QUEUE,
            )
        )

    def vector(self, session: Session, model: str) -> Any:
        """The vector made for that model (registry name), or None."""
        return session.recall(("swapping-autoencoder-vector", model))
