"""The steps from seeds and photos to a composed picture: draw seeds, open photos, invert real people, compose.

This module is independent of the page: its arguments and results are plain values. Inverted photos are kept in the
visitor's session.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from demo import gpu
from demo.gpu import Done, Progress, Step, Steps
from demo.insetgan import tasks
from demo.insetgan.tasks import Composed, CompositionPreview, FoundLatent
from demo.parts.choices import choice_of
from demo.parts.editor import PaperEditor
from demo.parts.numbers import LARGEST_SEED, whole_number
from demo.parts.results import save_result
from demo.parts.uploads import MAX_PIXELS, read_upload
from demo.session import Session
from gan_core.errors import BadValue, UnknownName
from gan_core.images import open_image, to_tensor
from gan_core.insetgan.labels import MODE_LABELS
from gan_core.insetgan.models import InsetGANModel

if TYPE_CHECKING:
    from gan_core.insetgan.pipeline import CompositionRequest
    from gan_core.insetgan.sources import LatentSource

MIN_SIDE = 32
ROLL = 12  # pictures of a gallery
MOST_STEPS = 400
MOST_RESULTS = 4
DEFAULT_STEPS = 60
_UNSEEN = "The photo ends above the feet; what it does not show is made up."


@dataclass(frozen=True)
class Person:
    """A body or a face, of a seed or of a photo."""

    seed: int = 0
    psi: float = 0.7
    path: str | None = None
    """Of an uploaded photo, which is used instead of the seed."""
    strengths: Mapping[str, float] = field(default_factory=dict)
    """Of a body's sliders, by name; 0 changes nothing."""
    pose: int | None = None
    """Of the poses that the weights have for bodies, counted from 0; None: its own."""


@dataclass(frozen=True)
class Plan:
    """A request for a composition, in plain values."""

    body: Person = field(default_factory=Person)
    face: Person = field(default_factory=Person)
    mode: str = "joint"
    region: str | None = None
    """None: the model's default."""
    steps: int = DEFAULT_STEPS
    second: str | None = None
    """A second region of `second_seed`, drawn by the face generator; or one of the model's `seconds`, by its own."""
    second_seed: int = 0
    alternate: int = 0
    """Steps after which body and face take turns; 0: both are optimised at once."""
    keep_weight: float = 1.0
    """Weight of the losses that keep face and body near their initial pictures, relative to the default."""


class Editor(PaperEditor[InsetGANModel]):
    """The steps of composing."""

    def model(self, name: str) -> InsetGANModel:
        """The choice of weights of that name. Raises UnknownName, or WeightsMissing where there is none at all."""
        return choice_of(self.models, name, "the generator of bodies")

    def warm_up(self) -> None:
        """Load the first model and draw one picture of each kind."""
        if self.models:
            choice = next(iter(self.models.values()))
            for kind in ("body", "face"):
                self.roll(choice, kind, 0, 0.7, 1)

    def roll(
        self,
        choice: InsetGANModel,
        kind: str,
        first: int,
        psi: float,
        count: int = ROLL,
        progress: Progress | None = None,
        strengths: Mapping[str, float] | None = None,
        pose: int | None = None,
    ) -> list[tuple[int, Image.Image]]:
        """Seeds, counted up from `first`, and their pictures. kind: "body" or "face". Raises BadValue, UnknownName."""
        seeds = [_seed(first) + i for i in range(count)]
        sources = [_latent_source(Person(seed, psi, strengths=strengths or {}, pose=pose)) for seed in seeds]
        found = gpu.run(tasks.draw(choice.model, kind, sources), progress)
        return [(seed, one.image) for seed, one in zip(seeds, found, strict=True)]

    def find(
        self, session: Session, choice: InsetGANModel, kind: str, path: str, progress: Progress | None = None
    ) -> Steps[FoundLatent]:
        """Invert a real body or face: reports, and at last a `FoundLatent`; from the session if it was inverted before.

        Faces are inverted by an encoder if the model has one. Raises BadImage, NoFaceFound or FaceTooSmall.
        """
        data = read_upload(session, path)
        key = ("insetgan-found", choice.model, kind, hashlib.sha256(data).hexdigest())
        found = session.recall(key)
        if found is None:
            yield Step(0.0, f"Looking for the face of the {kind} picture")
            photo = open_image(data, max_pixels=MAX_PIXELS, min_side=MIN_SIDE)
            cut = self._cut(photo, choice, kind)
            if choice.encoder and (kind == "face" or choice.body == "portrait"):
                yield Step(0.3, "Reading the face")
                found = gpu.run(tasks.read(choice.encoder, cut.picture), progress)
            else:
                call = tasks.find(choice.model, kind, cut.picture, cut.known, steps=choice.finding)
                found = yield from gpu.passed_on(gpu.stream(call, progress))
            found = replace(found, remark=cut.remark)
            session.keep(key, found, found.size)
        yield Done(found)

    def compose(
        self, session: Session, choice: InsetGANModel, plan: Plan, progress: Progress | None = None
    ) -> Steps[Composed]:
        """Reports, `CompositionPreview`s among them, and at last a `Composed`. Closing the iterator stops the work.

        Raises BadValue, UnknownName, BadImage, and NoFaceFound if the body has no place for the face.
        """
        check(choice, plan)
        people: dict[str, LatentSource] = {}
        remarks: list[str] = []
        for kind, person in (("body", plan.body), ("face", plan.face)):
            people[kind] = _latent_source(person)
            if person.path:
                found = yield from gpu.passed_on(self.find(session, choice, kind, person.path, progress))
                picture = to_tensor(found.image) if found.restored else None
                people[kind] = replace(people[kind], codes=found.codes, picture=picture)
                remarks += [found.remark] if found.remark else []
        request = _request(choice, plan, people["body"], people["face"])
        with contextlib.closing(gpu.stream(tasks.compose(choice.model, request), progress)) as steps:
            for step in steps:
                yield _remarked(step, tuple(remarks))

    def compose_once(self, session: Session, model: str, plan: Plan, progress: Progress | None = None) -> Composed:
        """The API's call. Raises any StudioError."""
        return gpu.result(self.compose(session, self.model(model), plan, progress), progress)

    def note(self, choice: InsetGANModel, plan: Plan, composed: Composed) -> str:
        """Description of a composition for the result's metadata."""
        body, face = (
            f"an uploaded {kind}" if person.path else f"{kind} seed {person.seed}"
            for kind, person in (("body", plan.body), ("face", plan.face))
        )
        second = f", {plan.second} seed {plan.second_seed}" if plan.second else ""
        sliders = "".join(f", {name} {value:+g}" for name, value in plan.body.strengths.items() if value)
        if plan.body.pose is not None:
            sliders = f", pose {plan.body.pose + 1}{sliders}"
        done = f"{composed.step} of {composed.steps} steps"
        tone = f", colours of the face moved by {composed.tone:.0f} of 255 levels" if composed.tone else ""
        return (
            f"made with GAN Studio, InsetGAN ({choice.label}): {body}{sliders}, {face}{second}, mode {plan.mode}, "
            f"{done}{tone}"
        )

    def save(self, session: Session, picture: Image.Image, note: str, purpose: str = "composed") -> Path:
        """Write a result as a PNG that says how it was made; the path lives as long as the session."""
        return save_result(session, picture, note, purpose)

    def _cut(self, photo: Image.Image, choice: InsetGANModel, kind: str) -> _Cut:
        from gan_core.faces import align
        from gan_core.insetgan.bust import cut_body, cut_bust, fit

        height, width = choice.size
        if kind == "body" and choice.body == "standing":
            return _Cut(fit(photo, width, height))
        face, remark = self.largest_face(photo)
        if kind == "body" and choice.body == "rendered":
            picture, known = cut_body(photo, face, width, height)
            bottom = known.getpixel((width // 2, height - 1))
            return _Cut(picture, known, f"{remark} {'' if bottom else _UNSEEN}".strip())
        if kind == "body" and choice.body == "bust":
            return _Cut(cut_bust(photo, face, height), remark=remark)
        return _Cut(align(photo, face, choice.face_size).crop, remark=remark)


@dataclass(frozen=True)
class _Cut:
    """The part of a photo that is inverted."""

    picture: Image.Image
    known: Image.Image | None = None
    remark: str = ""


def check(choice: InsetGANModel, plan: Plan) -> None:
    """Check a request before anything costly is done. Raises BadValue or UnknownName."""
    if plan.mode not in MODE_LABELS:
        raise UnknownName(f"There is no mode {plan.mode!r}. Choose one of: {', '.join(MODE_LABELS)}.")
    for region, known in ((plan.region, choice.regions), (plan.second, (*choice.regions, *choice.seconds))):
        if region is not None and region not in known:
            raise UnknownName(f"There is no region {region!r}. Choose one of: {', '.join(known)}.")
    whole_number(plan.steps, "The number of steps", 1, MOST_STEPS)
    for seed in (plan.body.seed, plan.face.seed, plan.second_seed):
        _seed(seed)
    limits = {slider.name: (slider.low, slider.high) for slider in choice.sliders}
    for name, value in plan.body.strengths.items():
        if name not in limits:
            raise UnknownName(f"These bodies have no slider {name!r}. Choose one of: {', '.join(limits) or 'none'}.")
        low, high = limits[name]
        if not low <= value <= high:
            raise BadValue(f"The slider {name!r} goes from {low:g} to {high:g}, not to {value}.")
    if plan.body.pose is not None and plan.body.pose not in range(len(choice.poses)):
        raise BadValue(f"There is no pose {plan.body.pose + 1}; these bodies have {len(choice.poses) or 'none'}.")
    for person in (plan.body, plan.face):
        if not 0 <= person.psi <= 1:
            raise BadValue(f"Truncation must be from 0 to 1, not {person.psi}.")
    if not (math.isfinite(plan.keep_weight) and 0 <= plan.keep_weight <= 4):
        raise BadValue(f"The weight of what is kept must be from 0 to 4, not {plan.keep_weight}.")


def _seed(value: Any) -> int:
    return whole_number(value, "A seed", 0, LARGEST_SEED)


def _latent_source(person: Person) -> LatentSource:
    from gan_core.insetgan.sources import LatentSource

    used = {name: float(value) for name, value in person.strengths.items() if value}
    return LatentSource(_seed(person.seed), float(person.psi), strengths=used, pose=person.pose)


def _remarked(step: Step | Done[Composed], remarks: tuple[str, ...]) -> Step | Done[Composed]:
    """The step with sentences about the photos in what it shows."""
    if isinstance(step, Done):
        return Done(replace(step.value, remarks=remarks))
    if isinstance(step, CompositionPreview):
        return replace(step, composed=replace(step.composed, remarks=remarks))
    return step


def _request(choice: InsetGANModel, plan: Plan, body: LatentSource, face: LatentSource) -> CompositionRequest:
    from gan_core.insetgan.latents import Schedule
    from gan_core.insetgan.objective import Weights
    from gan_core.insetgan.pipeline import CompositionRequest, Part

    usual = Weights()
    parts: Sequence[Part] = ()
    if plan.second:
        kind = plan.second if plan.second in choice.seconds else "face"
        parts = (Part(plan.second, _latent_source(Person(plan.second_seed, plan.face.psi)), kind),)
    return CompositionRequest(
        body,
        face,
        mode=plan.mode,
        region=plan.region or choice.region,
        parts=tuple(parts),
        schedule=Schedule(steps=plan.steps, alternate=plan.alternate),
        weights=replace(usual, face=usual.face * plan.keep_weight, body=usual.body * plan.keep_weight),
    )
