"""The first mode of "Fill a hole": a picture, and a mask painted on it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from demo.comodgan import examples
from demo.comodgan.editor import Editor, Photo
from demo.comodgan.run_bar import RunBar
from demo.context import Studio
from demo.gpu import Step
from demo.parts.batch_panel import BatchPanel
from demo.parts.errors import guarded
from demo.parts.events import QUIET, Data
from demo.parts.examples import PEOPLE, PLACES, examples_row
from demo.parts.painting import layer_of, layers_from, paint_input, paint_value, painted
from demo.parts.photo import photo_input
from demo.parts.pictures import shown
from demo.parts.queued import QUEUE, queued
from demo.session import Session
from gan_core.comodgan import models
from gan_core.errors import BadValue, StudioError

_WELCOME = "Give it a picture, then paint over what should be filled."
_PAINT = "Paint over what should be filled, select it by a click, or take a ready-made mask below."
_KEYS = "Keys: **[** and **]** brush size, **E** eraser or brush, **Ctrl+Z** undo."
_PICK, _PICKED = "Select by click", "Stop selecting"
_PICKING = "Click on a thing in the picture to select it; each further click adds one."
_ADDED = "Selected. Click on the next thing, or press **Fill the hole**."
_MARKED_ALREADY = "That place is marked already. Click on something that is not."
_ERASED = "Erased. Click on a thing to select it."
_TAKEN_BACK = "The last selection is taken back. Click on a thing to select it."
_KEPT = "comodgan-marked"
_MOST_STEPS = 10  # selections that can be taken back
_EXAMPLE = "A mask is ready: press **Fill the hole**. Or paint your own, with brush and eraser."
_CLEAR = "The picture's transparent part is marked. Press **Fill the hole**, or paint on."
_TRANSPARENT = "Their transparent part"
_LABELS = {
    "left": "Left half", "bottom": "Lower half", "centre": "Centre", "face": "Face", "eyes": "Eyes",
    "all_but_eyes": "All but the eyes", "random": "Random",
}  # fmt: skip


class HolePanel:
    """Picture, brush, ready-made masks and the run's controls."""

    def __init__(self, studio: Studio, editor: Editor) -> None:
        self.studio, self.editor = studio, editor
        self.run = RunBar(studio.offer(lambda: editor.of_kind("hole")), "comodgan")
        self.batch = BatchPanel(studio, "comodgan", "comodgan.batch")
        self._examples: dict[str, str] = {}  # path -> name without suffix

    def build(self) -> None:
        """Lay it out in the current context."""
        with gr.Row(elem_classes="comodgan-source"):
            with gr.Column(scale=2, min_width=150):
                self.photo = photo_input(label="Picture", height=130, elem_id="comodgan-photo")
            with gr.Column(scale=3, min_width=220, elem_classes="few-examples"):
                self.message = gr.Markdown(_WELCOME, elem_classes="notice", elem_id="comodgan-message")
                kinds = (PLACES, PEOPLE) if models.PLACES in self.editor.of_kind("hole") else (PEOPLE,)
                copies = examples_row(self.photo, *kinds)
        self.studio.sessions.shared |= copies
        self._examples = {str(path): path.stem for path in sorted(copies, key=lambda path: path.name)}
        self.paint = paint_input(label="Paint over what should be filled", height=420, elem_id="comodgan-paint")
        gr.Markdown(_KEYS, elem_classes="keys")
        with gr.Row(elem_classes="actions masks"):
            self.masks = {
                name: gr.Button(label, size="sm", min_width=60, elem_id=f"comodgan-mask-{name}")
                for name, label in _LABELS.items()
            }
        with gr.Row(elem_classes="actions masks"):
            self.pick = gr.Button(_PICK, size="sm", min_width=60, elem_id="comodgan-pick")
            self.unpick = gr.Button("Undo selection", size="sm", min_width=60, visible=False, elem_id="comodgan-unpick")
            self.invert = gr.Button("Invert", size="sm", min_width=60, elem_id="comodgan-invert")
            self.clear = gr.Button("Clear", size="sm", min_width=60, elem_id="comodgan-clear")
        self.run.build("Fill the hole")
        with self.batch.build():
            self.what = gr.Dropdown(
                [(_TRANSPARENT, ""), *((label, name) for name, label in _LABELS.items() if name != "random")],
                value="face", label="Fill in each", elem_id="comodgan-batch-what",
            )  # fmt: skip
        # The page's script presses it after each click on the picture while things are selected.
        self.clicked = gr.Button("Clicked", visible="hidden", elem_id="comodgan-clicked")
        self.shown = gr.State("")  # key of the picture in the editor
        self.picking = gr.State(False)
        # Mounted with the tab, the timer fires once when the tab is first opened.
        self.opened = gr.Timer(0.8)

    @property
    def painting(self) -> set[Any]:
        """The components that `read` reads."""
        return {self.photo, self.paint.sent, self.shown}

    def read(self, data: Data, session: Session) -> tuple[Photo, np.ndarray | None]:
        """The picture and what is painted on it, at its size. Raises BadImage or BadValue."""
        layers = layers_from(session, data[self.paint.sent])
        photo = self.editor.open(session, data[self.photo])
        if data[self.shown] != photo.key:
            raise BadValue("The picture is still being opened. Please try again in a moment.")
        return photo, painted(layers, photo.picture.size)

    def wire(self) -> None:
        """Connect all events except the run."""
        picture: dict[str, Any] = {
            "api_visibility": "private",
            "show_progress": "minimal",
            "show_progress_on": [self.message],  # see `PaintInput`
            **QUEUE,
        }
        quick = {**QUIET, "show_progress_on": [self.message]}
        shown_now = [self.paint.editor, self.message]
        mode = [self.pick, self.unpick, self.picking]
        self.opened.tick(self.on_opened, self.photo, [self.photo, self.opened], trigger_mode="once", **quick)
        self.photo.change(
            queued(self.on_photo),
            {self.photo, self.shown},
            [*shown_now, self.shown, *mode],
            trigger_mode="always_last",
            **picture,
        )
        for name, button in self.masks.items():
            button.click(queued(self._on_ready_made(name)), {self.photo}, shown_now, **picture)
        painting = {self.photo, self.paint.sent}
        self.paint.sending(self.invert.click)(guarded(self.on_invert), painting, shown_now, **quick)
        settings = {self.what, *self.run.inputs}
        self.batch.wire(settings, self.edit_one, lambda _data, _request: {})
        self.clear.click(guarded(self.on_clear), {self.photo}, shown_now, **quick)
        self.paint.sending(self.pick.click)(
            guarded(self.on_pick), {*painting, self.picking}, [self.message, *mode], trigger_mode="once", **quick
        )
        self.unpick.click(guarded(self.on_unpick), {self.photo}, shown_now, trigger_mode="once", **quick)
        self.paint.sending(self.clicked.click)(
            queued(self.on_clicked), painting, shown_now, trigger_mode="once", **picture
        ).then(None, None, None, js="() => window.dispatchEvent(new Event('selected'))", api_visibility="private")

    def edit_one(self, session: Session, path: str, data: Data) -> Iterator[Step | Path]:
        """One of several photos, its hole where the menu says, filled once."""
        photo, name = self.editor.open(session, path), data[self.what]
        if name:
            mask, _ = self.editor.ready_made(session, photo, name)
            marked: np.ndarray | None = _scaled(mask, photo.picture.size)
        else:
            marked = photo.clear
        choice, seeds = self.editor.model(data[self.run.model], "hole"), self.run.seeds(data)[:1]
        for step in self.editor.fill(session, photo, marked, choice, seeds, data[self.run.psi]):
            yield step if isinstance(step, Step) else self.editor.save(session, step)

    # Handlers

    def on_opened(self, path: str | None) -> list[Any]:
        """The tab is opened for the first time: show an example, unless there is a picture already."""
        paths = {name: path for path, name in self._examples.items()}
        example = next((paths[name] for name in examples.FIRST if name in paths), None)
        return [path or example, gr.Timer(active=False)]

    def on_photo(self, data: Data, request: gr.Request) -> Data:
        """Another picture: put it into the editor; with a mask if it has transparent pixels or is an example."""
        session = self.studio.sessions.get(request.session_hash)
        path = data[self.photo]
        if not path:
            return {self.paint.editor: None, self.message: _WELCOME, self.shown: "", **self._pick_mode(False)}
        photo = self.editor.open(session, path)
        if data[self.shown] == photo.key:
            # Without a value of its own Gradio would make the editor anew, and empty.
            return {self.paint.editor: self._value(session, photo, *self._kept(session, photo)), self.shown: photo.key}
        mask, message = None, _PAINT
        if photo.clear is not None:
            mask, message = _scaled(photo.clear, photo.painting_size), _CLEAR
        elif name := self._examples.get(str(Path(path).resolve())):
            mask, message = self._example_mask(session, photo, name), _EXAMPLE
        value = self._value(session, photo, mask)
        return {self.paint.editor: value, self.message: message, self.shown: photo.key, **self._pick_mode(False)}

    def _on_ready_made(self, name: str) -> Callable[[Data, gr.Request], Data]:
        def on_ready_made(data: Data, request: gr.Request) -> Data:
            session, photo = self._photo(data, request)
            mask, note = self.editor.ready_made(session, photo, name, secrets.randbelow(2**31))
            return {self.paint.editor: self._value(session, photo, mask), self.message: note or _share(mask)}

        return on_ready_made

    def on_invert(self, data: Data, request: gr.Request) -> Data:
        """Invert the mask."""
        layers = layers_from(self.studio.sessions.get(request.session_hash), data[self.paint.sent])
        session, photo = self._photo(data, request)
        mask = painted(layers, photo.painting_size)
        inverted = np.ones(photo.painting_size[::-1], bool) if mask is None else ~mask
        return {self.paint.editor: self._value(session, photo, inverted), self.message: _share(inverted)}

    def on_clear(self, data: Data, request: gr.Request) -> Data:
        """Clear the mask."""
        session, photo = self._photo(data, request)
        return {self.paint.editor: self._value(session, photo, None), self.message: _PAINT}

    def on_pick(self, data: Data, request: gr.Request) -> Data:
        """Begin or end selecting things by clicks."""
        if data[self.picking]:
            return {self.message: _PAINT, **self._pick_mode(False)}
        layers = layers_from(self.studio.sessions.get(request.session_hash), data[self.paint.sent])
        session, photo = self._photo(data, request)
        self._keep(session, photo, painted(layers, photo.painting_size))
        return {self.message: _PICKING, **self._pick_mode(True)}

    def on_clicked(self, data: Data, request: gr.Request) -> Data:
        """A click on the picture while things are selected: what it has painted is a dot, or a stroke, on the thing."""
        layers = layers_from(self.studio.sessions.get(request.session_hash), data[self.paint.sent])
        session, photo = self._photo(data, request)
        now = painted(layers, photo.painting_size)
        marked, earlier = self._kept(session, photo)
        new = (np.zeros_like(marked) if now is None else now) & ~marked
        if not new.any():
            erased = now is None or (marked & ~now).any()
            message = _ERASED if erased else _MARKED_ALREADY
            return {self.paint.editor: self._value(session, photo, now, earlier), self.message: message}
        try:
            found = self.editor.thing_at(photo, new)
        except StudioError as error:
            return {self.paint.editor: self._value(session, photo, marked, earlier), self.message: str(error)}
        earlier = [*earlier, np.packbits(marked)][-_MOST_STEPS:]
        return {self.paint.editor: self._value(session, photo, marked | found, earlier), self.message: _ADDED}

    def on_unpick(self, data: Data, request: gr.Request) -> Data:
        """Take back the last thing that was selected by a click."""
        session, photo = self._photo(data, request)
        marked, earlier = self._kept(session, photo)
        if not earlier:
            return {self.message: _PICKING}
        before = np.unpackbits(earlier[-1], count=marked.size).reshape(marked.shape).astype(bool)
        return {self.paint.editor: self._value(session, photo, before, earlier[:-1]), self.message: _TAKEN_BACK}

    # Helpers

    def _example_mask(self, session: Session, photo: Photo, name: str) -> np.ndarray | None:
        people = [one for one in self._examples.values() if one.startswith(PEOPLE)]
        if ready := examples.ready_made(name, people):
            return self.editor.ready_made(session, photo, ready)[0]
        return examples.thing(name, photo.painting_size)

    def _pick_mode(self, on: bool) -> Data:
        """Updates of the buttons of selecting by clicks; the page's script looks at the class of the first."""
        pick = gr.Button(_PICKED if on else _PICK, elem_classes=["picking"] if on else [])
        return {self.pick: pick, self.unpick: gr.Button(visible=on), self.picking: on}

    def _keep(
        self, session: Session, photo: Photo, mask: np.ndarray | None, earlier: Sequence[np.ndarray] = ()
    ) -> None:
        """Keep what is painted, at the image editor's size: what the next click adds is what is new then.

        earlier: what was painted before each of the last selections, its bits packed.
        """
        size = sum(one.nbytes for one in (mask, *earlier) if one is not None)
        session.keep(_KEPT, (photo.key, mask, list(earlier)), size)

    def _kept(self, session: Session, photo: Photo) -> tuple[np.ndarray, list[np.ndarray]]:
        key, mask, earlier = session.recall(_KEPT) or ("", None, [])
        if key != photo.key:
            mask, earlier = None, []
        return np.zeros(photo.painting_size[::-1], bool) if mask is None else mask, earlier

    def _photo(self, data: Data, request: gr.Request) -> tuple[Session, Photo]:
        session = self.studio.sessions.get(request.session_hash)
        return session, self.editor.open(session, data[self.photo])

    def _value(
        self, session: Session, photo: Photo, mask: np.ndarray | None, earlier: Sequence[np.ndarray] = ()
    ) -> dict[str, Any]:
        self._keep(session, photo, mask, earlier)
        size = photo.painting_size
        background = shown(session, "paint", photo.picture.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0))
        # With an empty layer the editor's first step that can be undone is a stroke; without one, the picture itself.
        return paint_value(session, background, layer_of(np.zeros(size[::-1], bool) if mask is None else mask))


def _share(mask: np.ndarray) -> str:
    return f"{mask.mean():.0%} of the picture will be filled. Paint on, or press **Fill the hole**."


def _scaled(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return np.asarray(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST))
