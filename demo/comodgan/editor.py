"""The steps from a picture and a mask to completions: open, mask, choose the square for the model, fill.

This module is independent of the page: its arguments and results are plain values. A picture encoded with its hole is
kept in the visitor's session, so that another seed only decodes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from demo import gpu
from demo.comodgan import tasks
from demo.comodgan.mask import sent_mask, transparent
from demo.comodgan.tasks import Completion
from demo.gpu import Progress, Step
from demo.parts.choices import choice_of
from demo.parts.editor import PaperEditor
from demo.parts.numbers import LARGEST_SEED, real_number, whole_number
from demo.parts.results import save_result
from demo.parts.uploads import MAX_PIXELS, read_upload
from demo.session import Session
from gan_core.comodgan.masks import ready_made
from gan_core.comodgan.models import AUTOMATIC, PLACES, CoModGANModel, choice_of_faces, hole_choices
from gan_core.errors import BadValue, FaceTooSmall, NoFaceFound
from gan_core.images import held_bytes, open_image

if TYPE_CHECKING:
    from gan_core.comodgan.framing import Box
    from gan_core.comodgan.pipeline import Prepared
    from gan_core.comodgan.plan import FillPart
    from gan_core.faces import Face

MIN_SIDE = 32
PAINTING = (640, 1024)  # least and greatest longer side of the picture in the image editor, pixels
MOST_SAMPLES = 8
VARIETY = 0.8  # the default; with more, some seeds tint the hole
HOLE, DRAWING = "hole", "drawing"
_HOLES = 96 << 20
"""Bytes of encoded holes that are kept, of all visitors together; one has some 25 MB and takes 0.15 s of one core."""
OF_A_FACE = ("face", "eyes", "all_but_eyes")
"""Ready-made masks that need the position of the face."""
_NOTHING_SENT = "Please send a mask of the picture's size: white where it is to be filled, black elsewhere."


@dataclass(frozen=True)
class Photo:
    """An opened picture."""

    key: str
    picture: Image.Image = field(repr=False)
    clear: np.ndarray | None = field(default=None, repr=False)
    """(H, W) bool, its transparent pixels; None if there are none."""

    @property
    def painting_size(self) -> tuple[int, int]:
        """Width and height in the image editor."""
        longest = max(self.picture.size)
        scale = min(max(longest, PAINTING[0]), PAINTING[1]) / longest
        width, height = (max(1, round(length * scale)) for length in self.picture.size)
        return width, height


@dataclass(frozen=True)
class Result:
    """One completion: the changed part, which is pasted into the picture when it is needed."""

    seed: int
    patch: Image.Image = field(repr=False)
    base: Image.Image | None = field(repr=False)
    """The completed picture; None if the patch is the whole result."""
    corner: tuple[int, int] = (0, 0)
    note: str = ""
    """Description for the metadata."""
    remark: str = ""
    """Message on which weights were chosen and why, or on what may make it poor, or ""."""

    @property
    def picture(self) -> Image.Image:
        """The whole result."""
        if self.base is None:
            return self.patch
        whole = self.base.copy()
        whole.paste(self.patch, self.corner)
        return whole


class Editor(PaperEditor[CoModGANModel]):
    """The steps of filling holes and of drawing from lines; its choices of weights are of both kinds."""

    def of_kind(self, kind: str) -> dict[str, CoModGANModel]:
        """The choices that fill holes (HOLE; `hole_choices`) or draw from drawings (DRAWING)."""
        if kind == HOLE:
            return hole_choices(self.models)
        return {name: choice for name, choice in self.models.items() if choice.kind == kind}

    def model(self, name: str, kind: str) -> CoModGANModel:
        """The choice of that name. Raises UnknownName, or WeightsMissing if there is none of that kind."""
        what = "fills holes" if kind == HOLE else "makes pictures of drawings"
        return choice_of(self.of_kind(kind), name, f"the network that {what}")

    def warm_up(self) -> None:
        """Load the first model of each kind, both that the automatic choice chooses from, and run each once."""
        from gan_core.comodgan.framing import SquareCrop

        hole = np.zeros((64, 64), bool)
        hole[16:48, 16:48] = True
        fillers = self.of_kind(HOLE)
        both = (choice_of_faces(fillers), fillers.get(PLACES)) if AUTOMATIC in fillers else list(fillers.values())[:1]
        for choice in filter(None, both):
            region, blank = SquareCrop(0, 0, 64), Image.new("RGB", (64, 64), "grey")
            prepared = gpu.run(tasks.prepare(choice.model, blank, hole, region))
            gpu.run(tasks.complete(choice.model, prepared, (16, 16, 48, 48), [0], 1.0))
        for choice in list(self.of_kind(DRAWING).values())[:1]:
            lines = hole.astype(np.float32)
            gpu.run(tasks.draw(choice.model, lines, [0], 1.0))

    def open(self, session: Session, path: str | None, what: str = "a picture") -> Photo:
        """The picture at `path`, from the session where it has been opened before. Raises BadImage."""
        data = read_upload(session, path, what)
        key = hashlib.sha256(data).hexdigest()
        photo = session.recall(("comodgan-photo", key))
        if photo is None:
            picture = open_image(data, max_pixels=MAX_PIXELS, min_side=MIN_SIDE)
            photo = Photo(key, picture, transparent(data, picture))
            session.keep(("comodgan-photo", key), photo, held_bytes(picture))
        return photo

    def ready_made(self, session: Session, photo: Photo, name: str, seed: int = 0) -> tuple[np.ndarray, str]:
        """One of `gan_core.comodgan.masks.READY_MADE`, (H, W) bool at the image editor's size, and a message or "".

        seed: of the random one. Raises UnknownName.
        """
        eyes, note = None, ""
        if name in OF_A_FACE:
            face = self.face(session, photo)
            if face is None:
                note = "No face was found, so this is where a portrait would have it."
            else:
                left, right = face.points[:2] * (photo.painting_size[0] / photo.picture.width)
                eyes = tuple(left), tuple(right)
        return ready_made(name, photo.painting_size, eyes=eyes, seed=seed), note

    def thing_at(self, photo: Photo, place: np.ndarray) -> np.ndarray:
        """The region of the thing at a place, both (H, W) bool at the image editor's size. Raises BadValue if nothing
        there stands out."""
        from gan_core.comodgan.selection import thing_at

        return thing_at(photo.picture, place)

    def face(self, session: Session, photo: Photo) -> Face | None:
        """The largest face of the picture or None, from the session if it was searched before."""
        return next(iter(self.faces(session, photo)), None)

    def faces(self, session: Session, photo: Photo) -> list[Face]:
        """All faces of the picture, largest first, from the session if it was searched before."""
        found = session.recall(("comodgan-faces", photo.key))
        if found is None:
            try:
                found = self.find_faces(photo.picture)
            except (NoFaceFound, FaceTooSmall):
                found = []
            session.keep(("comodgan-faces", photo.key), found, 1000 * (1 + len(found)))
        return found

    def fill(
        self,
        session: Session,
        photo: Photo,
        mask: np.ndarray | None,
        choice: CoModGANModel,
        seeds: Sequence[int],
        psi: float = VARIETY,
        progress: Progress | None = None,
    ) -> Generator[Step | Result, None, None]:
        """Fill the pixels of `mask`, (H, W) bool at the picture's size: reports, and a Result for each seed.

        Closing the iterator stops the work. Raises BadValue if nothing is marked or a value is out of range.
        """
        from gan_core.comodgan.plan import NOTHING, bounds, plan

        if mask is None:
            raise BadValue(NOTHING)
        psi, seeds = variety(psi), list(seeds)
        planned = plan(mask, choice, self.models, lambda: self.faces(session, photo))
        parts = planned.parts
        note = _note(mask, {part.choice.label: None for part in parts}, psi)
        if len(parts) == 1:
            box = parts[0].hole.box
            prepared, inner = yield from self._prepared(session, photo, mask, parts[0], progress)
            for step in gpu.stream(tasks.complete(parts[0].choice.model, prepared, inner, seeds, psi), progress):
                if isinstance(step, Completion):
                    about = note.format(seed=step.seed)
                    yield Result(step.seed, step.picture, photo.picture, box[:2], about, planned.remark)
                elif isinstance(step, Step):
                    yield step
            return
        box = bounds(mask)
        done = {seed: photo.picture.crop(box) for seed in seeds}
        for number, part in enumerate(parts):
            prepared, inner = yield from self._prepared(session, photo, mask, part, progress)
            stencil, corner = Image.fromarray(part.hole.mask), (part.hole.box[0] - box[0], part.hole.box[1] - box[1])
            for step in gpu.stream(tasks.complete(part.choice.model, prepared, inner, seeds, psi), progress):
                if isinstance(step, Completion):
                    done[step.seed].paste(step.picture, corner, stencil)
                elif isinstance(step, Step):
                    yield Step((number + step.fraction) / len(parts), f"Hole {number + 1} of {len(parts)}")
        for seed, picture in done.items():
            yield Result(seed, picture, photo.picture, box[:2], note.format(seed=seed), planned.remark)

    def _prepared(
        self, session: Session, photo: Photo, mask: np.ndarray, planned: FillPart, progress: Progress | None
    ) -> Generator[Step, None, tuple[Prepared, Box]]:
        """A hole encoded with its surroundings, and its box in the part of the picture that was encoded."""
        from gan_core.comodgan.framing import SquareCrop

        region, box, model = planned.region, planned.hole.box, planned.choice.model
        # Only the part of the picture in the square is passed on, however large the picture is.
        left, top = max(0, min(region.left, box[0])), max(0, min(region.top, box[1]))
        right = min(photo.picture.width, max(region.left + region.side, box[2]))
        bottom = min(photo.picture.height, max(region.top + region.side, box[3]))
        inner = (box[0] - left, box[1] - top, box[2] - left, box[3] - top)
        digest = hashlib.sha256(np.packbits(mask).tobytes()).hexdigest()
        key = ("comodgan-prepared", model, photo.key, digest, box, region)
        prepared = session.recall(key)
        if prepared is None:
            yield Step(0.0, "Reading the picture")
            part, hole = photo.picture.crop((left, top, right, bottom)), mask[top:bottom, left:right]
            square = SquareCrop(region.left - left, region.top - top, region.side)
            prepared = gpu.run(tasks.prepare(model, part, hole, square), progress)
            session.keep_some(key, prepared, prepared.size, _HOLES)
        return prepared, inner

    def draw(
        self,
        lines: np.ndarray,
        choice: CoModGANModel,
        seeds: Sequence[int],
        psi: float = VARIETY,
        progress: Progress | None = None,
    ) -> Generator[Step | Result, None, None]:
        """Pictures of a drawing, (H, W) float32 from 0 to 1 (line): reports, and a Result for each seed."""
        psi = variety(psi)
        for step in gpu.stream(tasks.draw(choice.model, lines, list(seeds), psi), progress):
            if isinstance(step, Completion):
                note = f"made from a drawing with GAN Studio, CoModGAN ({choice.label}), seed {step.seed}"
                yield Result(step.seed, step.picture, None, note=f"{note}, variety {psi:g}")
            elif isinstance(step, Step):
                yield step

    def fill_once(
        self, session: Session, image: str | None, mask: str | None, seed: Any, samples: Any, model: str,
        progress: Progress | None = None,
    ) -> list[Result]:  # fmt: skip
        """The API's call. Without a mask the picture's transparent part is filled. Raises any StudioError."""
        choice, seeds = self.model(model, HOLE), seeds_from(seed, samples)
        photo = self.open(session, image)
        if mask:
            marked = sent_mask(read_upload(session, mask, "a mask"), photo.picture.size)
        elif photo.clear is not None:
            marked = photo.clear
        else:
            raise BadValue(_NOTHING_SENT)
        return results_of(self.fill(session, photo, marked, choice, seeds, progress=progress), progress)

    def save(self, session: Session, result: Result, purpose: str = "filled") -> Path:
        """Write a result as a PNG that says how it was made; the path lives as long as the session."""
        return save_result(session, result.picture, result.note, purpose)


def results_of(steps: Iterable[Step | Result], progress: Progress | None = None) -> list[Result]:
    """The results among the steps of `Editor.fill` or `Editor.draw`; `progress` hears of the others."""
    results = []
    for step in steps:
        if isinstance(step, Result):
            results.append(step)
        elif progress:
            progress(step.fraction, step.text)
    return results


def seeds_from(seed: Any, samples: Any) -> list[int]:
    """Seeds for a number of results, counted up from the first. Raises BadValue."""
    first = whole_number(seed, "A seed", 0, LARGEST_SEED)
    return [first + i for i in range(whole_number(samples, "The number of results", 1, MOST_SAMPLES))]


def variety(psi: Any) -> float:
    """The truncation psi as a checked number: how far results may be from the mean. Raises BadValue."""
    return real_number(psi, "The variety must be a number", 0, 1)


def _note(mask: np.ndarray, labels: Iterable[str], psi: float) -> str:
    """Description of completions for the metadata of the results, to be formatted with the `seed`."""
    weights = " and ".join(labels)
    return f"{mask.mean():.0%} filled in with GAN Studio, CoModGAN ({weights}), seed {{seed}}, variety {psi:g}"
