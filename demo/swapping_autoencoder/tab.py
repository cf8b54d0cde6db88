"""Swap structure and texture (Swapping Autoencoder): layout and event handlers; the steps of the work are in
demo/swapping_autoencoder/editor.py."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from demo.context import Studio
from demo.parts.batch_panel import BatchPanel
from demo.parts.choices import Menu, licence_line
from demo.parts.download import download_button
from demo.parts.errors import guarded
from demo.parts.events import ONCE_MOUNTED, QUIET, Data, reporter
from demo.parts.examples import PLACES, PORTRAITS, examples_row
from demo.parts.newest import ResultPlace
from demo.parts.photo import photo_input
from demo.parts.pictures import result_picture, shown, shown_once
from demo.parts.queued import QUEUE, queued
from demo.parts.send_to import TabHandle
from demo.parts.tab import Tab, without_weights
from demo.session import Session
from demo.swapping_autoencoder import api
from demo.swapping_autoencoder.editor import MOST_TEXTURES, SIZES, Editor, OpenedPicture
from demo.swapping_autoencoder.first_sight import ABOUT, EXAMPLE
from demo.swapping_autoencoder.region_panel import RegionPanel
from demo.swapping_autoencoder.request import MixtureRequest
from demo.swapping_autoencoder.slider_panel import SliderPanel
from demo.swapping_autoencoder.strip_panel import StripPanel
from demo.swapping_autoencoder.vector_panel import VectorPanel
from gan_core.errors import BadValue, StudioError
from gan_core.swapping_autoencoder.models import EMBEDDED, SwappingAutoencoderModel, swapping_autoencoder_models
from gan_core.swapping_autoencoder.models import PLACES as PLACES_MODEL

_WELCOME = "Give it two pictures: one for the structure, one for the texture. Click an example under each."
_ONE = "Now choose a texture picture. Until then the other sliders change the first picture's own texture."
_OTHER = "Now choose a structure picture."
_MISSING = "The weights of the swapping autoencoder are not on this machine, so this tab has nothing to draw with."
_CODES = (
    "The *structure code* is a small map, one vector for each 16 x 16 pixels. Here its first three principal "
    "components are colours; where two places have the same colour, the model sees the same kind of thing."
)
_CREDIT = (
    "Method: [Swapping Autoencoder for Deep Image Manipulation]"
    "(https://github.com/taesungp/swapping-autoencoder-pytorch) (Park et al., NeurIPS 2020). "
    "Results are marked as edited."
)


class SwapStructureAndTexture:
    """The tab's components and its handlers."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self.models = studio.offer(lambda: swapping_autoencoder_models(studio.settings.weights))
        self.editor = Editor.for_app(self.models, studio.settings)
        self.sliders = SliderPanel(self.models)
        self.region = RegionPanel()
        self.batch = BatchPanel(studio, "swapping-autoencoder", "swapping_autoencoder.batch")
        self.vector = VectorPanel(studio, self.editor)
        self.strip = StripPanel(studio, self.editor, self.read)
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
                self._build_inputs(first)
            with gr.Column(elem_classes="work-result"):
                self._build_result()
                send_row = gr.Row(elem_classes="send-to")
            with gr.Column(elem_classes="work-sliders"):
                self.sliders.build(first)
                with gr.Accordion("A vector of your own", open=False):
                    self.vector.build()
                self.batch.build()
        self.licence = gr.Markdown(licence_line(first), elem_classes="credit")
        gr.Markdown(_CREDIT, elem_classes="credit")
        self.result = gr.State(None)
        self._wire()
        menus = [Menu(self.sliders.model, self.models)]
        return TabHandle(tab_id, label, takes=self.structure, gives=self.result, row=send_row, menus=menus)

    def _build_inputs(self, first: SwappingAutoencoderModel) -> None:
        self.message = gr.Markdown(_WELCOME, elem_classes="notice", elem_id="swapping-autoencoder-message")
        with gr.Column(elem_classes="few-examples"):
            self.structure = photo_input(
                label="Structure: the shapes", height=210, elem_id="swapping-autoencoder-structure"
            )
            self.studio.sessions.shared |= examples_row(self.structure, PORTRAITS, PLACES)
        with gr.Column(elem_classes="few-examples"):
            self.texture = photo_input(
                label="Texture: colours and surfaces", height=210, elem_id="swapping-autoencoder-texture"
            )
            self.studio.sessions.shared |= examples_row(self.texture, PORTRAITS, PLACES)
        self.cut = gr.Checkbox(
            first.faces,
            label="Cut the largest face out",
            info="Off: whole pictures",
            elem_id="swapping-autoencoder-cut",
        )
        self.side = gr.Dropdown(
            [(f"{side} pixels", side) for side in SIZES], value=first.resolution, label="Shorter side",
            elem_id="swapping-autoencoder-side",
        )  # fmt: skip

    def _build_result(self) -> None:
        with gr.Tabs() as self.views:
            with gr.Tab("Result", id="result"):
                self.studio.sessions.shared |= EXAMPLE.build()
                self.compare = gr.ImageSlider(
                    label="Structure picture and result", type="filepath", interactive=False, max_height=560,
                    buttons=["fullscreen"], elem_id="swapping-autoencoder-compare",
                )  # fmt: skip
                self.download_place = gr.Row()
            with gr.Tab("Paint a region", id="region") as self.region_view:
                self.region.build()
            with gr.Tab("Strip and video", id="strip"):
                self.strip.build()
            with gr.Tab("Codes", id="codes") as self.codes_view:
                gr.Markdown(_CODES, elem_classes="hint")
                with gr.Row():
                    self.own_code = result_picture("Structure code of the first picture", "swapping-autoencoder-code")
                    self.other_code = result_picture(
                        "Structure code of the second picture", "swapping-autoencoder-other-code"
                    )

    def _wire(self) -> None:
        panel = self.sliders
        pictures = {self.structure, self.texture, panel.more, self.cut, self.side, panel.model}
        region = {self.region.region, self.region.feather, self.region.used, self.region.shown}
        inputs = pictures | region | {*panel.moving, panel.detail, self.vector.strength}
        self.drawn = [self.compare, self.result]
        drawing = [self.message, *self.drawn]
        latest: dict[str, Any] = {
            "api_visibility": "private", "show_progress_on": [self.compare], "trigger_mode": "always_last", **QUEUE,
        }  # fmt: skip
        # While sliders move the last picture stays visible.
        live: dict[str, Any] = {**latest, "show_progress": "hidden"}
        place = ResultPlace(self.studio.sessions, "swapping_autoencoder.result", self.drawn)
        change = queued(self.on_change, place=place)

        def redraw(event: Any) -> None:
            event.then(change, inputs, drawing, **live)

        self.of_model = [*panel.bank_sliders, self.licence, self.cut, self.side, panel.detail, panel.amount]
        on_pictures: list[Any] = [queued(self.on_pictures, place=place), inputs, [*drawing, *panel.weights]]
        self.structure.change(
            queued(self.on_structure), {self.structure, panel.model}, [panel.model, *self.of_model], **latest
        ).then(*on_pictures, **latest)
        # Not on every change of the last two: weights set them, too.
        for changed in (self.texture.change, panel.more.change, self.cut.input, self.side.input):
            changed(*on_pictures, **latest)
        # Also where another picture, or a model that is gone, changed the menu.
        relabelled = panel.model.change(guarded(self.on_model), panel.model, self.of_model, **QUIET)
        relabelled.then(*on_pictures, **latest)
        sliders = [*panel.moving, self.vector.strength]
        for slider in (*sliders, panel.detail, self.region.feather, self.region.region):
            slider.input(change, inputs, drawing, **live)
        rested = panel.reset.click(lambda name: [*panel.neutral(name), 0], panel.model, sliders, **QUIET)
        redraw(rested)
        released = [slider.release for slider in panel.state[1:]]
        panel.bar.wire(panel.state, released=[*released, rested.then], arrived=[relabelled.then], redraw=redraw)
        self.codes_view.select(
            queued(self.on_codes),
            inputs,
            [self.own_code, self.other_code],
            js=ONCE_MOUNTED,
            api_visibility="private",
            **QUEUE,
        )
        self.region.wire(self.region_view, self.views, inputs, self.first, redraw)
        self.vector.wire(panel.model, self.cut, redraw)
        self.strip.wire(inputs)
        self.batch.wire(inputs, self.edit_one, self.check_batch)
        with self.download_place:
            download_button("Download PNG", self.make_download, inputs, elem_id="swapping-autoencoder-download")

    # Handlers

    def first(self, data: Data, request: gr.Request) -> tuple[Session, OpenedPicture]:
        """The visitor's session and the first picture."""
        session = self.studio.sessions.get(request.session_hash)
        return session, self._open(session, data, data[self.structure], "a structure picture")

    def read(
        self, data: Data, request: gr.Request
    ) -> tuple[Session, OpenedPicture, list[OpenedPicture], SwappingAutoencoderModel, MixtureRequest]:
        """Read all inputs of the page."""
        session, first = self.first(data, request)
        choice, textures, wanted = self._wanted(session, data)
        return session, first, textures, choice, replace(wanted, mask=self.region.mask(data, session, first))

    def _wanted(
        self, session: Session, data: Data
    ) -> tuple[SwappingAutoencoderModel, list[OpenedPicture], MixtureRequest]:
        """All but the first picture and the region painted on it."""
        panel = self.sliders
        choice = self.editor.model(data[panel.model])
        paths = [path for path in (data[self.texture], *data[panel.more]) if path]
        textures = [self._open(session, data, path, "a texture picture") for path in paths[:MOST_TEXTURES]]
        wanted = MixtureRequest(
            amount=data[panel.amount],
            weights=tuple(data[slider] for slider in panel.weights),
            strengths=panel.strengths(choice, data),
            vector=self.vector.vector(session, choice.model),
            vector_strength=data[self.vector.strength] or 0.0,
            region=data[self.region.region],
            feather=data[self.region.feather],
            detail=data[panel.detail],
        )
        return choice, textures, wanted

    def on_structure(self, data: Data, request: gr.Request) -> Data:
        """Another structure picture: choose the embedded weights that suit it; a person may choose others after."""
        session, now = self.studio.sessions.get(request.session_hash), data[self.sliders.model]
        unchanged: Data = {self.sliders.model: gr.skip()}
        if not data[self.structure]:
            return unchanged
        try:
            suitable = self.editor.suitable(session, data[self.structure], now)
        except StudioError:
            return unchanged  # what is wrong with the picture is said when it is drawn
        if suitable == now:
            return unchanged
        updates = zip(self.of_model, self.on_model(suitable), strict=True)
        return {self.sliders.model: suitable, **dict(updates)}

    def on_pictures(self, data: Data, request: gr.Request, progress: gr.Progress = gr.Progress()) -> Iterator[Data]:
        """Other pictures, or another crop of the same ones: encode them and draw."""
        count = bool(data[self.texture]) + len(data[self.sliders.more])
        weights = {slider: gr.Slider(visible=i < max(count, 1)) for i, slider in enumerate(self.sliders.weights)}
        if not data[self.structure]:
            message = _OTHER if data[self.texture] else _WELCOME
            yield {**dict.fromkeys(self.drawn), **weights, self.message: message}
            return
        yield {**weights, self.message: "Reading the pictures ..."}
        try:
            session, first, textures, choice, wanted = self.read(data, request)
            drawn = self._draw(session, first, textures, choice, wanted, progress)
            dropped = count - MOST_TEXTURES
            notes = [f"Only {MOST_TEXTURES} textures are mixed; {dropped} are left out."] if dropped > 0 else []
            notes += [source.note for source in (first, *textures) if source.note]
            if {EMBEDDED, PLACES_MODEL} <= self.models.keys():  # one of them was chosen by the picture
                notes.append(f"Weights: {choice.label}.")
            notes.append("Move the sliders." if textures else _ONE)
            yield {**drawn, self.message: " ".join(dict.fromkeys(notes))}
        except StudioError as error:
            yield {**dict.fromkeys(self.drawn), self.message: str(error)}
            raise

    def on_change(self, data: Data, request: gr.Request, progress: gr.Progress = gr.Progress()) -> Data:
        """Other settings for the same pictures: draw again."""
        if not data[self.structure]:
            return {self.message: _OTHER if data[self.texture] else _WELCOME}
        session, first, textures, choice, wanted = self.read(data, request)
        return self._draw(session, first, textures, choice, wanted, progress)

    def on_model(self, name: str) -> list[Any]:
        """Other weights: show their sliders, all at 0, their licence, and their defaults for pictures."""
        choice = self.editor.model(name)
        updates = self.sliders.updates(choice)
        return [*updates, licence_line(choice), choice.faces, choice.resolution, choice.detail, choice.amount]

    def on_codes(self, data: Data, request: gr.Request) -> Data:
        """The structure codes as pictures."""
        session, first, textures, choice, _ = self.read(data, request)
        places = zip((self.own_code, self.other_code), (first, *textures[:1]), strict=False)
        updates: Data = dict.fromkeys((self.own_code, self.other_code))
        for place, source in places:
            colours = self.editor.encode(session, source, choice).colours
            large = colours.resize(source.picture.size, Image.Resampling.NEAREST)
            updates[place] = shown(session, "codes", large, exact=True)
        return updates

    def make_download(self, data: Data, request: gr.Request, progress: gr.Progress = gr.Progress()) -> str:
        """The result as a marked PNG."""
        session, first, textures, choice, wanted = self.read(data, request)
        picture = self.editor.draw(session, first, textures, choice, wanted, reporter(progress))
        return str(self.editor.save(session, picture, choice, wanted))

    def check_batch(self, data: Data, request: gr.Request) -> Data:
        """Whether there is something to draw with. Raises BadValue."""
        panel = self.sliders
        changes = panel.strengths(self.editor.model(data[panel.model]), data) or data[self.vector.strength]
        if not data[self.texture] and not changes:
            raise BadValue("Please choose a texture picture, or move a slider, first.")
        return {}

    def edit_one(self, session: Session, path: str, data: Data) -> Iterator[Path]:
        """One of several photos, as the structure."""
        choice, textures, wanted = self._wanted(session, data)
        first = self._open(session, data, path, "a structure picture")
        picture = self.editor.draw(session, first, textures, choice, wanted)
        yield self.editor.save(session, picture, choice, wanted)

    # Helpers

    def _open(self, session: Session, data: Data, path: str | None, what: str) -> OpenedPicture:
        choice = self.editor.model(data[self.sliders.model])
        return self.editor.open(session, path, choice, side=data[self.side], cut_face=data[self.cut], what=what)

    def _draw(
        self,
        session: Session,
        first: OpenedPicture,
        textures: list[OpenedPicture],
        choice: SwappingAutoencoderModel,
        wanted: MixtureRequest,
        progress: gr.Progress,
    ) -> Data:
        picture = self.editor.draw(session, first, textures, choice, wanted, reporter(progress))
        before = shown_once(session, ("swapping-autoencoder-before", first.key), "before", first.picture)
        after = shown(session, "after", picture)
        return {self.compare: (before, after), self.result: after}


TAB = Tab("swapping_autoencoder", "Swap structure and texture", SwapStructureAndTexture)
