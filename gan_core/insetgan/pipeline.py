"""InsetGAN as a pipeline: draw bodies and faces from seeds, invert real ones, and compose them into one picture.

`draw` is cheap. `compose` and `project_body` are costly; they are iterators that yield intermediate results and can be
stopped at any step by closing them. Fruehstueck et al., CVPR 2022.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from gan_core.checkpoints.embedded import build_from_file
from gan_core.e4e.encoding import HasEncoder, encode_with
from gan_core.errors import BadValue, NoFaceFound, UnknownName
from gan_core.faces.head import HeadNet, load_head
from gan_core.insetgan.canvas_encoder import CanvasEncoder
from gan_core.insetgan.latents import GeneratorLatent, Inset, Report, Schedule
from gan_core.insetgan.matching import matching
from gan_core.insetgan.models import BUST, FACE
from gan_core.insetgan.objective import Weights
from gan_core.insetgan.optimise import NO_FACE, optimise
from gan_core.insetgan.placement import take
from gan_core.insetgan.project import STEPS, Projection, project
from gan_core.insetgan.regions import BY_HEAD_FINDER, REGIONS, SQUARE, Region, RegionFinder, find_by_face
from gan_core.insetgan.sources import CanvasDirection, LatentSource, codes_of
from gan_core.perceptual import Perceptual, perceptual
from gan_core.stylegan2 import Discriminator, Generator

KINDS = ("body", "face")
MOST_STEPS = 1000
FRESH_RATE = 0.035  # of an inset that takes its identity from the canvas
OTHER_INNER = 0.2  # of an inset of another generator: its border follows the canvas, its inside stays its own

Kind = TypeVar("Kind", bound=GeneratorLatent)


@dataclass(frozen=True)
class Mode:
    """Which generators are optimised."""

    canvas: bool
    inset: bool
    weights: Mapping[str, float] = field(default_factory=dict)  # that differ from the defaults
    fresh_inset: bool = False  # a generated inset starts from the mean face, and takes its identity from the canvas


MODES: dict[str, Mode] = {
    "joint": Mode(canvas=True, inset=True),
    "body": Mode(canvas=True, inset=False),
    "face": Mode(
        canvas=False,
        inset=True,
        weights={"face": 0.0, "coarse_perceptual": 150.0, "border_perceptual": 100.0},
        fresh_inset=True,
    ),
}


@dataclass(frozen=True)
class Part:
    """A further inset, of the face generator or of another one."""

    region: str
    source: LatentSource
    kind: str = "face"  # or the name of one of `InsetGANPipeline.others`


@dataclass(frozen=True)
class CompositionRequest:
    """What is to be composed."""

    body: LatentSource
    face: LatentSource
    mode: str = "joint"
    region: str = "face"
    parts: tuple[Part, ...] = ()
    schedule: Schedule = field(default_factory=Schedule)
    weights: Weights = field(default_factory=Weights)


@dataclass(frozen=True)
class GeneratedImage:
    """A picture (1, 3, H, W) in [-1, 1] and its codes (1, num_ws, w_dim), both on the CPU."""

    image: Tensor
    codes: Tensor


class InsetGANPipeline:
    """A canvas generator, an inset generator, and their joint optimisation."""

    def __init__(
        self,
        canvas: Generator,
        inset: Generator,
        features: Perceptual,
        *,
        head: HeadNet | None = None,  # for regions with the head's outline
        regions: tuple[str, ...] = tuple(REGIONS),
        canvas_rate: float = 0.035,  # of Adam, in units of the spread of w; the ratio of both rates is the authors'
        inset_rate: float = 0.012,
        finder: RegionFinder = find_by_face,  # places the regions of a face on a body
        reader: nn.Module | None = None,  # a network that finders use
        others: Mapping[str, Generator] | None = None,  # generators of further insets, by kind
        finders: Mapping[str, RegionFinder] | None = None,  # and what places them
        other_regions: Mapping[str, Region] | None = None,  # and what is used of their pictures, if not all
        encoder: HasEncoder | None = None,  # reads faces for the inset generator
        canvas_encoder: CanvasEncoder | None = None,  # reads bodies for the canvas generator
        directions: Mapping[str, CanvasDirection] | None = None,  # the canvas's sliders
        poses: Tensor | None = None,  # of the canvas: `sources.load_poses`'s
        modes: Mapping[str, Mode] = MODES,
        tone: bool = False,  # bring the insets' colours to the canvas's light
        enlarged: int = 1,  # above 1, results come so many times larger as well
        device: str | torch.device = "cpu",
    ) -> None:
        self.device = torch.device(device)
        self.canvas, self.inset, self.features = (
            net.eval().requires_grad_(False).to(self.device) for net in (canvas, inset, features)
        )
        self.head = None if head is None else head.eval().requires_grad_(False).to(self.device)
        self.regions = {n: REGIONS[n] for n in regions if self.head or REGIONS[n].outline not in BY_HEAD_FINDER}
        self.canvas_rate, self.inset_rate, self.finder = canvas_rate, inset_rate, finder
        self.reader, self.encoder, self.directions = reader, encoder, dict(directions or {})
        self.canvas_encoder, self.poses = canvas_encoder, poses
        self.others, self.finders = dict(others or {}), dict(finders or {})
        self.other_regions = dict(other_regions or {})
        self.modes, self.tone, self.enlarged = dict(modes), tone, enlarged
        for network in (*self.others.values(), reader, canvas_encoder):
            if network is not None:
                network.eval().requires_grad_(False).to(self.device)

    @property
    def distance(self) -> str:
        """Which perceptual distance is used, for a person."""
        return self.features.name

    @torch.no_grad()
    def draw(self, kind: str, source: LatentSource) -> GeneratedImage:
        """Draw a "body" or a "face". Raises UnknownName or BadValue."""
        generator = self._generator(kind)
        codes = self._codes(kind, source)
        image = generator.synthesis(codes, noise="const").float().clamp(-1, 1)
        return GeneratedImage(image.cpu(), codes.cpu())

    def compose(self, request: CompositionRequest) -> Iterator[Report]:
        """Carry out a request: yields a report every few steps, the plain paste first, the result last.

        Raises UnknownName, BadValue, and NoFaceFound where there is no place for an inset on the body.
        """
        mode = self._mode(request.mode)
        if not 1 <= request.schedule.steps <= MOST_STEPS:
            raise BadValue(f"The number of steps must be from 1 to {MOST_STEPS}, not {request.schedule.steps}.")
        canvas = self._latent(GeneratorLatent, "body", request.body, mode.canvas, self.canvas_rate)
        face = request.face
        if mode.fresh_inset and face.codes is None:
            face = self._fresh(canvas)
        insets: list[Inset] = []
        for part in (Part(request.region, face), *request.parts):
            region = self._region(part.region, part.kind)
            if part.kind != "face":
                insets.append(self._other(canvas, part, region))
                continue
            rate = FRESH_RATE if mode.fresh_inset and not insets else self.inset_rate
            place = {"region": region, "finder": self.finder}
            insets.append(self._latent(Inset, "face", part.source, mode.inset, rate, **place))
        weights = replace(request.weights, **mode.weights)
        head, silhouette = (None, None) if self.head is None else (self.head.masks, self.head.silhouette)
        yield from optimise(
            canvas, insets, self.features, weights=weights, schedule=request.schedule,
            head=head, silhouette=silhouette, tone=self.tone, enlarged=self.enlarged,
        )  # fmt: skip

    def project_body(self, picture: Tensor, *, steps: int = STEPS, known: Tensor | None = None) -> Iterator[Projection]:
        """Codes of a real body (1, 3, H, W) in [-1, 1], framed as in the canvas generator's data.

        They start from what the canvas's encoder reads, where there is one, else from the mean body. known: (1, 1, H,
        W), 1 where the picture counts; the generator makes up the rest.
        """
        start = None if self.canvas_encoder is None else self.canvas_encoder(picture.to(self.device))
        yield from project(self.canvas, picture, self.features, start=start, steps=steps, known=known)

    def project_face(self, picture: Tensor, *, start: Tensor | None = None, steps: int = STEPS) -> Iterator[Projection]:
        """Codes of an aligned real face (1, 3, R, R) in [-1, 1]; from `start`, an encoder's codes, if given."""
        yield from project(self.inset, picture, self.features, start=start, steps=steps)

    # ------------------------------------------------------------ helpers

    def _kind(self, kind: str) -> str:
        if kind not in (*KINDS, *self.others):
            known = ", ".join((*KINDS, *self.others))
            raise UnknownName(f"There is no picture of kind {kind!r}; choose one of {known}.")
        return kind

    def _generator(self, kind: str) -> Generator:
        return {"body": self.canvas, "face": self.inset, **self.others}[self._kind(kind)]

    def _mode(self, name: str) -> Mode:
        if name not in self.modes:
            raise UnknownName(f"There is no mode {name!r}; choose one of {', '.join(self.modes)}.")
        return self.modes[name]

    def _region(self, name: str, kind: str) -> Region:
        if kind != "face":
            return self.other_regions.get(self._kind(kind), SQUARE)
        if name not in self.regions:
            raise UnknownName(f"There is no region {name!r}; choose one of {', '.join(self.regions)}.")
        return self.regions[name]

    def _codes(self, kind: str, source: LatentSource) -> Tensor:
        own = (self.directions, self.poses) if kind == "body" else ({}, None)
        return codes_of(self._generator(kind), source, *own)

    @torch.no_grad()
    def _fresh(self, canvas: GeneratorLatent) -> LatentSource:
        """Where a face for a given canvas starts: what the encoder reads in the canvas's own face, or the mean face."""
        if self.encoder is None:
            return LatentSource(psi=0.0)
        picture = canvas.generator.synthesis(canvas.codes, noise="const").clamp(-1, 1)
        size = (self.inset.resolution, self.inset.resolution)
        place = self.finder(picture, picture.new_zeros(1, 3, *size), SQUARE)
        if place is None:
            raise NoFaceFound(NO_FACE)
        crop = take(picture, place.to_canvas((picture.shape[-2], picture.shape[-1])).to(picture), size)
        return LatentSource(codes=encode_with(self.encoder)(crop).to(canvas.codes))

    @torch.no_grad()
    def _other(self, canvas: GeneratorLatent, part: Part, region: Region) -> Inset:
        """An inset of another generator. It is made for this canvas, so it is optimised in every mode."""
        finder = self.finders[self._kind(part.kind)]
        picture = canvas.generator.synthesis(canvas.codes, noise="none").clamp(-1, 1)
        source = matching(self._generator(part.kind), part.source, picture, region, finder)
        place = {"region": region, "finder": finder, "inner": OTHER_INNER}
        return self._latent(Inset, part.kind, source, True, FRESH_RATE, **place)

    def _latent(
        self, cls: type[Kind], kind: str, source: LatentSource, optimised: bool, rate: float, **more: Any
    ) -> Kind:
        generator, codes = self._generator(kind), self._codes(kind, source)
        picture = None if source.picture is None else source.picture.to(codes)
        given = source.codes is not None
        return cls(generator, codes, optimised=optimised, rate=rate, given=given, picture=picture, **more)


def load_embedded(
    folder: Path | str, *, inset: Generator | None = None, device: str | torch.device = "cpu"
) -> InsetGANPipeline:
    """The pipeline of the weights in `folder` (weights/): busts and faces; the face generator where none is given.

    Without a generator of busts, the face generator draws the canvas, too, which is then a portrait.
    Raises WeightsMissing or BadCheckpoint.
    """
    folder = Path(folder)
    if inset is None:
        inset, _ = build_from_file(Generator, folder / FACE / "generator.safetensors", "face generator")
    canvas, bust = inset, folder / BUST / "generator.safetensors"
    if bust.is_file():
        canvas, _ = build_from_file(Generator, bust, "bust generator")
    path = folder / "portraits_face" / "discriminator.safetensors"
    discriminator, _ = build_from_file(Discriminator, path, "discriminator")
    head = folder / "portraits_hfgi" / "head.safetensors"
    finder = load_head(head) if head.is_file() else None
    return InsetGANPipeline(canvas, inset, perceptual(discriminator), head=finder, tone=True, device=device)
