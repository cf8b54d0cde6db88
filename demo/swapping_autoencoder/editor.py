"""The steps from pictures to their mixture: open, align a face or fit the size, encode once, draw.

This module is independent of the page: its arguments and results are plain values. Codes are kept in the visitor's
session, so that moving a slider only draws.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from demo import gpu
from demo.gpu import Call, Progress, Steps
from demo.parts.choices import choice_of
from demo.parts.editor import PaperEditor
from demo.parts.results import save_result
from demo.parts.uploads import MAX_PIXELS, read_upload
from demo.session import Session
from demo.swapping_autoencoder import tasks
from demo.swapping_autoencoder.request import MixtureRequest, mixture_of, note_of, request_of
from demo.swapping_autoencoder.tasks import EncodedPicture
from gan_core.errors import BadImage, BadValue, FaceTooSmall, NoFaceFound
from gan_core.images import held_bytes, open_image
from gan_core.swapping_autoencoder.models import EMBEDDED, PLACES, SwappingAutoencoderModel

if TYPE_CHECKING:
    import torch


MIN_SIDE = 32
SIZES = (256, 384, 512, 768, 1024)  # of the shorter side while working
LONGEST = 2048  # of the longer side
MOST_TEXTURES = 4
MOST_IN_A_SET = 12
LOOP_FRAMES = 25


@dataclass(frozen=True)
class OpenedPicture:
    """A picture at its working size."""

    key: str
    """Identifies the picture, its size and its crop."""
    picture: Image.Image = field(repr=False)
    note: str = ""
    """Message on how it was cropped, or ""."""

    @property
    def size(self) -> int:
        """Bytes, about."""
        return held_bytes(self.picture)


class Editor(PaperEditor[SwappingAutoencoderModel]):
    """The steps of mixing pictures."""

    def model(self, name: str) -> SwappingAutoencoderModel:
        """The choice of weights of that name. Raises UnknownName, or WeightsMissing where there is none at all."""
        return choice_of(self.models, name, "the swapping autoencoder")

    def suitable(self, session: Session, path: str | None, name: str) -> str:
        """Name of the embedded weights that suit a picture: those of portraits for a face, else those of any photo.

        name: of the weights chosen now; others stay, also where one of the two is not on this machine. Raises BadImage.
        """
        if name not in (EMBEDDED, PLACES) or not {EMBEDDED, PLACES} <= self.models.keys():
            return name
        data = read_upload(session, path, "a structure picture")
        key = ("swapping-autoencoder-face", hashlib.sha256(data).hexdigest())
        has_face = session.recall(key)
        if has_face is None:
            try:
                has_face = bool(self.find_faces(open_image(data, max_pixels=MAX_PIXELS, min_side=MIN_SIDE)))
            except (NoFaceFound, FaceTooSmall):
                has_face = False
            session.keep(key, has_face, 1)
        return EMBEDDED if has_face else PLACES

    def warm_up(self) -> None:
        """Load the first model and run it once on an empty picture."""
        if not self.models:
            return
        choice = next(iter(self.models.values()))
        blank = Image.new("RGB", (choice.resolution, choice.resolution), "grey")
        encoded = gpu.run(tasks.encode(choice.model, blank))
        self._draw(choice, encoded, [encoded], [MixtureRequest(amount=0.5)], None)

    def open(
        self,
        session: Session,
        path: str | None,
        choice: SwappingAutoencoderModel,
        *,
        side: int | None = None,
        cut_face: bool = False,
        what: str = "a picture",
    ) -> OpenedPicture:
        """The picture at `path` at its working size, from the session where it has been opened before.

        side: length of the shorter side, in pixels; by default the model's resolution. cut_face: align the largest
        face, if there is one, as for models of faces. what: names the picture in the message if there is none. Raises
        BadImage or BadValue.
        """
        side = side or choice.resolution
        if not min(SIZES[0], choice.resolution) <= side <= SIZES[-1]:
            raise BadValue(f"The size must be from {SIZES[0]} to {SIZES[-1]} pixels, not {side}.")
        data = read_upload(session, path, what)
        key = f"{hashlib.sha256(data).hexdigest()}/{side}/{cut_face}"
        source = session.recall(("swapping-autoencoder-source", key))
        if source is None:
            photo = open_image(data, max_pixels=MAX_PIXELS, min_side=MIN_SIDE)
            source = self._cut(key, photo, side) if cut_face else OpenedPicture(key, fitted(photo, side))
            session.keep(("swapping-autoencoder-source", key), source, source.size)
        return source

    def encode(
        self,
        session: Session,
        source: OpenedPicture,
        choice: SwappingAutoencoderModel,
        progress: Progress | None = None,
    ) -> EncodedPicture:
        """The codes of a picture, from the session if it has been encoded before."""
        key = ("swapping-autoencoder-codes", choice.model, source.key)
        encoded = session.recall(key)
        if encoded is None:
            encoded = gpu.run(tasks.encode(choice.model, source.picture), progress)
            session.keep(key, encoded, encoded.size)
        return encoded

    def draw(
        self,
        session: Session,
        first: OpenedPicture,
        textures: Sequence[OpenedPicture],
        choice: SwappingAutoencoderModel,
        wanted: MixtureRequest,
        progress: Progress | None = None,
    ) -> Image.Image:
        """The mixture. Without textures the first picture keeps its own. Raises BadValue or UnknownName."""
        own, others = self._encoded(session, first, textures, choice, progress)
        return self._draw(choice, own, others, [wanted], progress)[0]

    def steps(
        self,
        session: Session,
        first: OpenedPicture,
        textures: Sequence[OpenedPicture],
        choice: SwappingAutoencoderModel,
        wanted: MixtureRequest,
        count: int = LOOP_FRAMES,
        progress: Progress | None = None,
    ) -> Steps[list[Image.Image]]:
        """Draw `count` pictures with the amount of texture rising from 0 to 1: reports, and at last a list of pictures.

        Closing the iterator stops the work. Raises BadImage if there is no texture picture.
        """
        if not textures:
            raise BadImage("This goes from one texture to another. Please choose a texture picture first.")
        own, others = self._encoded(session, first, textures, choice, progress)
        wanted_mixtures = [replace(wanted, amount=i / (count - 1)) for i in range(count)]
        yield from gpu.stream(_drawing(choice, own, others, wanted_mixtures), progress)

    def vector(
        self,
        session: Session,
        having: Sequence[str],
        lacking: Sequence[str],
        choice: SwappingAutoencoderModel,
        *,
        cut_face: bool = False,
        progress: Progress | None = None,
    ) -> torch.Tensor:
        """The mean difference of two sets of pictures, a texture vector on the CPU. Raises BadValue or BadImage."""
        groups = []
        for name, paths in (("have it", having), ("lack it", lacking)):
            if not 1 <= len(paths) <= MOST_IN_A_SET:
                raise BadValue(f"Please give from 1 to {MOST_IN_A_SET} pictures that {name}, not {len(paths)}.")
            sources = [self.open(session, path, choice, cut_face=cut_face) for path in paths]
            groups.append([self.encode(session, source, choice, progress).codes for source in sources])
        return gpu.run(tasks.vector(choice.model, groups[0], groups[1]), progress)

    def vector_shape(self, choice: SwappingAutoencoderModel) -> tuple[int, ...]:
        """The shape of the model's texture vectors."""
        blank = Image.new("RGB", (choice.resolution, choice.resolution), "grey")
        codes = gpu.run(tasks.encode(choice.model, blank)).codes
        return tuple(gpu.run(tasks.vector(choice.model, [codes], [codes])).shape)

    def swap_once(
        self,
        session: Session,
        structure: str | None,
        texture: str | None,
        amount: float,
        model: str,
        more: Any = None,
        progress: Progress | None = None,
    ) -> Image.Image:
        """The API's call, with whole pictures; `more` as in `request_of`. Raises any StudioError."""
        choice = self.model(model)
        wanted = request_of(choice, amount, more)
        first = self.open(session, structure, choice, what="a structure picture")
        other = self.open(session, texture, choice, what="a texture picture")
        return self.draw(session, first, [other], choice, wanted, progress)

    def save(
        self, session: Session, picture: Image.Image, choice: SwappingAutoencoderModel, wanted: MixtureRequest
    ) -> Path:
        """Write a result as a PNG that says how it was made; the path lives as long as the session."""
        return save_result(session, picture, note_of(choice, wanted), "swapped")

    # Helpers

    def _cut(self, key: str, photo: Image.Image, side: int) -> OpenedPicture:
        from gan_core.faces import align

        try:
            face, note = self.largest_face(photo)
        except (NoFaceFound, FaceTooSmall):
            return OpenedPicture(key, fitted(photo, side), "No face was found, so the whole picture is taken.")
        return OpenedPicture(key, align(photo, face, side).crop, note)

    def _encoded(
        self,
        session: Session,
        first: OpenedPicture,
        textures: Sequence[OpenedPicture],
        choice: SwappingAutoencoderModel,
        progress: Progress | None,
    ) -> tuple[EncodedPicture, list[EncodedPicture]]:
        if len(textures) > MOST_TEXTURES:
            raise BadValue(f"At most {MOST_TEXTURES} textures can be mixed; these are {len(textures)}.")
        own, *others = (self.encode(session, source, choice, progress) for source in (first, *textures))
        return own, others

    def _draw(
        self,
        choice: SwappingAutoencoderModel,
        own: EncodedPicture,
        others: Sequence[EncodedPicture],
        wanted_mixtures: Sequence[MixtureRequest],
        progress: Progress | None,
    ) -> list[Image.Image]:
        return gpu.run(_drawing(choice, own, others, wanted_mixtures), progress)


def _drawing(
    choice: SwappingAutoencoderModel,
    own: EncodedPicture,
    others: Sequence[EncodedPicture],
    wanted_mixtures: Sequence[MixtureRequest],
) -> Call[list[Image.Image]]:
    mixtures = [mixture_of(wanted, len(others), own.codes.size) for wanted in wanted_mixtures]
    return tasks.draw(choice.model, own.codes, [other.codes for other in others], mixtures)


def fitted(photo: Image.Image, side: int) -> Image.Image:
    """The photo with its shorter side `side` pixels long; a longer side of more than LONGEST pixels is cropped to
    its middle."""
    scale = side / min(photo.size)
    width, height = (max(side, round(length * scale)) for length in photo.size)
    if (width, height) != photo.size:
        photo = photo.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=3.0)
    longest = max(LONGEST, side)
    if max(width, height) > longest:
        left, top = max(0, (width - longest) // 2), max(0, (height - longest) // 2)
        photo = photo.crop((left, top, min(width, left + longest), min(height, top + longest)))
    return photo
