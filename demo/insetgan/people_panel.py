"""Choosing the body or the face: a gallery of seeds with what changes them, or a photo."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from demo.context import Studio
from demo.insetgan import stick_figures
from demo.insetgan.editor import ROLL, Editor, Person
from demo.parts.errors import guarded
from demo.parts.events import QUIET, Data
from demo.parts.examples import examples_row
from demo.parts.numbers import LARGEST_SEED, whole_number
from demo.parts.photo import photo_input
from demo.parts.pictures import shown
from demo.parts.queued import QUEUE, queued
from demo.parts.sliders import SliderGroup
from demo.session import Session
from gan_core.insetgan.models import BodyPose, InsetGANModel

_PSI = 0.7
_RENDERED = (
    "These bodies were learnt from rendered (CG) pictures, the faces from photographs. Nobody here is real. A slider "
    "changes all bodies of the gallery."
)


class PersonPanel:
    """Chooses one of the two people. kind: "body" or "face". `photo`: its upload, which other tabs may set."""

    def __init__(self, studio: Studio, editor: Editor, kind: str) -> None:
        self.studio, self.editor, self.kind = studio, editor, kind
        self.bank: SliderGroup[InsetGANModel] = SliderGroup(
            editor.models.values(),
            lambda choice: choice.sliders if kind == "body" else (),
            f"insetgan-{kind}-slider",
            step=0.1,
        )

    def build(self, seed: int, first: InsetGANModel) -> None:
        """Lay it out in the current context, for the weights `first`. seed: chosen initially; it is on the gallery's
        first page."""
        what = self.kind.capitalize()
        with gr.Tabs(elem_classes="tight"):
            with gr.Tab(f"{what}: seeds"):
                self.gallery = gr.Gallery(
                    show_label=False, columns=6, allow_preview=False, interactive=False, buttons=[],
                    object_fit="contain", **self._shape(first), elem_id=f"insetgan-{self.kind}-gallery",
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
                self.hint = gr.Markdown(**self._hint(first), elem_classes="hint", elem_id=f"insetgan-{self.kind}-hint")
                with (
                    gr.Accordion("Change the bodies", open=False, visible=self._changes(first)) as self.changing,
                    gr.Column(elem_classes="sliders"),
                ):
                    self.poses = gr.Markdown("Pose", visible=bool(self._poses(first)), elem_classes="hint")
                    self.figures = gr.Gallery(
                        **self._figures(first), show_label=False, columns=5, height=260, allow_preview=False,
                        interactive=False, buttons=[], object_fit="contain", elem_classes=["seeds", "tall"],
                        elem_id=f"insetgan-{self.kind}-poses",
                    )  # fmt: skip
                    self.bank.build(first)
            with gr.Tab("Photo"), gr.Column(elem_classes="few-examples"):
                self.photo = photo_input(
                    label=f"Takes the place of the {self.kind}'s seed",
                    height=200,
                    elem_id=f"insetgan-{self.kind}-photo",
                )
                self.studio.sessions.shared |= examples_row(self.photo)
        self.start = seed // ROLL * ROLL
        self.first = gr.State(self.start)
        self.pose = gr.State(None)  # of the model's poses, counted from 0; None: each body's own

    @property
    def drawn_by(self) -> set[Any]:
        """The components that the gallery's pictures depend on, but for the weights."""
        return {self.psi, self.pose, *self.bank.sliders}

    @property
    def inputs(self) -> set[Any]:
        """The components that `person` reads."""
        return {self.seed, self.psi, self.photo, self.pose, *self.bank.sliders}

    def person(self, data: Data, choice: InsetGANModel) -> Person:
        """The chosen person. Raises BadValue."""
        seed = whole_number(data[self.seed], "A seed", 0, LARGEST_SEED)
        strengths = self.bank.read(choice, data)
        return Person(seed, float(data[self.psi]), data[self.photo] or None, strengths, data[self.pose])

    def wire(self, model: gr.Dropdown) -> None:
        """Connect the gallery."""
        inputs = {self.first, model, *self.drawn_by}
        rolled: dict[str, Any] = {"api_visibility": "private", "show_progress": "minimal", **QUEUE}

        def on_roll(data: Data, request: gr.Request) -> Data:
            first = data[self.first] + ROLL
            return {self.first: first, self.gallery: self.rolled(data, request, data[model], first)}

        def on_change(data: Data, request: gr.Request) -> Data:
            return {self.gallery: self.rolled(data, request, data[model], data[self.first])}

        def on_model(name: str) -> list[Any]:
            choice = self.editor.model(name)
            changed = [gr.Gallery(**self._shape(choice)), gr.Markdown(**self._hint(choice))]
            changed += [gr.Accordion(visible=self._changes(choice)), gr.Markdown(visible=bool(self._poses(choice)))]
            changed += [gr.Gallery(**self._figures(choice)), None]
            return [*changed, *self.bank.updates(choice)]

        def on_pose(event: gr.SelectData) -> int | None:
            return int(event.index) - 1 if event.index else None

        def on_select(data: Data, event: gr.SelectData) -> int:
            return data[self.first] + int(event.index)

        self.roll.click(queued(on_roll), inputs, [self.first, self.gallery], **rolled)
        self.psi.release(queued(on_change), inputs, [self.gallery], **rolled)
        for slider in self.bank.sliders:
            slider.release(queued(on_change), inputs, [self.gallery], trigger_mode="always_last", **rolled)
        model.change(
            guarded(on_model),
            model,
            [self.gallery, self.hint, self.changing, self.poses, self.figures, self.pose, *self.bank.sliders],
            **QUIET,
        ).then(queued(on_change), inputs, [self.gallery], **rolled)
        self.figures.select(on_pose, None, self.pose, queue=False, api_visibility="private").then(
            queued(on_change), inputs, [self.gallery], trigger_mode="always_last", **rolled
        )
        self.gallery.select(on_select, {self.first}, self.seed, queue=False, api_visibility="private")

    def rolled(self, data: Data, request: gr.Request, model: str, first: int) -> list[tuple[str, str]]:
        """Pictures for the gallery, of seeds counted up from `first`."""
        session: Session = self.studio.sessions.get(request.session_hash)
        choice = self.editor.model(model)
        strengths = self.bank.read(choice, data)
        pictures = self.editor.roll(
            choice, self.kind, first, float(data[self.psi]), strengths=strengths, pose=data[self.pose]
        )
        thumbnails = []
        for seed, picture in pictures:
            small = picture.copy()
            small.thumbnail((160, 320))
            thumbnails.append((shown(session, f"roll-{self.kind}", small), str(seed)))
        return thumbnails

    def _shape(self, choice: InsetGANModel) -> dict[str, Any]:
        """Of the gallery: whole bodies are higher than they are wide."""
        tall = self.kind == "body" and choice.size[0] > choice.size[1]
        return {"height": 300 if tall else 146, "elem_classes": ["seeds", *(["tall"] if tall else [])]}

    def _poses(self, choice: InsetGANModel) -> Sequence[BodyPose]:
        return choice.poses if self.kind == "body" else ()

    def _figures(self, choice: InsetGANModel) -> dict[str, Any]:
        """The poses as drawings, the bodies' own first."""
        poses = self._poses(choice)
        own = [(stick_figures.drawn(None), "as it is")] if poses else []
        named = [(stick_figures.drawn(pose), f"pose {i}") for i, pose in enumerate(poses, start=1)]
        return {"value": own + named, "visible": bool(poses)}

    def _changes(self, choice: InsetGANModel) -> bool:
        return self.kind == "body" and bool(choice.sliders or choice.poses)

    def _hint(self, choice: InsetGANModel) -> dict[str, Any]:
        rendered = self.kind == "body" and choice.body == "rendered"
        return {"value": _RENDERED if rendered else "", "visible": rendered}
