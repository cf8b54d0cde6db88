"""Edit a face (HFGI): layout and event handlers; the steps of the work are in demo/hfgi/editor.py."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from demo.context import Studio
from demo.hfgi import api, film_api, refine_panel, video_panel
from demo.hfgi.device_panel import DevicePanel
from demo.hfgi.directions import FaceDirections
from demo.hfgi.editor import Editor
from demo.hfgi.faces_found import found, thumbnails
from demo.hfgi.first_sight import ABOUT, PRESETS
from demo.hfgi.live_panel import LivePanel
from demo.hfgi.marking import MarkingPanel
from demo.hfgi.result_panel import FaceResultPanel
from demo.hfgi.sliders import AttributeSliders
from demo.hfgi.sweep_panel import SweepPanel
from demo.hfgi.work import Work
from demo.parts.batch_panel import BatchPanel
from demo.parts.choices import Menu, licence_line, weights_dropdown
from demo.parts.direction_panel import DirectionPanel
from demo.parts.download import download_button
from demo.parts.errors import guarded
from demo.parts.events import QUIET, Data, reporter
from demo.parts.examples import PEOPLE, examples_row
from demo.parts.newest import ResultPlace
from demo.parts.photo import photo_input
from demo.parts.queued import QUEUE, queued
from demo.parts.send_to import TabHandle
from demo.parts.settings_bar import ApiCall, SettingsBar
from demo.parts.tab import Tab
from demo.session import Session
from gan_core.errors import BadValue, StudioError
from gan_core.hfgi.models import hfgi_models

_WELCOME = "Upload a photo with a face, take one, paste one, or click an example."
_WHOLE = "The middle of the picture is edited."  # by models of objects
_BY_HAND = " Or mark the eyes and the mouth yourself."  # after what went wrong with finding a face
_CREDIT = (
    "Method: [HFGI, High-Fidelity GAN Inversion for Image Attribute Editing]"
    "(https://github.com/Tengfei-Wang/HFGI) (Wang et al., CVPR 2022). Results are marked as edited."
)


class EditAFace:
    """The tab's components and its handlers."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self.models = studio.offer(lambda: hfgi_models(studio.settings.weights))
        self.editor = Editor.for_app(self.models, studio.settings)
        self.bank = AttributeSliders(self.models.values())
        self.own = DirectionPanel(studio, FaceDirections(self.editor), "hfgi")
        self.batch = BatchPanel(studio, "hfgi", "hfgi.batch")
        self.bar = SettingsBar("hfgi", "hfgi", PRESETS)
        self.results = FaceResultPanel(studio)
        studio.warmers.append(self.editor.warm_up)

    # Layout

    def build(self, tab_id: str, label: str) -> TabHandle:
        """Lay the tab out inside the current gr.Tab, wire it, and add its endpoints."""
        first = next(iter(self.models.values()))
        with gr.Row(elem_id="hfgi-lead"):
            ABOUT.build()
            self.live, on_device = LivePanel(self.studio), DevicePanel()
        on_device.build_frame()
        with gr.Row(elem_classes="work") as work:
            self.live.build()
            with gr.Column(elem_classes="work-input") as self.input_place, gr.Tabs():
                with gr.Tab("Photo"):
                    self._build_photo()
                with gr.Tab("Video"):
                    self.video = video_panel.build_input()
            with gr.Column(elem_classes="work-result") as self.result_place:
                with gr.Tabs():
                    with gr.Tab("Whole photo") as whole:
                        self.results.build_whole(whole)
                    with gr.Tab("Close-up") as close_up:
                        self.results.build_close_up(close_up)
                    with gr.Tab("Video"):
                        self.video.build_output()
                with self.results.below:
                    self.download_place = gr.Row()
                    self.sweep = SweepPanel(first)
                send_row = gr.Row(elem_classes="send-to")
            with gr.Column(elem_classes="work-sliders"):
                self.model = weights_dropdown(self.models, "hfgi-model")
                self.reset = gr.Button("Reset sliders", size="sm", elem_id="hfgi-reset")
                self.bar.build({name: (self.bank.settings(one), _call(name)) for name, one in self.models.items()})
                self.bank.build(first)
                self.own.build()
                self.refining = refine_panel.build()
                self.batch.build()
        self.licence = gr.Markdown(licence_line(first), elem_classes="credit")
        gr.Markdown(_CREDIT, elem_classes="credit")
        self._wire()
        on_device.wire(work, self.live.switch)
        api.build(self.studio, self.editor)
        film_api.build(self.studio, self.editor)
        menus = [Menu(self.model, self.models)]
        return TabHandle(tab_id, label, takes=self.photo, gives=self.results.result, row=send_row, menus=menus)

    def _build_photo(self) -> None:
        self.photo = photo_input(label="Your photo", height=300, elem_id="hfgi-photo")
        self.message = gr.Markdown(_WELCOME, elem_classes="notice", elem_id="hfgi-message")
        self.faces = gr.Gallery(
            label="Which face?", visible=False, height=140, columns=4, allow_preview=False, interactive=False,
            buttons=[], elem_id="hfgi-faces",
        )  # fmt: skip
        self.marking = MarkingPanel()
        self.studio.sessions.shared |= examples_row(self.photo, PEOPLE)
        self.marking.build_button()

    def _wire(self) -> None:
        sliders = self.bank.sliders
        inputs = {self.photo, self.model, self.results.close_up, self.refining.used, self.own.strength, *sliders}
        self.drawn = self.results.drawn
        drawing = [self.message, *self.drawn]
        chosen = [*drawing, *self.refining.outputs]
        busy: dict[str, Any] = {
            "api_visibility": "private", "show_progress_on": [self.results.compare], **QUEUE,
        }  # fmt: skip
        latest: dict[str, Any] = {**busy, "trigger_mode": "always_last"}
        # While sliders move the last picture stays visible.
        redraw: dict[str, Any] = {**latest, "show_progress": "minimal"}
        place = ResultPlace(self.studio.sessions, "hfgi.result", self.drawn)
        change = queued(self.on_change, place=place)

        def drawn_after(event: Any) -> Any:
            return event.then(change, inputs, drawing, **redraw)

        on_photo, shows = queued(self.on_photo, place=place), [*chosen, *self.marking.outputs, self.faces]
        self.photo.change(on_photo, inputs, shows, **latest)
        self.faces.select(queued(self.on_face, place=place), inputs, chosen, **busy)
        self.marking.wire(
            self.editor, inputs=inputs, outputs=chosen, opened=self._open, draw=self._draw_marked, busy=busy
        )
        for slider in (*sliders, self.own.strength):
            slider.release(change, inputs, drawing, **redraw)
        self.own.wire(self.model, drawn_after)
        rested = self.reset.click(lambda: [0] * (len(sliders) + 1), None, [*sliders, self.own.strength], **QUIET)
        drawn_after(rested)
        relabelled = self.model.change(
            guarded(self.on_model), self.model, [*sliders, self.bank.more, self.licence], **QUIET
        )
        drawn_after(relabelled)
        self.results.wire(drawn_after)
        self.bar.wire(
            [self.model, *sliders],
            released=[*(slider.release for slider in sliders), rested.then],
            arrived=[relabelled.then],
            redraw=drawn_after,
        )
        with self.download_place:
            download_button("Download PNG", self.make_download, inputs, elem_id="hfgi-download")
        self._wire_panels(inputs, change)

    def _wire_panels(self, inputs: set[Any], change: Any) -> None:
        sliders = {self.model, self.own.strength, *self.bank.sliders}
        read: dict[str, Any] = {"model": self.model, "strengths": self.strengths, "own": self.own.chosen}
        opened: dict[str, Any] = {"photo": self.photo, "model": self.model, "opened": self._open}
        self.batch.wire(sliders, self.edit_one, self.check_batch)
        self.video.wire(self.studio, self.editor, inputs=sliders, **read)
        self.live.wire(self.editor, inputs=sliders, instead_of=[self.input_place, self.result_place], **read)
        self.sweep.wire(self.studio, self.editor, inputs=inputs, settings=self.sweep_settings, **opened)
        self.refining.wire(
            self.studio, self.editor, inputs=inputs, draw=self._draw, drawn=self.drawn, changed=change, **opened
        )

    # Handlers

    def strengths(self, data: Data) -> dict[str, float]:
        """Values of the sliders by attribute."""
        return self.bank.read(self.editor.model(data[self.model]), data)

    def on_photo(self, data: Data, request: gr.Request, progress: gr.Progress = gr.Progress()) -> Iterator[Data]:
        """A new photo: find its faces, and edit the largest or ask for marks."""
        empty: Data = {
            **dict.fromkeys(self.drawn),
            self.faces: gr.Gallery(visible=False),
            **self.marking.hidden(),
            **self.refining.fresh(self.studio.sessions.get(request.session_hash), None),
        }
        if not data[self.photo]:
            yield {**empty, self.message: _WELCOME}
            return
        yield {**empty, self.message: "Looking for faces ..."}
        try:
            session, work = self._open(data, request, progress)
            if not self.editor.has_subject(work, data[self.model]):
                yield {self.message: work.trouble + _BY_HAND, **self.marking.asked(session, work)}
                return
            whole = self.editor.model(data[self.model]).alignment != "face"
            several, what = len(work.faces) > 1 and not whole, _WHOLE if whole else found(work)
            faces = gr.Gallery(thumbnails(session, work) if several else None, visible=several)
            yield {
                self.message: f"{what} Inverting it ...",
                **self.refining.fresh(session, work),
                **self.marking.offered(not whole),
                self.faces: faces,
            }
            drawn = self._draw(session, work, data, progress)
            # The faces once more: a page that is still putting up the gallery may lose them.
            yield {**drawn, self.faces: faces, self.message: f"{what} Move a slider."}
        except StudioError as error:
            yield {self.message: str(error)}
            raise

    def on_change(self, data: Data, request: gr.Request, progress: gr.Progress = gr.Progress()) -> Data:
        """Other slider values for the same face: draw it again."""
        if not data[self.photo]:
            return {self.message: _WELCOME}
        session, work = self._open(data, request, progress)
        if not self.editor.has_subject(work, data[self.model]):
            return {self.message: work.trouble + _BY_HAND}
        return self._draw(session, work, data, progress)

    def on_face(
        self, data: Data, request: gr.Request, event: gr.SelectData, progress: gr.Progress = gr.Progress()
    ) -> Data:
        """Another face of the same photo."""
        session, work = self._open(data, request, progress)
        self.editor.choose(work, int(event.index))
        updates = self._draw(session, work, data, progress)
        text = f"Face {int(event.index) + 1} of {len(work.faces)}. Move a slider."
        return {**updates, **self.refining.fresh(session, work), self.message: text}

    def on_model(self, name: str) -> list[Any]:
        """Other weights: show their sliders, all at 0, and their licence."""
        choice = self.editor.model(name)
        return [*self.bank.updates(choice), self.bank.folded(choice), licence_line(choice)]

    def make_download(self, data: Data, request: gr.Request, progress: gr.Progress = gr.Progress()) -> str:
        """The edited photo at its full size, as a marked PNG."""
        session, work = self._open(data, request, progress)
        strengths, name = self.strengths(data), data[self.model]
        own = self.own.chosen(session, name, data)
        edited = self.editor.edit(
            session, work, name, strengths, full_size=True, refined=data[self.refining.used], own=own,
            progress=reporter(progress),
        )  # fmt: skip
        return str(self.editor.save(session, edited.after, name, strengths, edited.refined, own))

    def check_batch(self, data: Data, request: gr.Request) -> Data:
        """Whether the sliders change anything. Raises BadValue."""
        own = self.own.chosen(self.studio.sessions.get(request.session_hash), data[self.model], data)
        if not any(self.strengths(data).values()) and own is None:
            raise BadValue("All sliders are at 0, so nothing would change. Please move one first.")
        return {}

    def edit_one(self, session: Session, path: str, data: Data) -> Iterator[Path]:
        """One of several photos: its largest face edited, at its full size."""
        strengths, name, own = self.strengths(data), data[self.model], self.own.chosen(session, data[self.model], data)
        work = self.editor.open(session, path)
        edited = self.editor.edit(session, work, name, strengths, full_size=True, own=own)
        yield self.editor.save(session, edited.after, name, strengths, own=own)

    def sweep_settings(self, session: Session, data: Data) -> dict[str, Any]:
        """What a sweep takes beside its attribute."""
        own = self.own.chosen(session, data[self.model], data)
        return {"strengths": self.strengths(data), "refined": data[self.refining.used], "own": own}

    # Helpers

    def _open(self, data: Data, request: gr.Request, progress: gr.Progress | None = None) -> tuple[Session, Work]:
        session = self.studio.sessions.get(request.session_hash)
        return session, self.editor.open(session, data[self.photo], progress and reporter(progress))

    def _draw(self, session: Session, work: Work, data: Data, progress: gr.Progress) -> Data:
        close_up = data[self.results.close_up]
        edited = self.editor.edit(
            session, work, data[self.model], self.strengths(data), with_plain=close_up,
            refined=data[self.refining.used], own=self.own.chosen(session, data[self.model], data),
            progress=reporter(progress),
        )  # fmt: skip
        return self.results.updates(session, work, edited, close_up)

    def _draw_marked(self, session: Session, work: Work, data: Data, progress: gr.Progress) -> Data:
        drawn = self._draw(session, work, data, progress)
        return {**drawn, **self.refining.fresh(session, work), self.message: "The face you marked. Move a slider."}


def _call(model: str) -> ApiCall:
    return ApiCall(api.MANY, ['handle_file("photo.jpg")', "{changed}", f'"{model}"'])


TAB = Tab("hfgi", "Edit a face", EditAFace)
