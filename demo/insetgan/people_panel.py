"""Choosing the body or the face: a gallery of seeds, or a photo."""

from __future__ import annotations

from typing import Any

import gradio as gr

from demo.context import Studio
from demo.insetgan.editor import ROLL, Editor, Person
from demo.parts.events import Data
from demo.parts.examples import examples_row
from demo.parts.numbers import LARGEST_SEED, whole_number
from demo.parts.photo import photo_input
from demo.parts.pictures import shown
from demo.parts.queued import QUEUE, queued
from demo.session import Session

_PSI = 0.7


class PersonPanel:
    """Chooses one of the two people. kind: "body" or "face". `photo`: its upload, which other tabs may set."""

    def __init__(self, studio: Studio, editor: Editor, kind: str) -> None:
        self.studio, self.editor, self.kind = studio, editor, kind

    def build(self, seed: int) -> None:
        """Lay it out in the current context. seed: chosen initially; it is on the gallery's first page."""
        what = self.kind.capitalize()
        with gr.Tabs(elem_classes="tight"):
            with gr.Tab(f"{what}: seeds"):
                self.gallery = gr.Gallery(
                    show_label=False, columns=6, height=146, allow_preview=False, interactive=False, buttons=[],
                    object_fit="contain", elem_classes="seeds", elem_id=f"insetgan-{self.kind}-gallery",
                )  # fmt: skip
                with gr.Row(elem_classes="actions"):
                    self.seed = gr.Number(
                        seed, label="Seed", precision=0, minimum=0, min_width=60, scale=1,
                        elem_id=f"insetgan-{self.kind}-seed",
                    )  # fmt: skip
                    self.psi = gr.Slider(
                        0, 1, value=_PSI, step=0.05, label="Truncation", min_width=120, scale=2,
                        elem_id=f"insetgan-{self.kind}-psi",
                    )  # fmt: skip
                self.roll = gr.Button("Roll others", size="sm", elem_id=f"insetgan-{self.kind}-roll")
            with gr.Tab("Photo"), gr.Column(elem_classes="few-examples"):
                self.photo = photo_input(
                    label=f"Takes the place of the {self.kind}'s seed",
                    height=200,
                    elem_id=f"insetgan-{self.kind}-photo",
                )
                self.studio.sessions.shared |= examples_row(self.photo)
        self.start = seed // ROLL * ROLL
        self.first = gr.State(self.start)

    @property
    def inputs(self) -> set[Any]:
        """The components that `person` reads."""
        return {self.seed, self.psi, self.photo}

    def person(self, data: Data) -> Person:
        """The chosen person. Raises BadValue."""
        seed = whole_number(data[self.seed], "A seed", 0, LARGEST_SEED)
        return Person(seed, float(data[self.psi]), data[self.photo] or None)

    def wire(self, model: gr.Dropdown) -> None:
        """Connect the gallery."""
        inputs = {self.first, self.psi, model}
        rolled: dict[str, Any] = {"api_visibility": "private", "show_progress": "minimal", **QUEUE}

        def on_roll(data: Data, request: gr.Request) -> Data:
            first = data[self.first] + ROLL
            return {self.first: first, self.gallery: self.rolled(data, request, data[model], first)}

        def on_change(data: Data, request: gr.Request) -> Data:
            return {self.gallery: self.rolled(data, request, data[model], data[self.first])}

        def on_select(data: Data, event: gr.SelectData) -> int:
            return data[self.first] + int(event.index)

        self.roll.click(queued(on_roll), inputs, [self.first, self.gallery], **rolled)
        self.psi.release(queued(on_change), inputs, [self.gallery], **rolled)
        model.change(queued(on_change), inputs, [self.gallery], **rolled)
        self.gallery.select(on_select, {self.first}, self.seed, queue=False, api_visibility="private")

    def rolled(self, data: Data, request: gr.Request, model: str, first: int) -> list[tuple[str, str]]:
        """Pictures for the gallery, of seeds counted up from `first`."""
        session: Session = self.studio.sessions.get(request.session_hash)
        pictures = self.editor.roll(self.editor.model(model), self.kind, first, float(data[self.psi]))
        thumbnails = []
        for seed, picture in pictures:
            small = picture.copy()
            small.thumbnail((160, 160))
            thumbnails.append((shown(session, f"roll-{self.kind}", small), str(seed)))
        return thumbnails
