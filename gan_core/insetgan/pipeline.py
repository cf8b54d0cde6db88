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
from torch import Tensor

from gan_core.checkpoints.embedded import build_from_file
from gan_core.errors import BadValue, UnknownName
from gan_core.faces.head import HeadNet, load_head
from gan_core.insetgan.latents import GeneratorLatent, Inset, Report, Schedule
from gan_core.insetgan.objective import Weights
from gan_core.insetgan.optimise import optimise
from gan_core.insetgan.project import STEPS, Projection, project
from gan_core.insetgan.regions import REGIONS, Region, RegionFinder, find_by_face
from gan_core.perceptual import Perceptual, perceptual
from gan_core.stylegan2 import Discriminator, Generator

KINDS = ("body", "face")
MOST_STEPS = 1000
LARGEST_SEED = 2**31 - 1
Truncation = float | tuple[float, float]


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
class LatentSource:
    """Where a picture's latents come from: a seed, or codes (1, num_ws, w_dim) of an inverted picture."""

    seed: int = 0
    psi: Truncation = 0.7  # truncation; a pair goes from the coarsest to the finest layer
    codes: Tensor | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Part:
    """A further inset of the face generator."""

    region: str
    source: LatentSource


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
        device: str | torch.device = "cpu",
    ) -> None:
        self.device = torch.device(device)
        self.canvas, self.inset, self.features = (
            net.eval().requires_grad_(False).to(self.device) for net in (canvas, inset, features)
        )
        self.head = None if head is None else head.eval().requires_grad_(False).to(self.device)
        self.regions = {name: REGIONS[name] for name in regions if self.head or REGIONS[name].outline != "head"}
        self.canvas_rate, self.inset_rate, self.finder = canvas_rate, inset_rate, finder

    @property
    def distance(self) -> str:
        """Which perceptual distance is used, for a person."""
        return self.features.name

    @torch.no_grad()
    def draw(self, kind: str, source: LatentSource) -> GeneratedImage:
        """Draw a "body" or a "face". Raises UnknownName or BadValue."""
        generator = self._generator(kind)
        codes = self._codes(generator, source)
        image = generator.synthesis(codes, noise="const").float().clamp(-1, 1)
        return GeneratedImage(image.cpu(), codes.cpu())

    def compose(self, request: CompositionRequest) -> Iterator[Report]:
        """Carry out a request: yields a report every few steps, the plain paste first, the result last.

        Raises UnknownName, BadValue, and NoFaceFound where there is no place for an inset on the body.
        """
        mode = self._mode(request.mode)
        if not 1 <= request.schedule.steps <= MOST_STEPS:
            raise BadValue(f"The number of steps must be from 1 to {MOST_STEPS}, not {request.schedule.steps}.")
        face = request.face
        if mode.fresh_inset and face.codes is None:
            face = replace(face, psi=0.0)
        canvas = self._latent(GeneratorLatent, "body", request.body, mode.canvas, self.canvas_rate)
        insets = []
        for region, source in ((request.region, face), *((part.region, part.source) for part in request.parts)):
            place = {"region": self._region(region), "finder": self.finder}
            insets.append(self._latent(Inset, "face", source, mode.inset, self.inset_rate, **place))
        if mode.fresh_inset:
            # It starts from the mean face and needs the canvas's rate.
            insets[0] = replace(insets[0], rate=self.canvas_rate)
        weights = replace(request.weights, **mode.weights)
        head = None if self.head is None else self.head.masks
        yield from optimise(canvas, insets, self.features, weights=weights, schedule=request.schedule, head=head)

    def project_body(self, picture: Tensor, *, steps: int = STEPS) -> Iterator[Projection]:
        """Codes of a real body (1, 3, H, W) in [-1, 1], framed as in the canvas generator's data."""
        yield from project(self.canvas, picture, self.features, steps=steps)

    def project_face(self, picture: Tensor, *, start: Tensor | None = None, steps: int = STEPS) -> Iterator[Projection]:
        """Codes of an aligned real face (1, 3, R, R) in [-1, 1]; from `start`, an encoder's codes, if given."""
        yield from project(self.inset, picture, self.features, start=start, steps=steps)

    # ------------------------------------------------------------ helpers

    def _generator(self, kind: str) -> Generator:
        if kind not in KINDS:
            raise UnknownName(f"There is no picture of kind {kind!r}; choose one of {', '.join(KINDS)}.")
        return self.canvas if kind == "body" else self.inset

    def _mode(self, name: str) -> Mode:
        if name not in MODES:
            raise UnknownName(f"There is no mode {name!r}; choose one of {', '.join(MODES)}.")
        return MODES[name]

    def _region(self, name: str) -> Region:
        if name not in self.regions:
            raise UnknownName(f"There is no region {name!r}; choose one of {', '.join(self.regions)}.")
        return self.regions[name]

    @torch.no_grad()
    def _codes(self, generator: Generator, source: LatentSource) -> Tensor:
        mean = generator.mapping.w_avg
        if source.codes is not None:
            wanted = (1, generator.num_ws, generator.synthesis.w_dim)
            if tuple(source.codes.shape) != wanted:
                raise BadValue(f"The codes have the shape {tuple(source.codes.shape)}, this generator takes {wanted}.")
            return source.codes.to(mean)
        if not 0 <= source.seed <= LARGEST_SEED:
            raise BadValue(f"A seed must be a whole number from 0 to {LARGEST_SEED}, not {source.seed}.")
        coarse, fine = source.psi if isinstance(source.psi, tuple) else (source.psi, source.psi)
        if not (0 <= coarse <= 1 and 0 <= fine <= 1):
            raise BadValue(f"Truncation must be from 0 to 1, not {source.psi}.")
        rng = torch.Generator().manual_seed(source.seed)
        z = torch.randn(1, generator.mapping.z_dim, generator=rng).to(mean)
        label = None
        if generator.mapping.c_dim:
            label = torch.eye(generator.mapping.c_dim)[source.seed % generator.mapping.c_dim][None].to(mean)
        psi = torch.linspace(coarse, fine, generator.num_ws).to(mean)[None, :, None]
        return mean + psi * (generator.broadcast(generator.mapping(z, label)) - mean)

    def _latent(
        self, cls: type[Kind], kind: str, source: LatentSource, optimised: bool, rate: float, **more: Any
    ) -> Kind:
        generator = self._generator(kind)
        codes = self._codes(generator, source)
        return cls(generator, codes, optimised=optimised, rate=rate, given=source.codes is not None, **more)


def load_embedded(
    folder: Path | str, *, inset: Generator | None = None, device: str | torch.device = "cpu"
) -> InsetGANPipeline:
    """The pipeline of the weights in `folder` (weights/): busts and faces; the face generator where none is given.

    Without a generator of busts, the face generator draws the canvas, too, which is then a portrait.
    Raises WeightsMissing or BadCheckpoint.
    """
    folder = Path(folder)
    if inset is None:
        inset, _ = build_from_file(Generator, folder / "portraits_face" / "generator.safetensors", "face generator")
    canvas, bust = inset, folder / "portraits_bust" / "generator.safetensors"
    if bust.is_file():
        canvas, _ = build_from_file(Generator, bust, "bust generator")
    path = folder / "portraits_face" / "discriminator.safetensors"
    discriminator, _ = build_from_file(Discriminator, path, "discriminator")
    head = folder / "portraits_hfgi" / "head.safetensors"
    return InsetGANPipeline(
        canvas, inset, perceptual(discriminator), head=load_head(head) if head.is_file() else None, device=device
    )
