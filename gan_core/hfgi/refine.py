"""Refining an inversion on its photo: pivotal tuning (Roich et al. 2021, arXiv 2106.05744) from the encoder's codes.

First the codes in W+ are optimised, near where the encoder put them, so that the directions of edits still hold. Then a
copy of some of the generator's weights is tuned at these codes, the pivot, while pictures at random neighbours of the
pivot are kept as they were (section 3.2, locality regularisation). Beyond the paper, half of the neighbours are edits
of the pivot by the sliders, at which the change that the edit makes is kept instead of the picture. The copy belongs to
the inversion; the generator itself is not changed. The distortion map is computed again at the end, so consultation
repairs only what is left.

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
from gan_core.hfgi.tuned import TUNED_FROM, tuned_names, up_to, with_weights
from gan_core.perceptual import Perceptual
from gan_core.stylegan2.synthesis import SynthesisNetwork

if TYPE_CHECKING:
    from gan_core.hfgi.pipeline import HFGIPipeline, Inversion


@dataclass(frozen=True)
class RefinementSettings:
    """Numbers of steps, and weights of the losses."""

    moving: int = 24  # steps of the codes
    working: int = 128  # pixels a side of the pictures that they are compared by
    tuning: int = 6  # steps of the weights
    looked_at: int = 256  # pixels a side at which features are compared, at most
    rate: float = 0.05  # of the codes, in units of the spread of w
    slow_start: int = 4  # steps at which the rate rises; without it the first steps lose what the encoder knew
    tuning_rate: float = 0.002  # of the weights, whose spread is about 1
    perceptual: float = 1.0  # distance of features
    squared: float = 10.0  # squared difference from the photo in [-1, 1]
    common: float = 2.0  # squared offset of all layers' codes from the encoder's, in units of the spread of w
    apart: float = 8.0  # the same of what is added to one layer's code alone: edits hold best where layers agree
    locality: float = 50.0  # squared difference at a neighbour of the pivot
    neighbour: float = 0.5  # share of the way from the pivot to a random w
    neighbour_every: int = 2  # steps
    backdrop: float = 0.4  # weight of pixels that are not the head
    preview: int = 15  # steps between reports that have an inversion
    coarsest: int = TUNED_FROM  # pixels a side: weights of this resolution and finer ones are tuned

    @property
    def steps(self) -> int:
        """All of them."""
        return self.moving + self.tuning


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
    memory.bring_back(pipeline.generator, pipeline.device)
    here = inversion.to(pipeline.device)
    run = _Run(pipeline, settings, features, *(x.clone() for x in (here.face, here.codes, here.head[:, :1])))
    yield Refinement(0, settings.steps, 1.0, here)
    yield from run.codes_refined()
    yield from run.weights_tuned()


class _Run:
    """One refinement: what it starts from, and how far it is."""

    def __init__(
        self,
        pipeline: HFGIPipeline,
        settings: RefinementSettings,
        features: Perceptual,
        face: Tensor,
        codes: Tensor,
        head: Tensor,
    ) -> None:
        self.pipeline, self.settings, self.face = pipeline, settings, face
        self.codes, self.step = codes, 0
        self.network = pipeline.generator.synthesis
        self.losses = _Losses(self.network, features, settings, _spread(pipeline))
        self.weight = settings.backdrop + (1 - settings.backdrop) * head
        self.image = self.network(codes)

    def codes_refined(self) -> Iterator[Refinement]:
        """The steps of the codes."""
        settings = self.settings
        size = min(settings.working, self.pipeline.resolution)
        lower = up_to(self.network, size)
        target, given = self._target(size, lower), self.codes
        first = _weighted(_reduced(self.image, size), target)
        take = Captured(partial(self.losses.step_codes, lower))
        added = torch.zeros_like(torch.cat([given[:, :1], given], 1))
        state = [added, torch.zeros_like(added), torch.zeros_like(added), _zero(first)]
        rates = self._rates(settings.moving)
        for i in range(settings.moving):
            *state, error = take(*state, rates[i], given, *target.tensors())
            self.step += 1
            self.codes = given + added_codes(state[0], lower.num_ws)
            yield from self._report(error / first, {}, last=i + 1 == settings.moving)

    def weights_tuned(self) -> Iterator[Refinement]:
        """The steps of the weights."""
        settings, network = self.settings, self.network
        size = min(WORKING_SIZE, self.pipeline.resolution)
        target = self._target(size)
        first = _weighted(_reduced(self.image, size), target)
        names = tuned_names(network, settings.coarsest)
        own = dict(network.named_parameters())
        weights = [own[name].detach().clone() for name in names]
        copy = with_weights(network, dict(zip(names, weights, strict=True)))
        steps = [Captured(partial(self.losses.step_weights, copy, names, near), keep=1) for near in (False, True)]
        moments = [torch.zeros_like(weight) for weight in weights]
        state = [*weights, *moments, *moments, _zero(first)]
        rates, random = self._rates(settings.tuning), torch.Generator().manual_seed(0)
        before, neighbours = network(self.codes), 0
        for i in range(settings.tuning):
            near = i % settings.neighbour_every == 0
            neighbour, edited = self._neighbour(random, neighbours) if near else (self.codes, False)
            neighbours += near
            own_part = before.new_tensor(float(edited))
            *state, error = steps[near](*state, rates[i], self.codes, before, neighbour, own_part, *target.tensors())
            self.step += 1
            tuned = dict(zip(names, state, strict=False))
            yield from self._report(error / first, tuned, last=i + 1 == settings.tuning)

    def _report(self, error: Tensor, tuned: dict[str, Tensor], last: bool) -> Iterator[Refinement]:
        """The report of a step: always on a CPU, where a step takes long; on a GPU only with an inversion."""
        drawn = None
        if last or self.step % self.settings.preview == 0:
            drawn = self.pipeline.inversion_of(self.face, self.codes, tuned, refined=self.step)
        if drawn is not None or error.device.type == "cpu":
            yield Refinement(self.step, self.settings.steps, float(error), drawn)

    def _rates(self, steps: int) -> Tensor:
        """Factors of the rate: it rises at first, and falls towards the end."""
        rates = torch.cos(torch.linspace(0, 0.46 * torch.pi, max(steps, 1)))
        rise = torch.arange(1, len(rates) + 1) / (self.settings.slow_start + 1)
        return (rates * rise.clamp(max=1)).to(self.face.device)

    def _target(self, size: int, lower: SynthesisNetwork | None = None) -> _Target:
        """The photo at this size, for pictures of `lower` where they are not the whole network's."""
        picture, weight = _reduced(self.face, size), _reduced(self.weight, size)
        shift = torch.zeros_like(picture)
        if lower is not None:
            shift = _reduced(self.image, size) - lower(self.codes[:, : lower.num_ws])
        return _Target(picture, weight, shift, self.losses.maps(picture))

    def _neighbour(self, random: torch.Generator, index: int) -> tuple[Tensor, bool]:
        """Codes near the pivot, and whether they are an edit of it: in turn a slider at one of its ends, and a point on
        the way to a random w."""
        sliders = list(self.pipeline.attributes.values())
        if sliders and index % 2 == 0:
            slider = sliders[int(torch.randint(len(sliders), (), generator=random))]
            strength = (slider.low, slider.high)[int(torch.randint(2, (), generator=random))]
            return self.codes + strength * slider.direction.to(self.codes), True
        mapping = self.pipeline.generator.mapping
        w = mapping(torch.randn(1, mapping.z_dim, generator=random).to(self.codes))
        return self.codes + self.settings.neighbour * (w[:, None] - self.codes), False


def added_codes(added: Tensor, count: int) -> Tensor:
    """The offsets of codes (1, num_ws, w_dim) that the variables `added` (1, 1 + num_ws, w_dim) stand for: row 0 is
    added to all of the first `count` layers, each other row to one. The finest layers, which draw texture, keep their
    codes: they would learn to draw less of it."""
    moved = (added[:, :1] + added[:, 1:])[:, :count]
    return F.pad(moved, (0, 0, 0, added.shape[1] - 1 - count))


@dataclass
class _Target:
    """The photo at one size, as tensors."""

    picture: Tensor  # (1, 3, size, size)
    weight: Tensor  # (1, 1, size, size), of each pixel
    shift: Tensor  # (1, 3, size, size), added to the drawn picture: what the resolutions that are left out would add
    maps: list[Tensor]  # its features

    def tensors(self) -> tuple[Tensor, ...]:
        return self.picture, self.weight, self.shift, *self.maps


@dataclass(frozen=True)
class _Losses:
    network: SynthesisNetwork
    features: Perceptual
    settings: RefinementSettings
    spread: Tensor  # scalar, standard deviation of w

    def maps(self, image: Tensor) -> list[Tensor]:
        """The features of a picture, reduced where it is larger than they need it."""
        return self.features.maps(_reduced(image, min(image.shape[-1], self.settings.looked_at)))

    def likeness(self, image: Tensor, target: _Target) -> tuple[Tensor, Tensor]:
        """Loss of a picture, and its weighted squared error."""
        image = _reduced(image, target.picture.shape[-1]) + target.shift
        error = _weighted(image, target)
        distance = self.features.distance(self.maps(image), target.maps, target.weight)
        return self.settings.squared * error + self.settings.perceptual * distance, error

    def step_codes(self, lower: SynthesisNetwork, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Variables (see `added_codes`), both moments, count, rate, the codes at the start, target -> next variables,
        moments and count; the error."""
        added, first, second, count, rate, given, picture, weight, shift, *maps = tensors
        target = _Target(picture, weight, shift, maps)
        with torch.enable_grad():
            moved = added.detach().requires_grad_()
            codes = given + added_codes(moved, lower.num_ws)
            loss, error = self.likeness(lower(codes[:, : lower.num_ws]), target)
            common, apart = (part.square().mean() / self.spread.square() for part in (moved[:, :1], moved[:, 1:]))
            loss = loss + self.settings.common * common + self.settings.apart * apart
            (gradient,) = torch.autograd.grad(loss, [moved])
        count = count + 1
        change, first, second = adam(gradient, first, second, count)
        return added - rate * self.settings.rate * self.spread * change, first, second, count, error.detach()

    def step_weights(
        self, network: SynthesisNetwork, names: list[str], near: bool, *tensors: Tensor
    ) -> tuple[Tensor, ...]:
        """Weights, both moments, count, rate, pivot, its picture by the untuned weights, neighbour, 1 if that is an
        edit of the pivot else 0, target -> next weights, moments, count; the error.

        A neighbour keeps its picture. Where it is an edit, what the edit changes is kept, on top of the tuned picture.
        """
        n = len(names)
        weights, first, second = (list(tensors[i * n : (i + 1) * n]) for i in range(3))
        count, rate, pivot, before, neighbour, edited, picture, weight, shift, *maps = tensors[3 * n :]
        target = _Target(picture, weight, shift, maps)
        with torch.enable_grad():
            weights = [w.detach().requires_grad_() for w in weights]
            own = dict(zip(names, weights, strict=True))
            image = functional_call(network, own, (pivot,))
            loss, error = self.likeness(image, target)
            if near:
                with torch.no_grad():
                    wanted = self.network(neighbour) + edited * (image - before)
                drawn = functional_call(network, own, (neighbour,))
                loss = loss + self.settings.locality * (drawn - wanted).square().mean()
            gradients = torch.autograd.grad(loss, weights)
        count = count + 1
        for i, gradient in enumerate(gradients):
            change, first[i], second[i] = adam(gradient, first[i], second[i], count)
            weights[i] = weights[i].detach() - rate * self.settings.tuning_rate * change
        return *weights, *first, *second, count, error.detach()


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


def _zero(like: Tensor) -> Tensor:
    return torch.zeros((), device=like.device)
