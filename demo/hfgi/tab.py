"""Edit a face (HFGI): layout and event handlers; the steps of the work are in demo/hfgi/editor.py."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from demo.context import Studio
from demo.hfgi import api, marking, refine_panel, video_panel
from demo.hfgi.device_panel import DevicePanel
from demo.hfgi.directions import FaceDirections
from demo.hfgi.editor import Editor
from demo.hfgi.first_sight import ABOUT, EXAMPLE, PRESETS
from demo.hfgi.sliders import AttributeSliders
from demo.hfgi.work import Work
from demo.parts.batch_panel import BatchPanel
from demo.parts.choices import Menu, licence_line, weights_dropdown
from demo.parts.direction_panel import DirectionPanel
from demo.parts.download import download_button
from demo.parts.errors import guarded
from demo.parts.events import ONCE_MOUNTED, QUIET, Data, reporter
from demo.parts.examples import PEOPLE, examples_row
from demo.parts.newest import ResultPlace
from demo.parts.photo import photo_input
from demo.parts.pictures import result_picture, shown, shown_once
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
_CLOSE_UP = (
    "The *plain inversion* is what the encoder alone makes of the face; the *consultation* brings back what it lost."
)
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
        studio.warmers.append(self.editor.warm_up)

    # Layout

    def build(self, tab_id: str, label: str) -> TabHandle:
        """Lay the tab out inside the current gr.Tab, wire it, and add its endpoint."""
        first = next(iter(self.models.values()))
        with gr.Row(elem_id="hfgi-lead"):
            ABOUT.build()
            on_device = DevicePanel()
        on_device.build_frame()
        with gr.Row(elem_classes="work") as work:
            with gr.Column(elem_classes="work-input"), gr.Tabs():
                with gr.Tab("Photo"):
                    self._build_photo()
                with gr.Tab("Video"):
                    self.video = video_panel.build_input()
            with gr.Column(elem_classes="work-result"):
                self._build_result()
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
        self.points, self.close_up, self.result = gr.State([]), gr.State(False), gr.State(None)
        self._wire()
        on_device.wire(work)
        api.build(self.studio, self.editor)
        menus = [Menu(self.model, self.models)]
        return TabHandle(tab_id, label, takes=self.photo, gives=self.result, row=send_row, menus=menus)

    def _build_photo(self) -> None:
        self.photo = photo_input(label="Your photo", height=300, elem_id="hfgi-photo")
        self.message = gr.Markdown(_WELCOME, elem_classes="notice", elem_id="hfgi-message")
        self.faces = gr.Gallery(
            label="Which face?", visible=False, height=140, columns=4, allow_preview=False, interactive=False,
            buttons=[], elem_id="hfgi-faces",
        )  # fmt: skip
        with gr.Column(visible=False, elem_id="hfgi-marking") as self.marking:
            self.hint = gr.Markdown("")
            self.canvas = gr.Image(
                label="Click the two eyes and the mouth",
                interactive=False,
                buttons=[],
                height=340,
                elem_id="hfgi-canvas",
            )
            self.again = gr.Button("Start again", size="sm")
        self.studio.sessions.shared |= examples_row(self.photo, PEOPLE)
        self.by_hand = gr.Button("Mark the face by hand", size="sm", visible=False, elem_id="hfgi-by-hand")

    def _build_result(self) -> None:
        with gr.Tabs():
            with gr.Tab("Whole photo") as self.whole_view:
                self.studio.sessions.shared |= EXAMPLE.build()
                self.compare = gr.ImageSlider(
                    label="Before and after", type="filepath", interactive=False, max_height=560,
                    buttons=["fullscreen"], elem_id="hfgi-compare",
                )  # fmt: skip
                self.download_place = gr.Row()
            with gr.Tab("Close-up") as self.close_view:
                gr.Markdown(_CLOSE_UP, elem_classes="hint")
                with gr.Row():
                    self.crop = result_picture("The face, cut out", "hfgi-crop")
                    self.plain = result_picture("Plain inversion", "hfgi-plain")
                with gr.Row():
                    self.plain_edit = result_picture("Edit without consultation", "hfgi-plain-edit")
                    self.crop_edit = result_picture("Edit with consultation", "hfgi-crop-edit")
            with gr.Tab("Video"):
                self.video.build_output()

    def _wire(self) -> None:
        sliders = self.bank.sliders
        inputs = {self.photo, self.model, self.close_up, self.refining.used, self.own.strength, *sliders}
        self.drawn = [self.compare, self.result, self.crop, self.plain, self.plain_edit, self.crop_edit]
        drawing = [self.message, *self.drawn]
        chosen = [*drawing, *self.refining.outputs]
        marking = [self.points, self.marking, self.canvas, self.hint]
        busy: dict[str, Any] = {
            "api_visibility": "private", "show_progress_on": [self.compare], **QUEUE,
        }  # fmt: skip
        latest: dict[str, Any] = {**busy, "trigger_mode": "always_last"}
        # While sliders move the last picture stays visible.
        redraw: dict[str, Any] = {**latest, "show_progress": "minimal"}
        place = ResultPlace(self.studio.sessions, "hfgi.result", self.drawn)
        change = queued(self.on_change, place=place)

        on_photo, found = queued(self.on_photo, place=place), [*chosen, *marking, self.faces, self.by_hand]
        self.photo.change(on_photo, inputs, found, **latest)
        self.faces.select(queued(self.on_face, place=place), inputs, chosen, **busy)
        self.canvas.select(
            queued(self.on_mark),
            inputs | {self.points},
            [*chosen, *marking],
            trigger_mode="multiple",  # else a quick second click is lost
            **busy,
        )
        for button in (self.by_hand, self.again):
            button.click(queued(self.on_by_hand), inputs, marking, **busy)
        for slider in sliders:
            slider.release(change, inputs, drawing, **redraw)
        self.own.strength.release(change, inputs, drawing, **redraw)
        self.own.wire(self.model, lambda event: event.then(change, inputs, drawing, **redraw))
        rested = self.reset.click(lambda: [0] * (len(sliders) + 1), None, [*sliders, self.own.strength], **QUIET)
        rested.then(change, inputs, drawing, **redraw)
        relabelled = self.model.change(
            guarded(self.on_model), self.model, [*sliders, self.bank.more, self.licence], **QUIET
        )
        relabelled.then(change, inputs, drawing, **redraw)
        self.batch.wire({self.model, self.own.strength, *sliders}, self.edit_one, self.check_batch)
        self.bar.wire(
            [self.model, *sliders],
            released=[*(slider.release for slider in sliders), rested.then],
            arrived=[relabelled.then],
            redraw=lambda event: event.then(change, inputs, drawing, **redraw),
        )
        self.close_view.select(lambda: True, None, self.close_up, js=ONCE_MOUNTED, **QUIET).then(
            change, inputs, drawing, **redraw
        )
        self.whole_view.select(lambda: False, None, self.close_up, **QUIET)
        with self.download_place:
            download_button("Download PNG", self.make_download, inputs, elem_id="hfgi-download")
        self.video.wire(
            self.studio,
            self.editor,
            inputs={self.model, *sliders},
            model=self.model,
            strengths=self.strengths,
        )
        self.refining.wire(
            self.studio,
            self.editor,
            inputs=inputs,
            photo=self.photo,
            model=self.model,
            opened=self._open,
            draw=self._draw,
            drawn=self.drawn,
            changed=change,
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
            self.marking: gr.Column(visible=False),
            self.by_hand: gr.Button(visible=False),
            self.points: [],
            **self.refining.fresh(self.studio.sessions.get(request.session_hash), None),
        }
        if not data[self.photo]:
            yield {**empty, self.message: _WELCOME}
            return
        yield {**empty, self.message: "Looking for faces ..."}
        try:
            session, work = self._open(data, request, progress)
            if not self.editor.has_subject(work, data[self.model]):
                yield {self.message: work.trouble + _BY_HAND, **self._ask_for_marks(session, work)}
                return
            whole = self.editor.model(data[self.model]).alignment != "face"
            several, what = len(work.faces) > 1 and not whole, _WHOLE if whole else _found(work)
            faces = gr.Gallery(_thumbnails(session, work) if several else None, visible=several)
            yield {
                self.message: f"{what} Inverting it ...",
                **self.refining.fresh(session, work),
                self.by_hand: gr.Button(visible=not whole),
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

    def on_by_hand(self, data: Data, request: gr.Request) -> Data:
        """Show the picture in which a face is marked by clicks."""
        session, work = self._open(data, request)
        return self._ask_for_marks(session, work)

    def on_mark(
        self, data: Data, request: gr.Request, event: gr.SelectData, progress: gr.Progress = gr.Progress()
    ) -> Iterator[Data]:
        """One more click on the picture; the third one starts the edit."""
        session, work = self._open(data, request, progress)
        points = [*data[self.points], tuple(event.index)]
        canvas = shown(session, "canvas", marking.dotted(work.preview, points))
        if len(points) < 3:
            yield {self.points: points, self.canvas: canvas, self.hint: marking.hint(len(points))}
            return
        yield {self.points: [], self.canvas: canvas, self.hint: "Cutting the face out ..."}
        self.editor.mark(work, points)
        updates = {**self._draw(session, work, data, progress), **self.refining.fresh(session, work)}
        yield {**updates, self.message: "The face you marked. Move a slider.", self.hint: marking.hint(0)}

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

    # Helpers

    def _open(self, data: Data, request: gr.Request, progress: gr.Progress | None = None) -> tuple[Session, Work]:
        session = self.studio.sessions.get(request.session_hash)
        return session, self.editor.open(session, data[self.photo], progress and reporter(progress))

    def _ask_for_marks(self, session: Session, work: Work) -> Data:
        return {
            self.points: [],
            self.marking: gr.Column(visible=True),
            self.canvas: shown(session, "canvas", work.preview),
            self.hint: marking.hint(0),
        }

    def _draw(self, session: Session, work: Work, data: Data, progress: gr.Progress) -> Data:
        close_up = data[self.close_up]
        edited = self.editor.edit(
            session, work, data[self.model], self.strengths(data), with_plain=close_up,
            refined=data[self.refining.used], own=self.own.chosen(session, data[self.model], data),
            progress=reporter(progress),
        )  # fmt: skip
        before = shown_once(session, ("before", work.digest), "before", edited.before)
        after = shown(session, "after", edited.after)
        updates = {self.compare: (before, after), self.result: after}
        if close_up:
            pictures = (edited.crop, edited.plain_inversion, edited.plain_edit, edited.crop_edit)
            places = (self.crop, self.plain, self.plain_edit, self.crop_edit)
            for place, picture in zip(places, pictures, strict=True):
                if picture is not None:
                    updates[place] = shown(session, "crop", picture, exact=True)
        return updates


def _call(model: str) -> ApiCall:
    return ApiCall(api.MANY, ['handle_file("photo.jpg")', "{changed}", f'"{model}"'])


def _thumbnails(session: Session, work: Work) -> list[str]:
    scale = work.preview.width / work.photo.width
    paths = []
    for face in work.faces:
        x0, y0, x1, y1 = (value * scale for value in face.box)
        half = 0.65 * max(x1 - x0, y1 - y0)
        x, y = (x0 + x1) / 2, (y0 + y1) / 2
        box = round(x - half), round(y - half), round(x + half), round(y + half)
        paths.append(shown(session, "face", work.preview.crop(box).resize((160, 160))))
    return paths


def _found(work: Work) -> str:
    if work.found == 1:
        return "One face found."
    if work.found > len(work.faces):
        return f"{work.found} faces found; the {len(work.faces)} largest are below, click one to edit it."
    return f"{work.found} faces found: the largest is edited, click another one to change that."


TAB = Tab("hfgi", "Edit a face", EditAFace)
