"""The steps from seeds and photos to a composed picture: draw seeds, open photos, invert real people, compose.

This module is independent of the page: its arguments and results are plain values. Inverted photos are kept in the
visitor's session.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from demo import gpu
from demo.gpu import Done, Progress, Step, Steps
from demo.insetgan import tasks
from demo.insetgan.tasks import Composed, FoundLatent
from demo.parts.choices import choice_of
from demo.parts.editor import PaperEditor
from demo.parts.numbers import LARGEST_SEED, whole_number
from demo.parts.results import save_result
from demo.parts.uploads import MAX_PIXELS, read_upload
from demo.session import Session
from gan_core.errors import BadValue, UnknownName
from gan_core.images import open_image
from gan_core.insetgan.labels import MODE_LABELS
from gan_core.insetgan.models import InsetGANModel

if TYPE_CHECKING:
    from gan_core.insetgan.pipeline import CompositionRequest, LatentSource

MIN_SIDE = 32
ROLL = 12  # pictures of a gallery
MOST_STEPS = 400
MOST_RESULTS = 4
DEFAULT_STEPS = 60  # more steps hardly reduce the seam, and the pictures become softer


@dataclass(frozen=True)
class Person:
    """A body or a face, of a seed or of a photo."""

    seed: int = 0
    psi: float = 0.7
    path: str | None = None
    """Of an uploaded photo, which is used instead of the seed."""


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
    """A second region, drawn by the face generator from `second_seed`."""
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
    ) -> list[tuple[int, Image.Image]]:
        """Seeds, counted up from `first`, and their pictures. kind: "body" or "face". Raises BadValue."""
        seeds = [_seed(first) + i for i in range(count)]
        sources = [_latent_source(seed, psi) for seed in seeds]
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
            picture = self._cut(photo, choice, kind)
            if choice.encoder and (kind == "face" or choice.body == "portrait"):
                yield Step(0.3, "Reading the face")
                found = gpu.run(tasks.read(choice.encoder, picture), progress)
            else:
                found = yield from gpu.passed_on(gpu.stream(tasks.find(choice.model, kind, picture), progress))
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
        for kind, person in (("body", plan.body), ("face", plan.face)):
            people[kind] = _latent_source(person.seed, person.psi)
            if person.path:
                found = yield from gpu.passed_on(self.find(session, choice, kind, person.path, progress))
                people[kind] = replace(people[kind], codes=found.codes)
        request = _request(choice, plan, people["body"], people["face"])
        yield from gpu.stream(tasks.compose(choice.model, request), progress)

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
        done = f"{composed.step} of {composed.steps} steps"
        return f"made with GAN Studio, InsetGAN ({choice.label}): {body}, {face}{second}, mode {plan.mode}, {done}"

    def save(self, session: Session, picture: Image.Image, note: str, purpose: str = "composed") -> Path:
        """Write a result as a PNG that says how it was made; the path lives as long as the session."""
        return save_result(session, picture, note, purpose)

    def _cut(self, photo: Image.Image, choice: InsetGANModel, kind: str) -> Image.Image:
        from gan_core.faces import align
        from gan_core.insetgan.bust import cut_bust, fit

        height, width = choice.size
        if kind == "body" and choice.body == "standing":
            return fit(photo, width, height)
        face, _ = self.largest_face(photo)
        if kind == "body" and choice.body == "bust":
            return cut_bust(photo, face, height)
        return align(photo, face, choice.face_size).crop


def check(choice: InsetGANModel, plan: Plan) -> None:
    """Check a request before anything costly is done. Raises BadValue or UnknownName."""
    if plan.mode not in MODE_LABELS:
        raise UnknownName(f"There is no mode {plan.mode!r}. Choose one of: {', '.join(MODE_LABELS)}.")
    for region in (plan.region, plan.second):
        if region is not None and region not in choice.regions:
            raise UnknownName(f"There is no region {region!r}. Choose one of: {', '.join(choice.regions)}.")
    whole_number(plan.steps, "The number of steps", 1, MOST_STEPS)
    for seed in (plan.body.seed, plan.face.seed, plan.second_seed):
        _seed(seed)
    for person in (plan.body, plan.face):
        if not 0 <= person.psi <= 1:
            raise BadValue(f"Truncation must be from 0 to 1, not {person.psi}.")
    if not (math.isfinite(plan.keep_weight) and 0 <= plan.keep_weight <= 4):
        raise BadValue(f"The weight of what is kept must be from 0 to 4, not {plan.keep_weight}.")


def _seed(value: Any) -> int:
    return whole_number(value, "A seed", 0, LARGEST_SEED)


def _latent_source(seed: int, psi: float) -> LatentSource:
    from gan_core.insetgan.sources import LatentSource

    return LatentSource(_seed(seed), float(psi))


def _request(choice: InsetGANModel, plan: Plan, body: LatentSource, face: LatentSource) -> CompositionRequest:
    from gan_core.insetgan.latents import Schedule
    from gan_core.insetgan.objective import Weights
    from gan_core.insetgan.pipeline import CompositionRequest, Part

    usual = Weights()
    parts: Sequence[Part] = ()
    if plan.second:
        parts = (Part(plan.second, _latent_source(plan.second_seed, plan.face.psi)),)
    return CompositionRequest(
        body,
        face,
        mode=plan.mode,
        region=plan.region or choice.region,
        parts=tuple(parts),
        schedule=Schedule(steps=plan.steps, alternate=plan.alternate),
        weights=replace(usual, face=usual.face * plan.keep_weight, body=usual.body * plan.keep_weight),
    )
