"""A domain vector from uploaded pictures: two small sets, and a slider for their mean difference."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from demo.context import Studio
from demo.parts.download import download_button
from demo.parts.events import Data, reporter
from demo.parts.files import pictures_input
from demo.parts.queued import QUEUE, queued
from demo.session import Session
from demo.swapping_autoencoder.editor import MOST_IN_A_SET, Editor
from gan_core.errors import BadValue

if TYPE_CHECKING:
    from gan_core.own_direction import OwnDirection

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
        self.name = gr.Textbox(label="Its name", placeholder="My direction", elem_id="swapping-autoencoder-vector-name")
        self.make = gr.Button("Make the slider", size="sm", elem_id="swapping-autoencoder-vector-make")
        self.state = gr.Markdown("", elem_id="swapping-autoencoder-vector-state")
        self.strength = gr.Slider(
            -2, 2, value=0, step=0.05, label="Your own vector", visible=False, elem_id="swapping-autoencoder-vector"
        )
        self.save_place = gr.Row()
        self.load = pictures_input(
            label="Load a saved one", height=135, kinds=[".safetensors"], elem_id="swapping-autoencoder-vector-load"
        )

    def wire(self, model: gr.Dropdown, cut: gr.Checkbox, redraw: Callable[[Any], None]) -> None:
        """Connect the button. redraw: adds the drawing to an event."""

        @queued
        def on_make(data: Data, request: gr.Request, progress: gr.Progress = gr.Progress()) -> Data:
            from gan_core.own_direction import OwnDirection, checked_name

            session = self.studio.sessions.get(request.session_hash)
            choice = self.editor.model(data[model])
            having, lacking = data[self.having], data[self.lacking]
            if not having or not lacking:
                raise BadValue("Please give at least one picture for each of the two sets.")
            vector = self.editor.vector(
                session, having, lacking, choice, cut_face=data[cut],
                progress=reporter(progress),
            )  # fmt: skip
            note = " One picture each: all that differs between the two is in it." if len(having + lacking) == 2 else ""
            told = f"Made from {len(having)} and {len(lacking)} pictures.{note}"
            return self._use(session, OwnDirection(checked_name(data[self.name]), choice.model, vector), told)

        @queued
        def on_load(data: Data, request: gr.Request) -> Data:
            from gan_core.own_direction import read

            session = self.studio.sessions.get(request.session_hash)
            if not data[self.load]:
                return {self.state: ""}
            path, choice = data[self.load][0], self.editor.model(data[model])
            session.own_upload(path)
            found = read(Path(path), choice.model, self.editor.vector_shape(choice))
            return self._use(session, found, f"*{found.name}* is loaded.")

        def on_save(data: Data, request: gr.Request) -> str:
            from gan_core.own_direction import save

            session = self.studio.sessions.get(request.session_hash)
            direction = self._made(session, self.editor.model(data[model]).model)
            if direction is None:
                raise BadValue("There is no direction yet. Please make the slider first.")
            path = session.new_file("direction", ".safetensors")
            save(direction, path)
            return str(path)

        redraw(
            self.make.click(
                on_make,
                {self.having, self.lacking, self.name, model, cut},
                [self.strength, self.state],
                api_visibility="private",
                show_progress_on=[self.state],
                **QUEUE,
            )
        )
        redraw(
            self.load.upload(
                on_load,
                {self.load, model},
                [self.strength, self.state],
                api_visibility="private",
                show_progress_on=[self.state],
                **QUEUE,
            )
        )
        with self.save_place:
            download_button("Save it to a file", on_save, {model}, elem_id="swapping-autoencoder-vector-save")

    def vector(self, session: Session, model: str) -> Any:
        """The vector made for that model (registry name), or None."""
        direction = self._made(session, model)
        return None if direction is None else direction.vector

    def _made(self, session: Session, model: str) -> OwnDirection | None:
        return session.recall(("swapping-autoencoder-vector", model))

    def _use(self, session: Session, direction: OwnDirection, told: str) -> Data:
        session.keep(("swapping-autoencoder-vector", direction.model), direction, 4 * direction.vector.numel())
        return {self.strength: gr.Slider(label=direction.name, visible=True, value=1), self.state: told}
