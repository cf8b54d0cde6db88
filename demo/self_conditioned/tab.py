"""Edit at the edges (Self-Conditioned GAN): layout and event handlers; the steps of the work are in
demo/self_conditioned/editor.py."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import gradio as gr

from demo import gpu
from demo.context import Studio
from demo.gpu import Done, Step
from demo.parts.batch_panel import BatchPanel
from demo.parts.choices import Menu, licence_line, weights_dropdown
from demo.parts.direction_panel import DirectionPanel
from demo.parts.download import download_button
from demo.parts.errors import guarded
from demo.parts.events import ONCE_MOUNTED, QUIET, Data
from demo.parts.long_job import has_stopped, idle, long_job, start_and_stop
from demo.parts.newest import ResultPlace
from demo.parts.numbers import LARGEST_SEED
from demo.parts.pictures import captioned_picture, shown
from demo.parts.queued import QUEUE, queued
from demo.parts.send_to import TabHandle
from demo.parts.settings_bar import ApiCall, Setting, SettingsBar
from demo.parts.tab import Tab, without_weights
from demo.self_conditioned import api
from demo.self_conditioned.directions import EdgeDirections
from demo.self_conditioned.editor import OPENING_SEED, REFINING, Editor, Origin, Subject
from demo.self_conditioned.face_panel import DICE, FacePanel, progress_bar
from demo.self_conditioned.filmstrip_panel import VIEW as STRIP_VIEW
from demo.self_conditioned.filmstrip_panel import FilmstripPanel, names_of
from demo.self_conditioned.first_sight import ABOUT, PRESETS
from demo.self_conditioned.grid_panel import GridPanel
from demo.self_conditioned.readout import HINT, readout
from demo.self_conditioned.sliders import ValueBank
from demo.self_conditioned.tasks import EditResult, InversionPreview
from demo.session import Session
from gan_core.errors import BadValue, StudioError
from gan_core.self_conditioned.models import SelfConditionedModel, self_conditioned_models

_MISSING = (
    "The weights of the self-conditioned generator are not on this machine, so this tab has nothing to draw with. "
    "They belong in weights/people_edges."
)
_CREDIT = (
    "Method: [Self-Conditioned GAN for Image Editing](https://github.com/yzliu567/sc-gan) (Liu et al., SIGGRAPH 2022), "
    "beside the plain latent direction (InterFaceGAN, Shen et al. 2020). Results are marked as edited."
)
_PREVIEW_EVERY = 0.5  # seconds between two pictures of a face that is being inverted
_READY = "Move a slider. The mark below each one is where this face is by itself."
_EDIT_VIEW = "edit"
_MOVED = "moved"  # in a batch's data


class EditAtTheEdges:
    """The tab's components and its handlers."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self.models = studio.offer(lambda: self_conditioned_models(published_folder=studio.settings.weights))
        self.editor = Editor.for_app(self.models, studio.settings)
        self.face = FacePanel(studio)
        self.bank = ValueBank(self.models.values())
        self.direction = DirectionPanel(studio, EdgeDirections(self.editor), "self-conditioned")
        self.batch = BatchPanel(studio, "self-conditioned", "self_conditioned.batch")
        self.bar = SettingsBar("self_conditioned", "self-conditioned", PRESETS, arrives=True)
        self.strip = FilmstripPanel(studio, self.editor, self.read)
        self.grid = GridPanel(studio, self.editor, self.read)
        studio.warmers.append(self.editor.warm_up)

    # Layout

    def build(self, tab_id: str, label: str) -> TabHandle:
        """Lay the tab out inside the current gr.Tab, wire it, and add its endpoints."""
        api.build(self.studio, self.editor)
        if not self.models:
            return without_weights(tab_id, label, _MISSING)
        first = next(iter(self.models.values()))
        ABOUT.build()
        with gr.Row(elem_classes="work"):
            with gr.Column(elem_classes="work-input"):
                self.message = gr.Markdown("", elem_classes="notice", elem_id="self-conditioned-message")
                self.face.build()
            with gr.Column(elem_classes="work-result"):
                self._build_result(first)
                send_row = gr.Row(elem_classes="send-to")
            with gr.Column(elem_classes="work-sliders"):
                self.model = weights_dropdown(self.models, "self-conditioned-model")
                self.bar.build({name: (_settings(one), _call(one)) for name, one in self.models.items()})
                with gr.Column(elem_classes="self-conditioned-sliders"):
                    self.bank.build(first)
                self.direction.build()
                self.batch.build()
                self.reset = gr.Button("Back to the face itself", size="sm", elem_id="self-conditioned-reset")
                self.readout = gr.HTML("", padding=False, elem_id="self-conditioned-readout")
                with gr.Accordion("What the numbers mean", open=False):
                    gr.Markdown(HINT, elem_classes="hint")
        self.licence = gr.Markdown(licence_line(first), elem_classes="credit")
        gr.Markdown(_CREDIT, elem_classes="credit")
        self.result, self.view = gr.State(None), gr.State(_EDIT_VIEW)
        # Mounted with the tab, the timer fires once when the tab is first opened.
        self.opened = gr.Timer(0.2)
        self._wire()
        menus = [Menu(self.model, self.models)]
        return TabHandle(tab_id, label, takes=self.face.photo, gives=self.result, row=send_row, menus=menus)

    def _build_result(self, first: SelfConditionedModel) -> None:
        with gr.Tabs() as self.views:
            with gr.Tab("Edit", id=_EDIT_VIEW) as self.edit_view:
                with gr.Row(elem_classes="self-conditioned-pair"):
                    self.before = captioned_picture("Before", "self-conditioned-before")
                    self.own = captioned_picture("Self-conditioned", "self-conditioned-own")
                    self.plain = captioned_picture("Plain direction", "self-conditioned-plain")
                self.download_place = gr.Row()
            with gr.Tab("Filmstrip", id=STRIP_VIEW, elem_classes="self-conditioned-tall") as self.strip_view:
                self.strip.build(first)
            with gr.Tab("Grid", id="grid", elem_classes="self-conditioned-tall") as self.grid_view:
                self.grid.build(first)

    def _wire(self) -> None:
        face, sliders = self.face, self.bank.sliders
        inputs = {*face.inputs, self.model, self.direction.strength, *sliders}
        self.drawn = [self.own, self.plain, self.result, self.readout]
        edited = [self.message, *self.drawn]
        begun = [*edited, self.before, self.direction.strength, *self.bank.outputs, face.refining, face.bar]
        latest: dict[str, Any] = {
            "api_visibility": "private", "trigger_mode": "always_last", "show_progress": "hidden", **QUEUE,
        }  # fmt: skip
        place = ResultPlace(self.studio.sessions, "self_conditioned.result", [*self.drawn, self.before])
        on_face, change = queued(self.on_face, place=place), queued(self.on_change, place=place)
        on_seed, on_reset = queued(self.on_seed, place=place), queued(self.on_reset, place=place)

        begin = [
            self.opened.tick(lambda: gr.Timer(active=False), None, self.opened, **QUIET).then(
                queued(self.on_opened), inputs, begun, **latest
            ),
            face.photo.change(on_face, inputs, begun, **latest),
            face.dice.click(None, None, [face.seed, face.photo], js=DICE, api_visibility="private").then(
                on_face, inputs, begun, **latest
            ),
            face.seed.input(on_seed, inputs, [*begun, face.photo], **latest),
            face.psi.input(on_seed, inputs, [*begun, face.photo], **latest),
            self.model.change(
                guarded(self.on_model),
                self.model,
                [*self.bank.outputs, self.licence, self.strip.attribute, self.grid.across, self.grid.down],
                **QUIET,
            ).then(on_face, inputs, begun, **latest),
        ]
        for slider in sliders:
            slider.input(change, inputs, edited, **latest)
        self.direction.strength.input(change, inputs, edited, **latest)
        self.direction.wire(self.model, lambda event: event.then(change, inputs, edited, **latest))
        self.reset.click(on_reset, inputs, [*edited, *self.bank.outputs, self.direction.strength], **latest)
        self.batch.wire(inputs, self.edit_one, self.check_batch)
        self.bar.wire(
            [self.model, face.seed, face.psi, *sliders],
            released=[slider.release for slider in sliders],
            arrived=[event.then for event in begin],
            redraw=lambda event: event.then(queued(self.on_settings, place=place), inputs, begun, **latest),
        )
        refining = long_job(self.studio.sessions, REFINING, face.refine, face.stop).then(
            queued(
                self.on_refine,
                idle=idle(face.refine, face.stop),
                stopped=has_stopped(self.studio.sessions, REFINING),
            ),
            inputs | {face.steps},
            [*begun, face.refine, face.stop],
            **{**latest, "trigger_mode": "once"},
        )
        refining.then(lambda: start_and_stop(busy=False), None, [face.refine, face.stop], **QUIET)
        for view, name in ((self.edit_view, _EDIT_VIEW), (self.strip_view, STRIP_VIEW), (self.grid_view, "grid")):
            seen = view.select(lambda name=name: name, None, self.view, js=ONCE_MOUNTED, **QUIET)
            if view is self.strip_view:
                begin.append(seen)

        def pick(event: Any, handler: Callable[..., Mapping[str, float]]) -> None:
            def on_pick(data: Data, request: gr.Request, event: gr.SelectData) -> Data:
                moves = self.bank.moves(self.editor.model(data[self.model]), handler(data, request, event))
                return {self.views: gr.Tabs(selected=_EDIT_VIEW), self.view: _EDIT_VIEW, **moves}

            event(guarded(on_pick), {self.model}, [self.views, self.view, *sliders], **QUIET).then(
                change, inputs, edited, **latest
            )

        self.strip.wire(inputs, self.view, [event.then for event in [*begin, refining]], pick)
        self.grid.wire(inputs, pick)
        with self.download_place:
            download_button("Download PNG", self.make_download, inputs, elem_id="self-conditioned-download")

    # Handlers

    def read(self, data: Data, request: gr.Request) -> tuple[Session, SelfConditionedModel, Subject, dict[str, float]]:
        """Read all inputs of the page."""
        session = self.studio.sessions.get(request.session_hash)
        choice = self.editor.model(data[self.model])
        subject = self.editor.subject(session, choice, self.face.origin(data))
        subject = self.editor.moved(subject, self.direction.chosen(session, choice.name, data))
        return session, choice, subject, self.bank.read(choice, data, subject.face.values)

    def on_opened(self, data: Data, request: gr.Request) -> Iterator[Data]:
        """The tab is opened for the first time: show an edited face, unless there is something else to show."""
        origin = self.face.origin(data)
        if origin != Origin(OPENING_SEED):
            yield from self.on_face(data, request)
            return
        session, choice = self.studio.sessions.get(request.session_hash), self.editor.model(data[self.model])
        example = self.editor.opening(session, choice, origin)
        own, plain = example.results
        told = [f"{slider.label} {example.values[slider.name]:g}" for slider in choice.sliders[:1]]
        yield {
            **self.bank.starts(choice, example.subject.face.values),
            **self.bank.moves(choice, example.values),
            **self._drawn(session, choice, example.subject, example.values, own, plain),
            self.before: shown(session, "before", example.subject.before),
            self.message: f"An example: {', '.join(told)}. {_READY}",
        }

    def on_face(self, data: Data, request: gr.Request) -> Iterator[Data]:
        """Another face: invert it, showing the progress, and draw it at its own values."""
        session = self.studio.sessions.get(request.session_hash)
        choice = self.editor.model(data[self.model])
        try:
            with closing(self.editor.find(session, choice, self.face.origin(data))) as steps:
                yield self.face.refinable(data)
                yield from self._reading(session, choice, steps)
        except StudioError as error:
            yield {**dict.fromkeys([self.before, *self.drawn]), self.message: str(error)}
            raise

    def on_seed(self, data: Data, request: gr.Request) -> Iterator[Data]:
        """Another random face, which replaces the picture."""
        if data[self.face.photo]:
            yield {self.face.photo: None}
        yield from self.on_face({**data, self.face.photo: None}, request)

    def on_change(self, data: Data, request: gr.Request) -> Data:
        """Other values for the same face: draw it again."""
        session, choice, subject, values = self.read(data, request)
        return self._draw(session, choice, subject, values)

    def on_settings(self, data: Data, request: gr.Request) -> Data:
        """Another face and other values at once."""
        session, choice, subject, values = self.read(data, request)
        marks = {
            end: text for end, text in self.bank.starts(choice, subject.face.values).items() if end in self.bank.ends
        }
        drawn = self._draw(session, choice, subject, values)
        return {**marks, **drawn, self.before: shown(session, "before", subject.before), self.message: _READY}

    def on_reset(self, data: Data, request: gr.Request) -> Data:
        """Reset the sliders to the face's own values."""
        session, choice, subject, _ = self.read({**data, self.direction.strength: 0}, request)
        return {
            self.direction.strength: 0,
            **self.bank.starts(choice, subject.face.values),
            **self._draw(session, choice, subject, {}),
        }

    def on_refine(self, data: Data, request: gr.Request) -> Iterator[Data]:
        """Tune the generators to the picture, showing the progress. If it is stopped, the state so far is kept."""
        session = self.studio.sessions.get(request.session_hash)
        choice = self.editor.model(data[self.model])
        if session.job(REFINING).stopped:
            yield {self.message: "Stopped before it began."}
            return
        yield {self.face.bar: progress_bar(0, data[self.face.steps])}
        try:
            work = self.editor.refine(session, choice, self.face.origin(data), data[self.face.steps])
            with closing(work) as steps:
                yield from self._reading(session, choice, steps)
        except StudioError as error:
            yield {**self.face.running(busy=False), self.message: str(error)}
            raise

    def on_model(self, name: str) -> list[Any]:
        """Other weights: show their sliders, their attributes in the lists, and their licence."""
        choice = self.editor.model(name)
        names = names_of(choice)
        first, second = [*(name for _, name in names), None, None][:2]
        lists = [gr.Radio(names, value=first), gr.Dropdown(names, value=first), gr.Dropdown(names, value=second)]
        return [*self.bank.updates(choice), licence_line(choice), *lists]

    def make_download(self, data: Data, request: gr.Request) -> str:
        """This method's result as a marked PNG."""
        session, choice, subject, values = self.read(data, request)
        own, _ = self.editor.edit(choice, subject, values)
        return str(self.editor.save(session, own.picture, choice, subject, values))

    def check_batch(self, data: Data, request: gr.Request) -> Data:
        """The values that were moved, which every picture gets. Raises BadValue if there are none."""
        session, choice, subject, values = self.read(data, request)
        moved = {name: value for name, value in values.items() if value != subject.face.values[name]}
        if not moved and self.direction.chosen(session, choice.name, data) is None:
            raise BadValue("No slider was moved from the face's own value. Please move one first.")
        return {_MOVED: moved}

    def edit_one(self, session: Session, path: str, data: Data) -> Iterator[Step | Path]:
        """One of several photos: its largest face with the moved values."""
        choice, moved = self.editor.model(data[self.model]), data[_MOVED]
        subject = yield from gpu.passed_on(self.editor.find(session, choice, Origin(path=path)))
        subject = self.editor.moved(subject, self.direction.chosen(session, choice.name, data))
        own, _ = self.editor.edit(choice, subject, moved)
        yield self.editor.save(session, own.picture, choice, subject, {**subject.face.values, **moved})

    # Helpers

    def _reading(self, session: Session, choice: SelfConditionedModel, steps: Iterator[Step | Done]) -> Iterator[Data]:
        """Show a face while it is inverted or refined, and at last draw it."""
        shown_at = -math.inf
        for step in steps:
            if isinstance(step, Done):
                subject: Subject = step.value
                updates = self._draw(session, choice, subject, {})
                bar = f"Refined by {subject.refined} steps." if subject.refined else ""
                yield {
                    **self.bank.starts(choice, subject.face.values),
                    **updates,
                    self.direction.strength: 0,
                    self.before: shown(session, "before", subject.before),
                    self.face.bar: bar,
                    self.message: " ".join(filter(None, (subject.note, _READY))),
                }
            elif isinstance(step, InversionPreview):
                bar = progress_bar(step.step, step.steps, step.error)
                news: Data = {self.face.bar: bar, self.message: f"{step.text} ..."}
                # Not each of many steps: a slow browser would ask for pictures that are deleted again.
                if time.monotonic() - shown_at >= _PREVIEW_EVERY:
                    shown_at = time.monotonic()
                    news[self.own] = shown(session, "preview", step.face.picture)
                yield news
            else:
                yield {self.message: f"{step.text} ..."}

    def _draw(
        self, session: Session, choice: SelfConditionedModel, subject: Subject, values: Mapping[str, float]
    ) -> dict[Any, Any]:
        return self._drawn(session, choice, subject, values, *self.editor.edit(choice, subject, values))

    def _drawn(
        self, session: Session, choice: SelfConditionedModel, subject: Subject, values: Mapping[str, float],
        own: EditResult, plain: EditResult,
    ) -> dict[Any, Any]:  # fmt: skip
        path = shown(session, "own", own.picture)
        return {
            self.own: path,
            self.result: path,
            self.plain: shown(session, "plain", plain.picture),
            self.readout: readout(choice, subject, {**subject.face.values, **values}, own, plain),
        }


def _settings(choice: SelfConditionedModel) -> list[Setting]:
    values = [Setting(slider.name, 0.0, 1.0, None) for slider in choice.sliders]
    return [Setting("seed", 0, LARGEST_SEED, None), Setting("psi", 0.0, 1.0, None), *values]


def _call(choice: SelfConditionedModel) -> ApiCall:
    first, *others = (slider.name for slider in choice.sliders)
    more = ", ".join(f'"{name}": {{{name}}}' for name in others)
    face = ['None,  # or handle_file("photo.jpg")\n    {seed}', f'"{first}"', f"{{{first}}}"]
    return ApiCall("self_conditioned_edit", [*face, f'"{choice.name}"', f"{{{more}}}"])


TAB = Tab("self_conditioned", "Edit at the edges", EditAtTheEdges)
