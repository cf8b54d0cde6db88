"""The latents that a composition optimises, its schedule, and its reports."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from gan_core.insetgan.placement import Placement
from gan_core.insetgan.regions import Region, RegionFinder, find_by_face
from gan_core.stylegan2 import Generator

FINEST = 2  # layers of the highest resolution, whose latents are not optimised


@dataclass
class GeneratorLatent:
    """Latent codes of one generator, and how they are optimised."""

    generator: Generator
    codes: Tensor  # (1, num_ws, w_dim), the start
    optimised: bool = True  # False: the picture stays as it is
    rate: float = 0.02  # of Adam, in units of the spread of w
    given: bool = False  # codes of a real picture: the regulariser keeps them near themselves, not near the mean w
    picture: Tensor | None = None  # (1, 3, H, W) in [-1, 1] instead of the codes', while they are not optimised
    mean: Tensor | None = None  # (w_dim,); the generator's own if None
    spread: Tensor | None = None  # scalar, standard deviation of w; estimated if None


@dataclass
class Inset(GeneratorLatent):
    """Latent codes of a picture that is put into the canvas."""

    region: Region = field(kw_only=True)
    inner: float = 1.0  # factor of the losses that compare or keep what is inside its frame
    finder: RegionFinder = find_by_face


@dataclass(frozen=True)
class Schedule:
    """Number of steps, and the steps at which something happens."""

    steps: int = 150
    alternate: int = 0  # steps after which canvas and insets take turns, the canvas first; 0: both at once
    detect: int = 20  # steps between detections of the regions
    detect_until: float = 0.5  # share of the steps after which the regions are fixed
    preview: int = 10  # steps between reports
    frame: int = 8  # width of the frame of the border loss, pixels of the canvas
    feather: int = 8  # width of the transition from inset to canvas in the finished composite, pixels; 0: a hard edge


@dataclass(frozen=True)
class Composite:
    """Pictures (1, 3, H, W) in [-1, 1] on the CPU."""

    image: Tensor
    hard: Tensor  # pasted without any blending
    canvas: Tensor
    insets: tuple[Tensor, ...]
    placements: tuple[Placement, ...]
    codes: tuple[Tensor, ...]  # (1, num_ws, w_dim), the canvas's first
    large: Tensor | None = None  # `image` enlarged, with the insets as sharp as they are
    tone: float = 0.0  # mean change of the first inset's colours that brought it to the canvas's light


@dataclass(frozen=True)
class Report:
    """State of the optimisation after some steps."""

    step: int
    steps: int
    losses: Tensor  # (step, len(TERMS)), on the CPU
    best: Composite  # the very same object as in the report before, where nothing was drawn since
    pasted: Composite  # before any optimisation
    notes: tuple[str, ...] = ()

    @property
    def done(self) -> bool:
        """Whether this is the last one."""
        return self.step >= self.steps


def fast_dtype(device: torch.device) -> torch.dtype | None:
    """bfloat16 on GPUs that compute it in their matrix units; None elsewhere, which leaves the weights' own."""
    if device.type != "cuda":
        return None
    native = torch.version.hip is not None or torch.cuda.get_device_capability(device) >= (8, 0)
    return torch.bfloat16 if native else None


def added_codes(added: Tensor) -> Tensor:
    """The offsets of codes (1, num_ws, w_dim) that the variables `added` (1, 1 + num_ws, w_dim) stand for: row 0 is
    added to all layers, each other row to one.

    The finest layers get no offset. They draw texture, which differs between any two pictures; if they are optimised,
    they learn to draw less of it, and a third of the fine detail is lost.
    """
    moved = (added[:, :1] + added[:, 1:])[:, :-FINEST]
    return F.pad(moved, (0, 0, 0, FINEST))


@torch.no_grad()
def with_statistics(latent: GeneratorLatent) -> GeneratorLatent:
    """The same with the mean and the standard deviation of the generator's w."""
    mapping = latent.generator.mapping
    spread = latent.spread
    if spread is None:
        z = torch.randn(512, mapping.z_dim, generator=torch.Generator().manual_seed(0)).to(latent.codes)
        label = None if not mapping.c_dim else torch.eye(mapping.c_dim).to(z)[torch.arange(512) % mapping.c_dim]
        spread = mapping(z, label).std(0).mean()
    return replace(latent, mean=mapping.w_avg if latent.mean is None else latent.mean, spread=spread)
