"""Compose a body (InsetGAN): layout and event handlers; the steps of the work are in demo/insetgan/editor.py."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from demo import gpu
from demo.context import Studio
from demo.gpu import Done, Step
from demo.insetgan import api
from demo.insetgan.composite_panel import CompositePanel
from demo.insetgan.editor import MOST_RESULTS, Editor, Plan
from demo.insetgan.first_sight import ABOUT
from demo.insetgan.people_panel import PersonPanel
from demo.insetgan.settings_panel import SettingsPanel
from demo.insetgan.tasks import Composed, CompositionPreview
from demo.parts.batch_panel import BatchPanel
from demo.parts.choices import Menu
from demo.parts.download import download_button
from demo.parts.errors import guarded
from demo.parts.events import ONCE_MOUNTED, QUIET, Data, reporter
from demo.parts.long_job import has_stopped, idle, long_job, start_and_stop
from demo.parts.numbers import LARGEST_SEED, whole_number
from demo.parts.pictures import shown
from demo.parts.queued import QUEUE, queued
from demo.parts.send_to import TabHandle
from demo.parts.tab import Tab, without_weights
from demo.session import Session
from gan_core.errors import BadValue, StudioError
from gan_core.insetgan.models import InsetGANModel, insetgan_models

_WELCOME = "Choose a body and a face, then press Compose."
_MISSING = (
    "The weights of the generator of bodies are not on this machine, so this tab has nothing to compose. "
    "`python -m gan_core.checkpoints.fetch` lists published ones."
)
_CREDIT = (
    "Method: [InsetGAN for Full-Body Image Generation](https://github.com/afruehstueck/insetGAN) (Fruehstueck et al., "
    "CVPR 2022). Results are marked as made with a model."
)
_BODIES = {
    "standing": "Its bodies are whole standing people.",
    "rendered": "Its bodies are whole standing people, learnt from rendered (CG) pictures: nobody in them is real.",
    "bust": "Its bodies end at the shoulders; whole ones need the published weights.",
    "portrait": "A generator of busts is not trained yet: the face generator draws the body too, so that the face of "
    "one portrait is joined with the hair, head and shoulders of another. Whole bodies need the published weights.",
}
_RESULTS, _JOB = "insetgan-results", "insetgan.compose"


class ComposeABody:
    """The tab's components and its handlers."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self.models = studio.offer(lambda: insetgan_models(studio.settings.weights))
        self.editor = Editor.for_app(self.models, studio.settings)
        self.people = [PersonPanel(studio, self.editor, kind) for kind in ("body", "face")]
        self.panel = CompositePanel(studio)
        self.settings = SettingsPanel()
        self.batch = BatchPanel(studio, "insetgan", "insetgan.batch")
        studio.warmers.append(self.editor.warm_up)

    # Layout

    def build(self, tab_id: str, label: str) -> TabHandle:
        """Lay the tab out inside the current gr.Tab, wire it, and add its endpoint."""
        api.build(self.studio, self.editor)
        if not self.models:
            return without_weights(tab_id, label, _MISSING)
        first = next(iter(self.models.values()))
        ABOUT.build()
        with gr.Row(elem_classes="work"):
            with gr.Column(elem_classes="work-input"):
                for panel, seed in zip(self.people, (1, 101), strict=True):
                    panel.build(seed, first)
            with gr.Column(elem_classes="work-result"):
                self.message = gr.Markdown(_WELCOME, elem_classes="notice", elem_id="insetgan-message")
                self.panel.build(self.models.values())
                send_row = gr.Row(elem_classes="send-to")
            with gr.Column(elem_classes="work-sliders"):
                self.settings.build(self.models, self.batch)
        self.licence = gr.Markdown(_licence(first), elem_classes="credit")
        gr.Markdown(_CREDIT, elem_classes="credit")
        self.result, self.chosen = gr.State(None), gr.State(0)
        # Mounted with the tab, the timer fires once when the tab is first opened.
        self.opened = gr.Timer(0.2)
        self._wire()
        face = self.people[1]
        menus = [Menu(self.settings.model, self.models)]
        return TabHandle(tab_id, label, takes=face.photo, gives=self.result, row=send_row, menus=menus)

    def _wire(self) -> None:
        settings = self.settings
        inputs = self.people[0].inputs | self.people[1].inputs | settings.inputs
        buttons = [settings.start, settings.stop]
        drawing = [self.message, *self.panel.outputs, self.panel.results, self.result, self.chosen]
        galleries = [panel.gallery for panel in self.people]
        for panel in self.people:
            panel.wire(settings.model)
        # A given face is to stay as it is, so only the body moves then, as in the API.
        self.people[1].photo.change(
            lambda path: gr.Radio(value="body") if path else gr.skip(),
            self.people[1].photo,
            settings.mode,
            **QUIET,
        )
        self.opened.tick(
            queued(self.on_opened),
            {settings.model, *(component for panel in self.people for component in panel.drawn_by)},
            [*galleries, self.opened],
            api_visibility="private",
            show_progress="minimal",
            trigger_mode="once",
            **QUEUE,
        )
        settings.model.change(guarded(self.on_model), settings.model, [*settings.of_model, self.licence], **QUIET)
        long_job(self.studio.sessions, _JOB, *buttons).then(
            queued(
                self.on_start,
                idle=idle(*buttons),
                stopped=has_stopped(self.studio.sessions, _JOB),
            ),
            inputs,
            [*drawing, *buttons],
            show_progress="hidden",
            api_visibility="private",
            **QUEUE,
        ).then(lambda: start_and_stop(busy=False), None, buttons, **QUIET).then(
            self.on_behind, None, self.panel.hidden, **QUIET
        )
        self.batch.wire(inputs, self.edit_one, lambda _data, _request: {})
        for part in (self.panel.enlarged, self.panel.behind):
            part.select(self.on_behind, None, self.panel.hidden, js=ONCE_MOUNTED, **QUIET)
        self.panel.results.select(
            guarded(self.on_choose), None, [*self.panel.outputs, self.result, self.chosen], **QUIET
        )
        with self.panel.download_place:
            download_button(
                "Download PNG", self.make_download, {self.chosen, settings.model}, elem_id="insetgan-download"
            )
        with self.panel.large_place:
            download_button(
                "Download large PNG",
                self.make_large,
                {self.chosen, settings.model},
                elem_id="insetgan-download-large",
            )

    # Handlers

    def on_opened(self, data: Data, request: gr.Request) -> Data:
        """The tab is opened for the first time: fill both galleries."""
        updates: Data = {self.opened: gr.Timer(active=False)}
        for panel in self.people:
            updates[panel.gallery] = panel.rolled(data, request, data[self.settings.model], panel.start)
        return updates

    def on_model(self, name: str) -> list[Any]:
        """Other weights: show their regions and licence."""
        choice = self.editor.model(name)
        return [*self.settings.follow(choice), _licence(choice)]

    def plan(self, data: Data) -> Plan:
        """The request that the page's inputs describe."""
        choice, settings = self.editor.model(data[self.settings.model]), self.settings
        second = data[settings.second] or None
        return Plan(
            body=self.people[0].person(data, choice),
            face=self.people[1].person(data, choice),
            mode=data[settings.mode],
            region=data[settings.region],
            steps=int(data[settings.steps]),
            second=second,
            second_seed=whole_number(data[settings.second_seed], "A seed", 0, LARGEST_SEED) if second else 0,
            alternate=int(data[settings.alternate]),
            keep_weight=float(data[settings.keep_weight]),
        )

    def edit_one(self, session: Session, path: str, data: Data) -> Iterator[Step | Path]:
        """One of several photos: its largest face on the chosen body."""
        choice, plan = self.editor.model(data[self.settings.model]), self.plan(data)
        plan = replace(plan, face=replace(plan.face, path=path), mode="body")
        composed = yield from gpu.passed_on(self.editor.compose(session, choice, plan))
        yield self.editor.save(session, composed.image, self.editor.note(choice, plan, composed))

    def on_start(self, data: Data, request: gr.Request, progress: gr.Progress = gr.Progress()) -> Iterator[Data]:
        """Compose, showing the progress. If it is stopped, the best state so far is kept."""
        session = self.studio.sessions.get(request.session_hash)
        job = session.job(_JOB)
        if job.stopped:
            yield {self.message: "Stopped before it began."}
            return
        yield {self.message: "Starting ...", self.panel.results: gr.Gallery(visible=False)}
        results: list[tuple[Plan, Composed]] = []
        try:
            plan, choice = self.plan(data), self.editor.model(data[self.settings.model])
            count = whole_number(data[self.settings.count], "The number of results", 1, MOST_RESULTS)
            for i in range(count):
                body = replace(plan.body, seed=plan.body.seed + i)
                mine = replace(plan, body=body, second_seed=plan.second_seed + i)
                prefix = f"Result {i + 1} of {count}: " if count > 1 else ""
                composed = None
                for composed, text in self._composing(session, choice, mine, progress):
                    updates = {} if composed is None else self.panel.update(session, composed)
                    yield {**updates, self.message: prefix + text}
                if composed is not None:
                    results.append((mine, composed))
                    session.keep(_RESULTS, results, sum(one.size for _, one in results))
                    yield self._kept(session, results)
                if job.stopped:
                    break
        except StudioError as error:
            yield {self.message: str(error)}
            raise

    def _composing(
        self, session: Session, choice: InsetGANModel, plan: Plan, progress: gr.Progress
    ) -> Iterator[tuple[Composed | None, str]]:
        """The state so far (if there is a new one) and a message; the last one is the result."""
        composed = None
        steps = self.editor.compose(session, choice, plan, reporter(progress))
        with contextlib.closing(steps):
            for step in steps:
                if isinstance(step, Done):
                    composed = step.value
                elif isinstance(step, CompositionPreview):
                    composed = step.composed
                    yield composed, f"{step.text}."
                else:
                    yield None, f"{step.text} ..."
                if session.job(_JOB).stopped:
                    break
        if composed is None:
            yield None, "Stopped before there was anything to keep."
            return
        state = "Done" if composed.done else f"Stopped at step {composed.step}; this is kept"
        tone = f"The face's colours were moved by {composed.tone:.0f} of 255 levels to the body's light."
        notes = " ".join((*composed.remarks, *([tone] if composed.tone else []), *composed.notes[-1:]))
        yield composed, f"{state}. Perceptual distance: {composed.distance}. {notes}".strip()

    def _kept(self, session: Session, results: list[tuple[Plan, Composed]]) -> Data:
        several = len(results) > 1
        pictures = [(shown(session, "kept", composed.image), f"body {plan.body.seed}") for plan, composed in results]
        latest = results[-1][1]
        return {
            self.panel.results: gr.Gallery(pictures if several else None, visible=several),
            self.result: shown(session, "result", latest.image),
            self.chosen: len(results) - 1,
        }

    def on_behind(self, request: gr.Request) -> Data:
        """The larger picture, and the generators' own."""
        return self.panel.reveal(self.studio.sessions.get(request.session_hash))

    def on_choose(self, request: gr.Request, event: gr.SelectData) -> list[Any]:
        """Another one of the results."""
        session = self.studio.sessions.get(request.session_hash)
        _, composed = self._result(session, int(event.index))
        updates = self.panel.update(session, composed, fresh=True)
        shown_result = shown(session, "result", composed.image)
        return [*(updates[place] for place in self.panel.outputs), shown_result, int(event.index)]

    def make_download(self, data: Data, request: gr.Request) -> str:
        """The chosen result as a marked PNG."""
        return self._saved(data, request, lambda composed: composed.image)

    def make_large(self, data: Data, request: gr.Request) -> str:
        """The larger picture of the chosen result as a marked PNG."""
        return self._saved(data, request, lambda composed: composed.large)

    def _saved(self, data: Data, request: gr.Request, picture_of: Callable[[Composed], Image.Image | None]) -> str:
        session = self.studio.sessions.get(request.session_hash)
        plan, composed = self._result(session, int(data[self.chosen] or 0))
        picture = picture_of(composed)
        if picture is None:
            raise BadValue("These weights give no larger picture. Please download the result itself.")
        note = self.editor.note(self.editor.model(data[self.settings.model]), plan, composed)
        return str(self.editor.save(session, picture, note))

    def _result(self, session: Session, index: int) -> tuple[Plan, Composed]:
        results = session.recall(_RESULTS) or []
        if not 0 <= index < len(results):
            raise BadValue("There is no result here any more. Please compose again.")
        return results[index]


def _licence(choice: InsetGANModel) -> str:
    height, width = choice.size
    return f"Weights: {choice.label}, {width} x {height} pixels. Licence: {choice.licence}. {_BODIES[choice.body]}"


TAB = Tab("insetgan", "Compose a body", ComposeABody)
