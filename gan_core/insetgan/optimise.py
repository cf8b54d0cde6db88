"""Joint optimisation of the latents of two or more generators (section 3.2); the networks' weights stay as they are.

`optimise` is an iterator that yields a report every few steps, with the best state so far (on a CPU after each step,
with the same state until a new one is drawn); closing it stops the work. A step is one function of tensors. On a GPU it
is recorded as a CUDA graph, and the host does not wait for the device between steps.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor

from gan_core.adam import adam
from gan_core.errors import BadValue, NoFaceFound
from gan_core.graphs import Captured
from gan_core.insetgan.compositing import Pasting, compose, narrowed
from gan_core.insetgan.latents import (
    Composite,
    GeneratorLatent,
    Inset,
    Report,
    Schedule,
    added_codes,
    fast_dtype,
    with_statistics,
)
from gan_core.insetgan.objective import (
    TERMS,
    Geometry,
    Weights,
    composition_terms,
    latent_regulariser,
    outside_of,
)
from gan_core.insetgan.placement import Placement, Size
from gan_core.insetgan.regions import Region, outline_of
from gan_core.perceptual import Perceptual

log = logging.getLogger(__name__)

BODY_MARGIN = 0.05  # around a region, share of its sides, within which the canvas may change
NO_FACE = (
    "No face was found in the body, so there is nowhere to put the inset. "
    "Please take another body or a smaller truncation."
)


@dataclass
class _State:
    """State of all generators: the variables (see `added_codes`), Adam's moments, and the best variables so far."""

    added: list[Tensor]  # (1, 1 + num_ws, w_dim) each
    first: list[Tensor]
    second: list[Tensor]
    best: list[Tensor]
    count: Tensor
    least: Tensor

    def flat(self) -> tuple[Tensor, ...]:
        return (*self.added, *self.first, *self.second, *self.best, self.count, self.least)

    @classmethod
    def unflat(cls, tensors: Sequence[Tensor]) -> _State:
        n = (len(tensors) - 2) // 4
        lists = [list(tensors[i * n : (i + 1) * n]) for i in range(4)]
        added, first, second, best = lists
        return cls(added, first, second, best, tensors[-2], tensors[-1])


@dataclass
class _Job:
    canvas: GeneratorLatent
    insets: Sequence[Inset]
    features: Perceptual
    weights: Weights
    schedule: Schedule
    pasting: Pasting
    dtype: torch.dtype | None
    silhouette: Callable[[Tensor], Tensor] | None = None
    sizes: list[Size] = field(default_factory=list)

    @property
    def latents(self) -> list[GeneratorLatent]:
        return [self.canvas, *self.insets]

    @property
    def regions(self) -> list[Region]:
        return [inset.region for inset in self.insets]

    # ------------------------------------------------------------ one step

    def codes(self, index: int, added: Tensor) -> Tensor:
        return self.latents[index].codes + added_codes(added)

    def draw(self, index: int, added: Tensor, dtype: torch.dtype | None = None, *, noise: str = "none") -> Tensor:
        """One generator's picture. The losses compare pictures without noise, which would differ between any two."""
        latent = self.latents[index]
        if latent.picture is not None and not latent.optimised:
            return latent.picture
        return latent.generator.synthesis(self.codes(index, added), noise=noise, dtype=dtype)

    def step(self, optimised: tuple[bool, ...], *tensors: Tensor) -> tuple[Tensor, ...]:
        """State, rate, pictures (used for generators that are not optimised), references, geometry, outside -> next
        state and terms."""
        n = len(self.latents)
        state, rate = _State.unflat(tensors[: 4 * n + 2]), tensors[4 * n + 2]
        rest = tensors[4 * n + 3 :]
        still, references, places, outside = rest[:n], rest[n : 2 * n], rest[2 * n : -1], rest[-1]
        geometry = [Geometry(*places[4 * i : 4 * i + 4]) for i in range(len(self.insets))]
        with torch.enable_grad():
            added = [a.detach().requires_grad_(m) for a, m in zip(state.added, optimised, strict=True)]
            pictures = [self.draw(i, added[i], self.dtype) if optimised[i] else still[i] for i in range(n)]
            terms = composition_terms(
                pictures, references, geometry, outside, self.regions, self.features, self.weights,
                inner=[inset.inner for inset in self.insets], optimised=optimised, silhouette=self.silhouette,
            )  # fmt: skip
            terms.append(self.regulariser(added))
            total = torch.stack(terms).sum()
            gradients = iter(torch.autograd.grad(total, [a for a in added if a.requires_grad]))
        total = total.detach()
        better = total < state.least
        best = [torch.where(better, a, b) for a, b in zip(state.added, state.best, strict=True)]
        after = _State(state.added[:], state.first[:], state.second[:], best, state.count + 1, state.least)
        after.least = torch.where(better, total, state.least)
        for i in (i for i in range(n) if optimised[i]):
            gradient, latent = next(gradients), self.latents[i]
            change, after.first[i], after.second[i] = adam(gradient, state.first[i], state.second[i], after.count)
            after.added[i] = state.added[i] - rate * latent.rate * latent.spread * change
        return *after.flat(), torch.stack([term.detach() for term in terms])

    def regulariser(self, added: Sequence[Tensor]) -> Tensor:
        total = added[0].new_zeros(())
        for latent, a in zip(self.latents, added, strict=True):
            if a.requires_grad:
                total = total + latent_regulariser(
                    a[:, 0], a[:, 1:], latent.codes, latent.mean, latent.spread, self.weights, latent.given
                )
        return total

    # ------------------------------------------------------------ places

    def find(self, pictures: Sequence[Tensor], before: Sequence[Placement] | None) -> tuple[list[Placement], bool]:
        """Placements of the insets, and whether all were found; one that was not found keeps its previous placement.

        Raises NoFaceFound if it has none.
        """
        found, complete = [], True
        for i, inset in enumerate(self.insets):
            place = inset.finder(pictures[0], pictures[i + 1], inset.region)
            if place is None:
                complete = False
                if before is None:
                    raise NoFaceFound(NO_FACE)
                place = before[i]
            found.append(place)
        return found, complete

    def geometry(self, places: Sequence[Placement], pictures: Sequence[Tensor]) -> tuple[list[Geometry], Tensor]:
        canvas, device = _size(pictures[0]), pictures[0].device
        result = []
        for inset, place, size, picture in zip(self.insets, places, self.sizes, pictures[1:], strict=True):
            outline = outline_of(inset.region, size, narrowed(self.schedule.frame, size), picture, self.pasting.head)
            maps = place.to_canvas(canvas).to(device), place.from_canvas(canvas).to(device)
            result.append(Geometry(*maps, outline.inside, outline.frame))
        outside = outside_of(canvas, [place.from_canvas for place in result], device, BODY_MARGIN)
        return result, outside

    def compose(self, added: Sequence[Tensor], places: Sequence[Placement]) -> Composite:
        """Draw everything and paste."""
        pictures = [self.draw(i, a, noise="const") for i, a in enumerate(added)]
        codes = [self.codes(i, a).cpu() for i, a in enumerate(added)]
        return compose(pictures, self.regions, places, codes, self.pasting)


@torch.no_grad()
def optimise(
    canvas: GeneratorLatent,
    insets: Sequence[Inset],
    features: Perceptual,
    *,
    weights: Weights | None = None,
    schedule: Schedule | None = None,
    head: Callable[[Tensor], Tensor] | None = None,
    silhouette: Callable[[Tensor], Tensor] | None = None,
    tone: bool = False,
    enlarged: int = 1,
    dtype: torch.dtype | None = None,
) -> Iterator[Report]:
    """Optimise the latents jointly; the first report is the plain paste, the last one the result.

    Args:
        canvas: the generator that draws the whole picture; `insets` are put into it in their order.
        features: for the perceptual distances.
        head: gives (1, C, h, w) in [0, 1] of an inset's picture, channel 0 the head; needed for outlines.
        silhouette: the same, differentiable; keeps the canvas's head behind an inset that is cut out.
        tone, enlarged: how the results are pasted, see `Pasting`.
        dtype: of the convolutions while optimising; None for the device's default. Results are drawn in float32.

    Raises:
        BadValue: none of the latents is to be optimised.
        NoFaceFound: no place for an inset was found on the canvas at the start. Later on an inset keeps its placement
            instead, and the report's notes say so.
    """
    weights, schedule = weights or Weights(), schedule or Schedule()
    if not any(latent.optimised for latent in (canvas, *insets)):
        raise BadValue("At least one of the generators must be optimised.")
    device = canvas.codes.device
    dtype = dtype or fast_dtype(device)
    latents = [with_statistics(canvas), *(with_statistics(inset) for inset in insets)]
    pasting = Pasting(schedule.frame, schedule.feather, tone, enlarged, head)
    job = _Job(latents[0], latents[1:], features, weights, schedule, pasting, dtype, silhouette)
    yield from _run(job, device)


def _run(job: _Job, device: torch.device) -> Iterator[Report]:
    schedule, n = job.schedule, len(job.latents)
    nothing = [torch.zeros_like(torch.cat([p.codes[:, :1], p.codes], 1)) for p in job.latents]
    references = [job.draw(i, a) for i, a in enumerate(nothing)]
    places, _ = job.find(references, None)
    job.sizes = [_working(place) for place in places]
    pasted = job.compose(nothing, places)
    best = pasted
    yield Report(0, schedule.steps, torch.zeros(0, len(TERMS)), best, pasted)
    state = _State(
        nothing, [a.clone() for a in nothing], [a.clone() for a in nothing], nothing,
        torch.zeros((), device=device), torch.full((), torch.inf, device=device),
    )  # fmt: skip
    geometry, outside = job.geometry(places, references)
    still, previous = references, None
    rates = torch.cos(torch.linspace(0, 0.45 * torch.pi, schedule.steps)).to(device)  # slower towards the end
    recorded: dict[tuple[bool, ...], Captured] = {}
    losses: list[Tensor] = []
    notes: list[str] = []
    for step in range(schedule.steps):
        if step and step % schedule.detect == 0 and step <= schedule.detect_until * schedule.steps:
            still = [job.draw(i, a) for i, a in enumerate(state.added)]
            places, complete = job.find(still, places)
            if not complete:
                notes.append(f"At step {step} no face was found in the body; the inset keeps its place.")
            geometry, outside = job.geometry(places, still)
            state.best, state.least = state.added, torch.full((), torch.inf, device=device)
        optimised = _optimised_at(job, step)
        if optimised != previous:
            still = [job.draw(i, a) for i, a in enumerate(state.added)]
            previous = optimised
        if optimised not in recorded:
            recorded[optimised] = Captured(partial(job.step, optimised))
        flat = [tensor for place in geometry for tensor in place.tensors()]
        *after, terms = recorded[optimised](*state.flat(), rates[step], *still, *references, *flat, outside)
        state = _State.unflat(after)
        losses.append(terms)
        if (step + 1) % schedule.preview == 0 or step + 1 == schedule.steps:
            best = job.compose(state.best, places)
            yield Report(step + 1, schedule.steps, torch.stack(losses).cpu(), best, pasted, tuple(notes))
        elif device.type == "cpu":  # a step takes seconds there: it can be stopped, and others compute, after each
            yield Report(step + 1, schedule.steps, torch.stack(losses), best, pasted, tuple(notes))
    log.debug("%d generators optimised jointly in %d steps", n, schedule.steps)


def _optimised_at(job: _Job, step: int) -> tuple[bool, ...]:
    """Which latents are optimised at a step: all that may be, or the canvas's and the insets' in turns."""
    may = tuple(latent.optimised for latent in job.latents)
    if not job.schedule.alternate or not may[0] or not any(may[1:]):
        return may
    if step // job.schedule.alternate % 2 == 0:
        return (True, *(False for _ in job.insets))
    return (False, *may[1:])


def _working(place: Placement) -> Size:
    """The size at which region and inset are compared: the region's own, rounded so that the features can halve it."""
    height, width = place.size
    shrink = max(1.0, max(height, width) / 512)
    height, width = (max(32, round(side / shrink / 16) * 16) for side in (height, width))
    return height, width


def _size(picture: Tensor) -> Size:
    return picture.shape[-2], picture.shape[-1]
