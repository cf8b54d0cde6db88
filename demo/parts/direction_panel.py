"""A direction of a person's own: two sets of photos, or of random faces, become a slider that can be saved and
loaded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import gradio as gr
from PIL import Image

from demo.context import Studio
from demo.gpu import Progress
from demo.parts.download import download_button
from demo.parts.events import QUIET, Data, reporter
from demo.parts.files import pictures_input
from demo.parts.numbers import LARGEST_SEED, whole_number
from demo.parts.pictures import shown
from demo.parts.queued import QUEUE, queued
from demo.session import Session
from gan_core.errors import BadValue, StudioError

if TYPE_CHECKING:
    from torch import Tensor

    from gan_core.own_direction import OwnDirection

LIMIT = 3.0
"""Of the slider's strength; 3 is the whole difference between the two sets."""
_FACES = 12
_HINT = (
    "Give a few pictures that have something (a beard, a fringe, a certain look) and a few that lack it. What tells "
    "the two sets apart becomes a slider. The more alike they are otherwise, the cleaner it is."
)
_SEEDS = "Or click on faces that the generator draws; each click adds one to the set chosen here."
_HAVE, _LACK = "have it", "lack it"


class DirectionMaker(Protocol):
    """What the panel needs of a tab's editor. model: the choice of weights as the API calls it."""

    def registry_name(self, model: str) -> str:
        """Its name in the registry."""

    def photo_code(self, session: Session, model: str, path: str, progress: Progress | None = None) -> Tensor:
        """The latents of the largest face of a photo. Raises BadImage, NoFaceFound or FaceTooSmall."""

    def random_faces(self, model: str, seeds: Sequence[int]) -> list[tuple[Tensor, Image.Image]]:
        """Latents, of the same shape, and pictures of random faces."""


class DirectionPanel:
    """The panel. `strength` is an input of every drawing; what it belongs to: `chosen`.

    prefix: begins the elements' ids.
    """

    def __init__(self, studio: Studio, maker: DirectionMaker, prefix: str) -> None:
        self.studio, self.maker, self._prefix = studio, maker, f"{prefix}-own"

    def build(self) -> None:
        """Lay it out in the current context."""
        prefix = self._prefix
        self.strength = gr.Slider(
            -LIMIT, LIMIT, value=0, step=0.05, label="My direction", visible=False, elem_id=f"{prefix}-strength"
        )
        with gr.Accordion("A direction of your own", open=False):
            gr.Markdown(_HINT, elem_classes="hint")
            self.having = pictures_input(label="Photos that have it", height=135, elem_id=f"{prefix}-having")
            self.lacking = pictures_input(label="Photos that lack it", height=135, elem_id=f"{prefix}-lacking")
            with gr.Accordion("Random faces instead", open=False):
                self.target = gr.Radio([_HAVE, _LACK], value=_HAVE, label=_SEEDS, elem_id=f"{prefix}-target")
                self.roll = gr.Button("Show faces", size="sm", elem_id=f"{prefix}-roll")
                self.gallery = gr.Gallery(
                    label="Random faces", show_label=False, columns=6, height=230, allow_preview=False,
                    interactive=False, buttons=[], elem_classes="seeds", elem_id=f"{prefix}-gallery",
                )  # fmt: skip
                self.seeds = {
                    what: gr.Textbox(label=f"Faces that {what}, by number", elem_id=f"{prefix}-seeds-{what[:4]}")
                    for what in (_HAVE, _LACK)
                }
            self.name = gr.Textbox(label="Its name", placeholder="My direction", elem_id=f"{prefix}-name")
            self.make = gr.Button("Make the slider", size="sm", elem_id=f"{prefix}-make")
            self.state = gr.Markdown("", elem_id=f"{prefix}-state")
            self.save_place = gr.Row()
            self.load = pictures_input(
                label="Load a saved one", height=135, elem_id=f"{prefix}-load", kinds=[".safetensors"]
            )
        self.first = gr.State(-_FACES)

    def wire(self, model: gr.Dropdown, redraw: Callable[[Any], Any]) -> None:
        """Connect it. redraw: adds the drawing to an event."""
        busy: dict[str, Any] = {"api_visibility": "private", "show_progress_on": [self.state], **QUEUE}
        made = [self.strength, self.state]

        @queued
        def on_make(data: Data, request: gr.Request, progress: gr.Progress = gr.Progress()) -> Data:
            session = self.studio.sessions.get(request.session_hash)
            return self._use(session, self._made(session, data, data[model], reporter(progress)))

        @queued
        def on_load(data: Data, request: gr.Request) -> Data:
            from gan_core import own_direction

            session = self.studio.sessions.get(request.session_hash)
            if not data[self.load]:
                return {self.state: ""}
            path = data[self.load][0]
            session.own_upload(path)
            name = self.maker.registry_name(data[model])
            shape = self.maker.random_faces(data[model], [0])[0][0].shape
            return self._use(session, own_direction.read(Path(path), name, shape))

        @queued
        def on_roll(data: Data, request: gr.Request) -> Data:
            session, first = self.studio.sessions.get(request.session_hash), data[self.first] + _FACES
            faces = self.maker.random_faces(data[model], range(first, first + _FACES))
            small = [picture.resize((128, 128)) for _, picture in faces]
            pictures = [(shown(session, "own-face", one), str(first + i)) for i, one in enumerate(small)]
            return {self.gallery: pictures, self.first: first}

        def on_pick(data: Data, request: gr.Request, event: gr.SelectData) -> Data:
            # Not the page's own list: a second click may come before the first has changed it.
            session, what = self.studio.sessions.get(request.session_hash), data[self.target]
            seed, now = str(data[self.first] + int(event.index)), session.recall((self._prefix, what)) or []
            now = [word for word in now if word != seed] if seed in now else [*now, seed]
            session.keep((self._prefix, what), now, 0)
            return {self.seeds[what]: ", ".join(now)}

        def typed(what: str) -> Callable[[str, gr.Request], None]:
            def on_typed(text: str, request: gr.Request) -> None:
                session = self.studio.sessions.get(request.session_hash)
                session.keep((self._prefix, what), (text or "").replace(",", " ").split(), 0)

            return on_typed

        inputs = {self.having, self.lacking, *self.seeds.values(), self.name, model}
        redraw(self.make.click(on_make, inputs, made, **busy))
        redraw(self.load.upload(on_load, {self.load, model}, made, **busy))
        rolled: list[Any] = [on_roll, {self.first, model}, [self.gallery, self.first]]
        self.roll.click(*rolled, api_visibility="private", show_progress="minimal", **QUEUE)
        boxes = [*self.seeds.values()]
        self.gallery.select(on_pick, {self.target, self.first}, boxes, trigger_mode="multiple", **QUIET)
        for what, box in self.seeds.items():
            box.input(typed(what), box, None, **QUIET)
        model.change(lambda: [gr.Slider(value=0, visible=False), ""], None, made, **QUIET)
        with self.save_place:
            download_button("Save it to a file", self._saver(model), {model}, elem_id=f"{self._prefix}-save")

    def chosen(self, session: Session, model: str, data: Data) -> tuple[OwnDirection, float] | None:
        """The direction made or loaded for these weights, and its strength; None where it changes nothing."""
        direction, strength = session.recall((self._prefix, self.maker.registry_name(model))), data[self.strength]
        return (direction, float(strength)) if direction is not None and strength else None

    def _saver(self, model: gr.Dropdown) -> Callable[[Data, gr.Request], str]:
        def on_save(data: Data, request: gr.Request) -> str:
            from gan_core import own_direction

            session = self.studio.sessions.get(request.session_hash)
            direction = session.recall((self._prefix, self.maker.registry_name(data[model])))
            if direction is None:
                raise BadValue("There is no direction yet. Please make the slider first.")
            path = session.new_file("direction", ".safetensors")
            own_direction.save(direction, path)
            return str(path)

        return on_save

    def _made(self, session: Session, data: Data, model: str, progress: Progress) -> OwnDirection:
        from gan_core.own_direction import FEWEST, MOST, difference

        sets = []
        for what, files in ((_HAVE, data[self.having]), (_LACK, data[self.lacking])):
            seeds = _seeds(data[self.seeds[what]])
            count = len(files) + len(seeds)
            if not FEWEST <= count <= MOST:
                raise BadValue(
                    f"Please give from {FEWEST} to {MOST} pictures or faces that {what}, not {count}. One of each "
                    "would hold all that differs between two pictures."
                )
            sets.append((files, seeds))
        codes = []
        for files, seeds in sets:
            found = [self._code(session, model, path, progress) for path in files]
            codes.append([*found, *(code for code, _ in self.maker.random_faces(model, seeds))])
        return difference(data[self.name], self.maker.registry_name(model), *codes)

    def _code(self, session: Session, model: str, path: str, progress: Progress) -> Tensor:
        try:
            return self.maker.photo_code(session, model, path, progress)
        except StudioError as error:
            raise BadValue(f"{Path(path).name}: {error}") from error

    def _use(self, session: Session, direction: OwnDirection) -> Data:
        session.keep((self._prefix, direction.model), direction, 4 * direction.vector.numel())
        return {
            self.strength: gr.Slider(label=direction.name, visible=True, value=1),
            self.state: f"*{direction.name}* is a slider now, above.",
        }


def _seeds(text: str | None) -> list[int]:
    words = (text or "").replace(",", " ").split()
    return [whole_number(word, "The number of a face", 0, LARGEST_SEED) for word in dict.fromkeys(words)]
