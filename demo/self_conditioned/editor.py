"""The steps from a seed or a picture to any attribute values: open, align, invert once, refine, edit, draw strips.

This module is independent of the page: its arguments and results are plain values. Inverted faces are kept in the
visitor's session, so that moving a slider only draws.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from demo import gpu
from demo.gpu import Done, Progress, Step, Steps
from demo.parts.choices import choice_of
from demo.parts.editor import PaperEditor
from demo.parts.numbers import LARGEST_SEED, real_number, whole_number
from demo.parts.results import save_result
from demo.parts.uploads import MAX_PIXELS, read_upload
from demo.self_conditioned import tasks
from demo.self_conditioned.tasks import EditResult, EncodedFace, InversionPreview
from demo.session import Session
from gan_core.errors import BadImage, BadValue, UnknownName
from gan_core.images import held_bytes, open_image
from gan_core.self_conditioned.models import SelfConditionedModel

if TYPE_CHECKING:
    from gan_core.own_direction import OwnDirection

MIN_SIDE = 64
PSI = 0.7
STRIP_FRAMES = 9
OPENING_SEED, OPENING_VALUE = 10, 0.95
GRID_SIDES = (3, 5, 7)
MOST_REFINING = 200  # steps
REFINING = "self_conditioned.refine"  # the visitor's job
OWN, PLAIN = "self-conditioned", "plain direction"  # the methods in a result's metadata


@dataclass(frozen=True)
class Origin:
    """Source of a face: a seed or a picture."""

    seed: int = 0
    psi: float = PSI
    path: str | None = None
    """Of an uploaded picture, which is used instead of the seed."""


@dataclass(frozen=True)
class Subject:
    """A face that can be edited."""

    key: Hashable
    """Key in the session."""
    face: EncodedFace = field(repr=False)
    before: Image.Image = field(repr=False)
    """The cut-out face of the picture, or the random face as it is drawn."""
    name: str
    """Description for a result's metadata."""
    note: str = ""
    """Message on how it was cropped, or ""."""
    refined: int = 0
    """Steps of refining."""

    @property
    def size(self) -> int:
        """Bytes, about."""
        return self.face.size + held_bytes(self.before)


@dataclass(frozen=True)
class Opening:
    """A face and an edit of it."""

    subject: Subject
    values: Mapping[str, float]
    """By attribute; those that differ from the face's own."""
    results: tuple[EditResult, EditResult]
    """By this method, and by the plain direction."""


class Editor(PaperEditor[SelfConditionedModel]):
    """The steps of editing with explicit values."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._openings: dict[tuple[SelfConditionedModel, Origin], Opening] = {}  # of the seeds that the page opens with

    def model(self, name: str) -> SelfConditionedModel:
        """The choice of weights of that name. Raises UnknownName, or WeightsMissing where there is none at all."""
        return choice_of(self.models, name, "the self-conditioned generator")

    def warm_up(self) -> None:
        """Load the first model and draw a face once."""
        if self.models:
            choice = next(iter(self.models.values()))
            face = gpu.run(tasks.random_face(choice.model, 0, PSI))
            gpu.run(tasks.edit(choice.model, face.code, {}, face.identity))

    # Faces

    def find(
        self, session: Session, choice: SelfConditionedModel, origin: Origin, progress: Progress | None = None
    ) -> Steps[Subject]:
        """Reports, `InversionPreview`s among them, and at last a `Subject`.

        It is taken from the session if it was made before, and then refined if it was refined. Closing the iterator
        stops the work.

        Raises BadValue, BadImage, NoFaceFound or FaceTooSmall.
        """
        if origin.path:
            yield from self._find_photo(session, choice, origin.path, progress)
            return
        seed = whole_number(origin.seed, "The seed", 0, LARGEST_SEED)
        psi = real_number(origin.psi, "Truncation must be a number", 0, 1)
        key = ("self-conditioned-face", choice.model, seed, psi)
        subject = session.recall(key)
        if subject is None:
            yield Step(0.3, "Drawing the face")
            face = gpu.run(tasks.random_face(choice.model, seed, psi), progress)
            subject = Subject(key, face, face.picture, f"seed {seed}, truncation {psi:g}")
            session.keep(key, subject, subject.size)
        yield Done(subject)

    def subject(
        self, session: Session, choice: SelfConditionedModel, origin: Origin, progress: Progress | None = None
    ) -> Subject:
        """The result of `find`."""
        return gpu.result(self.find(session, choice, origin, progress), progress)

    def refine(
        self,
        session: Session,
        choice: SelfConditionedModel,
        origin: Origin,
        steps: int,
        progress: Progress | None = None,
    ) -> Steps[Subject]:
        """Tune the generators to the picture, from the start if they were before: previews, and at last a `Subject`.

        When the session's job `REFINING` is stopped, the work ends at the next report, whose state is kept.
        Raises what `find` raises, and BadImage for a random face, which needs no refining.
        """
        if not origin.path:
            raise BadImage("Only a picture can be refined; a random face is drawn exactly already.")
        steps = whole_number(steps, "The number of steps", 1, MOST_REFINING)
        found = yield from gpu.passed_on(self._find_photo(session, choice, origin.path, progress, refined=False))
        face, done = found.face, 0
        work = gpu.stream(tasks.refine(choice.model, found.face.code, found.before, steps), progress)
        for step in work:
            if isinstance(step, InversionPreview):
                face, done = step.face, step.step
            if isinstance(step, Done) or session.job(REFINING).stopped:
                break
            yield step
        work.close()
        subject = Subject(("self-conditioned-refined", found.key), face, found.before, found.name, found.note, done)
        if done:
            session.keep(subject.key, subject, subject.size)
        yield Done(subject)

    def opening(self, session: Session, choice: SelfConditionedModel, origin: Origin) -> Opening:
        """The example that the tab opens with, computed for the first visitor and kept for all: the face of `origin`, a
        seed, with the first attribute near its end."""
        kept = self._openings.get((choice, origin))
        if kept is None:
            subject = self.subject(session, choice, origin)
            values = {slider.name: OPENING_VALUE for slider in choice.sliders[:1]}
            kept = self._openings[choice, origin] = Opening(subject, values, self.edit(choice, subject, values))
        session.keep(kept.subject.key, kept.subject, kept.subject.size)
        return kept

    # Edits

    def edit(
        self,
        choice: SelfConditionedModel,
        subject: Subject,
        values: Mapping[str, Any],
        progress: Progress | None = None,
    ) -> tuple[EditResult, EditResult]:
        """The face with some attribute values changed: by this method, and by the plain direction.

        Raises UnknownName or BadValue.
        """
        face = subject.face
        wanted = checked_values(choice, values)
        return gpu.run(tasks.edit(choice.model, face.code, wanted, face.identity), progress)

    def moved(self, subject: Subject, own: tuple[OwnDirection, float] | None) -> Subject:
        """The face moved along a direction of the visitor's own, by its strength, in both generators' latents."""
        if own is None:
            return subject
        direction, strength = own
        code, offset = subject.face.code, direction.offset(strength)
        code = replace(code, w_plus=code.w_plus + offset, plain=code.plain + offset)
        name = f"{subject.name}, own direction {direction.name!r} {strength:+g}"
        return replace(subject, face=replace(subject.face, code=code), name=name)

    def strip(
        self,
        choice: SelfConditionedModel,
        subject: Subject,
        attribute: str,
        values: Mapping[str, Any],
        *,
        plain: bool = False,
        progress: Progress | None = None,
    ) -> list[Image.Image]:
        """STRIP_FRAMES pictures with the attribute from 0 to 1, the others as in `values`. Raises UnknownName."""
        wanted = checked_values(choice, {**values, attribute: 0.0})
        call = tasks.strip(choice.model, subject.face.code, attribute, STRIP_FRAMES, wanted, plain)
        return gpu.run(call, progress)

    def grid(
        self,
        choice: SelfConditionedModel,
        subject: Subject,
        down: str,
        across: str,
        count: int,
        values: Mapping[str, Any],
        *,
        plain: bool = False,
        progress: Progress | None = None,
    ) -> Steps[list[list[Image.Image]]]:
        """Reports, and at last count rows of count pictures. Raises UnknownName or BadValue."""
        if down == across:
            raise BadValue("The two attributes of a grid must be different ones.")
        count = whole_number(count, "The number of rows", GRID_SIDES[0], GRID_SIDES[-1])
        wanted = checked_values(choice, {**values, down: 0.0, across: 0.0})
        yield from gpu.stream(tasks.grid(choice.model, subject.face.code, down, across, count, wanted, plain), progress)

    def save(
        self,
        session: Session,
        picture: Image.Image,
        choice: SelfConditionedModel,
        subject: Subject,
        values: Mapping[str, float],
        *,
        method: str = OWN,
        purpose: str = "self-conditioned",
    ) -> Path:
        """Write a result as a PNG that says how it was made; the path lives as long as the session."""
        start = {name: value for name, value in subject.face.values.items() if values.get(name, value) != value}
        changes = [f"{name} {start[name]:.2f} to {values[name]:.2f}" for name in start]
        refined = f" refined by {subject.refined} steps" if subject.refined else ""
        parts = [f"{subject.name}{refined}", method, *changes]
        note = f"edited with GAN Studio, Self-Conditioned GAN ({choice.label}): {', '.join(parts)}"
        return save_result(session, picture, note, purpose)

    # Helpers

    def _find_photo(
        self, session: Session, choice: SelfConditionedModel, path: str, progress: Progress | None, refined: bool = True
    ) -> Steps[Subject]:
        data = read_upload(session, path)
        key = ("self-conditioned-face", choice.model, hashlib.sha256(data).hexdigest())
        subject = (session.recall(("self-conditioned-refined", key)) if refined else None) or session.recall(key)
        if subject is None:
            yield Step(0.0, "Looking for a face")
            photo = open_image(data, max_pixels=MAX_PIXELS, min_side=MIN_SIDE)
            crop, note = self.cut(photo, choice.resolution)
            face = yield from gpu.passed_on(gpu.stream(tasks.invert(choice.model, crop), progress))
            subject = Subject(key, face, crop, "an uploaded picture", note)
            session.keep(key, subject, subject.size)
        yield Done(subject)

    def cut(self, photo: Image.Image, size: int) -> tuple[Image.Image, str]:
        """The largest face, aligned, and what to say about it. Raises NoFaceFound or FaceTooSmall."""
        from gan_core.faces import align

        face, note = self.largest_face(photo)
        return align(photo, face, size).crop, note


def checked_values(choice: SelfConditionedModel, values: Mapping[str, Any]) -> dict[str, float]:
    """Values as floats. Raises UnknownName and BadValue before anything costly is done."""
    known = [slider.name for slider in choice.sliders]
    checked = {}
    for name, value in values.items():
        if name not in known:
            raise UnknownName(f"There is no attribute {name!r}. Choose one of: {', '.join(known)}.")
        checked[name] = real_number(value, f"The value of {name} must be a number", 0, 1)
    return checked
