"""Refining an inversion on its photo: pivotal tuning (Roich et al. 2021, arXiv 2106.05744) from the encoder's codes.

First the codes in W+ are optimised, near where the encoder put them, so that the directions of edits still hold. Then a
copy of some of the generator's weights is tuned at these codes, the pivot, while pictures at random neighbours of the
pivot are kept as they were (section 3.2, locality regularisation). The copy belongs to the inversion; the generator
itself is not changed. The distortion map is computed again at the end, so consultation repairs only what is left.

A step is one function of tensors. On a GPU it is recorded as a CUDA graph.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional as F

from gan_core import memory
from gan_core.adam import adam
from gan_core.e4e.networks import WORKING_SIZE
from gan_core.errors import BadValue
from gan_core.graphs import Captured
from gan_core.hfgi.tuned import tuned_names, up_to, with_weights
from gan_core.perceptual import Perceptual
from gan_core.stylegan2.synthesis import SynthesisNetwork

if TYPE_CHECKING:
    from gan_core.hfgi.pipeline import HFGIPipeline, Inversion


@dataclass(frozen=True)
class RefinementSettings:
    """Numbers of steps, and weights of the losses."""

    steps: int = 60  # of the codes
    tuning: int = 20  # of the weights
    working: int = 128  # pixels a side at which pictures are compared while the codes are optimised
    rate: float = 0.04  # of the codes, in units of the spread of w
    tuning_rate: float = 0.004  # of the weights, whose spread is about 1
    perceptual: float = 1.0  # beside a weight of 1 for the squared difference in [-1, 1]
    squared: float = 10.0
    near: float = 0.05  # squared distance of the codes from the encoder's, in units of the spread of w
    locality: float = 5.0  # squared difference at a neighbour of the pivot
    neighbour: float = 0.5  # share of the way from the pivot to a random w
    neighbour_every: int = 2  # steps
    backdrop: float = 0.4  # weight of pixels that are not the head
    preview: int = 20  # steps between reports that have an inversion
    coarsest: int = 32


@dataclass(frozen=True)
class Refinement:
    """A report; the last one has the result."""

    step: int
    steps: int
    error: float  # mean squared difference from the photo in [-1, 1], relative to the encoder's inversion
    inversion: Inversion | None  # the state so far, on the pipeline's device; None where it was not drawn

    @property
    def done(self) -> bool:
        """Whether this is the last one."""
        return self.step >= self.steps


@torch.no_grad()
def refine(
    pipeline: HFGIPipeline, inversion: Inversion, settings: RefinementSettings | None = None
) -> Iterator[Refinement]:
    """Refine an inversion of `pipeline.invert`; yields a report after every step, some with an inversion.

    The first report has the inversion as it came, the last one the result. Closing the iterator stops the work, and the
    inversion of an earlier report can be used like any other. An inversion that was refined before starts from its
    codes, and from the generator's own weights.

    Raises BadValue where the pipeline has no features for a perceptual distance.
    """
    settings, features = settings or RefinementSettings(), pipeline.features
    if features is None:
        raise BadValue("These weights have no perceptual distance beside them, so they cannot refine an inversion.")
    device = pipeline.device
    memory.bring_back(pipeline.generator, device)
    here = inversion.to(device)
    face, codes, head = (x.clone() for x in (here.face, here.codes, here.head[:, :1]))
    total = settings.steps + settings.tuning
    yield Refinement(0, total, 1.0, here)

    weight = settings.backdrop + (1 - settings.backdrop) * head
    job = _Losses(pipeline.generator.synthesis, features, settings, _spread(pipeline))
    size = min(settings.working, pipeline.resolution)
    target = _Target.of(face, weight, size, features)
    lower = up_to(job.network, size)
    plain = job.network(codes)
    target.shift = _reduced(plain, size) - lower(codes[:, : lower.num_ws])
    first = _weighted(_reduced(plain, size), target)
    step = Captured(partial(job.step_codes, lower))
    state = [torch.zeros_like(torch.cat([codes[:, :1], codes], 1)) for _ in range(3)] + [_zero(device)]
    rates = torch.cos(torch.linspace(0, 0.46 * torch.pi, max(settings.steps, 1))).to(device)
    on_cpu = device.type == "cpu"
    moved = codes
    for i in range(settings.steps):
        *state, error = step(*state, rates[i], codes, *target.tensors())
        drawn = None
        if (i + 1) % settings.preview == 0 or i + 1 == settings.steps:
            moved = codes + added_codes(state[0], lower.num_ws)
            drawn = pipeline.inversion_of(face, moved, refined=i + 1)
        if drawn is not None or on_cpu:
            yield Refinement(i + 1, total, float(error / first), drawn)
    del step

    size = min(WORKING_SIZE, pipeline.resolution)
    target = _Target.of(face, weight, size, features)
    first = _weighted(_reduced(plain, size), target)
    names = tuned_names(job.network, settings.coarsest)
    weights = [dict(job.network.named_parameters())[name].detach().clone() for name in names]
    network = with_weights(job.network, dict(zip(names, weights, strict=True)))
    plain_steps, near_steps = (
        Captured(partial(job.step_weights, network, names, near), keep=1) for near in (False, True)
    )
    tensors = [*weights, *(torch.zeros_like(w) for w in weights), *(torch.zeros_like(w) for w in weights)]
    state = [*tensors, _zero(device)]
    rates = torch.cos(torch.linspace(0, 0.46 * torch.pi, max(settings.tuning, 1))).to(device)
    random = torch.Generator().manual_seed(0)
    n = len(names)
    for i in range(settings.tuning):
        near = i % settings.neighbour_every == 0
        neighbour = job.neighbour(pipeline, moved, random) if near else moved
        take = near_steps if near else plain_steps
        *state, error = take(*state, rates[i], moved, neighbour, *target.tensors())
        drawn = None
        if (i + 1) % settings.preview == 0 or i + 1 == settings.tuning:
            tuned = dict(zip(names, (w.clone() for w in state[:n]), strict=True))
            drawn = pipeline.inversion_of(face, moved, tuned, refined=settings.steps + i + 1)
        if drawn is not None or on_cpu:
            yield Refinement(settings.steps + i + 1, total, float(error / first), drawn)


def added_codes(added: Tensor, count: int) -> Tensor:
    """The offsets of codes (1, num_ws, w_dim) that the variables `added` (1, 1 + num_ws, w_dim) stand for: row 0 is
    added to all of the `count` layers that take part, each other row to one."""
    moved = (added[:, :1] + added[:, 1:])[:, :count]
    return F.pad(moved, (0, 0, 0, added.shape[1] - 1 - count))


@dataclass
class _Target:
    """The photo at one size, as tensors."""

    picture: Tensor  # (1, 3, size, size)
    weight: Tensor  # (1, 1, size, size), of each pixel
    shift: Tensor  # (1, 3, size, size), added to the drawn picture: what the resolutions that are left out would add
    maps: list[Tensor]

    @classmethod
    def of(cls, face: Tensor, weight: Tensor, size: int, features: Perceptual) -> _Target:
        picture, weight = _reduced(face, size), _reduced(weight, size)
        return cls(picture, weight, torch.zeros_like(picture), features.maps(picture))

    def tensors(self) -> tuple[Tensor, ...]:
        return self.picture, self.weight, self.shift, *self.maps


@dataclass(frozen=True)
class _Losses:
    network: SynthesisNetwork
    features: Perceptual
    settings: RefinementSettings
    spread: Tensor  # scalar, standard deviation of w

    def likeness(self, image: Tensor, target: _Target) -> tuple[Tensor, Tensor]:
        """Loss of a picture, and its weighted squared error."""
        image = _reduced(image, target.picture.shape[-1]) + target.shift
        error = _weighted(image, target)
        distance = self.features.distance(self.features.maps(image), target.maps, target.weight)
        return self.settings.squared * error + self.settings.perceptual * distance, error

    def step_codes(self, lower: SynthesisNetwork, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Variables, both moments, count, rate, codes, target -> next variables, moments and count, and the error."""
        added, first, second, count, rate, codes, picture, weight, shift, *maps = tensors
        target = _Target(picture, weight, shift, maps)
        with torch.enable_grad():
            moved = added.detach().requires_grad_()
            offsets = added_codes(moved, lower.num_ws)
            image = lower((codes + offsets)[:, : lower.num_ws])
            loss, error = self.likeness(image, target)
            loss = loss + self.settings.near * (offsets / self.spread).square().mean()
            (gradient,) = torch.autograd.grad(loss, [moved])
        count = count + 1
        change, first, second = adam(gradient, first, second, count)
        return added - rate * self.settings.rate * self.spread * change, first, second, count, error.detach()

    def step_weights(
        self, network: SynthesisNetwork, names: list[str], near: bool, *tensors: Tensor
    ) -> tuple[Tensor, ...]:
        """Weights, both moments, count, rate, pivot, neighbour, target -> next weights, moments, count; the error."""
        n = len(names)
        weights, first, second = (list(tensors[i * n : (i + 1) * n]) for i in range(3))
        count, rate, pivot, neighbour, picture, weight, shift, *maps = tensors[3 * n :]
        target = _Target(picture, weight, shift, maps)
        with torch.enable_grad():
            weights = [w.detach().requires_grad_() for w in weights]
            own = dict(zip(names, weights, strict=True))
            loss, error = self.likeness(functional_call(network, own, (pivot,)), target)
            if near:
                with torch.no_grad():
                    wanted = self.network(neighbour)
                drawn = functional_call(network, own, (neighbour,))
                loss = loss + self.settings.locality * (drawn - wanted).square().mean()
            gradients = torch.autograd.grad(loss, weights)
        count = count + 1
        for i, gradient in enumerate(gradients):
            change, first[i], second[i] = adam(gradient, first[i], second[i], count)
            weights[i] = weights[i].detach() - rate * self.settings.tuning_rate * change
        return *weights, *first, *second, count, error.detach()

    def neighbour(self, pipeline: HFGIPipeline, pivot: Tensor, random: torch.Generator) -> Tensor:
        """Codes on the way from the pivot to a random w."""
        mapping = pipeline.generator.mapping
        w = mapping(torch.randn(1, mapping.z_dim, generator=random).to(pivot))
        return pivot + self.settings.neighbour * (w[:, None] - pivot)


def _spread(pipeline: HFGIPipeline) -> Tensor:
    """Standard deviation of w, a scalar, mean over its entries."""
    mapping = pipeline.generator.mapping
    z = torch.randn(512, mapping.z_dim, generator=torch.Generator().manual_seed(0))
    return mapping(z.to(pipeline.device)).std(0).mean()


def _weighted(image: Tensor, target: _Target) -> Tensor:
    difference = (image - target.picture).square().mean(1, keepdim=True)
    return (difference * target.weight).mean() / target.weight.mean()


def _reduced(image: Tensor, size: int) -> Tensor:
    return image if image.shape[-1] == size else F.adaptive_avg_pool2d(image, size)


def _zero(device: torch.device) -> Tensor:
    return torch.zeros((), device=device)
