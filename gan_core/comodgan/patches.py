"""Search of similar patches inside one picture, vectorised over all patches of a grid.

A `PatchGrid` has a node at every second pixel, each the top left corner of a square patch. `nearest` compares every
wanted node's patch with all patches that may be copied from (for small pictures); `improve` starts from a field of
offsets and tries the neighbours' offsets and random ones (PatchMatch, Barnes et al. 2009, in its parallel form, where
all nodes take a step at once).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

SIDE = 6  # of a patch, pixels
STEP = 2  # between nodes
_TOGETHER = 2**24  # distances, or pixels of patches, computed at once
_MOST_SOURCES = 2**14  # patches that every node is compared with
COHERENCE = 0.8  # factor on the distance of a neighbour's offset: what lies together is copied together


@dataclass
class PatchGrid:
    """A picture's patches: which are wanted, and which they may be copied from.

    The picture has even sides of at least `SIDE` pixels.
    """

    pixels: Tensor  # (H * W, C)
    size: tuple[int, int]
    nodes: Tensor  # int64 (K, 2), row and column of the wanted nodes, in nodes
    rank: Tensor  # int64 (rows, columns), index into `nodes`, -1 where none is wanted
    source: Tensor  # bool (H - SIDE + 1, W - SIDE + 1), corners of the patches to copy from
    price: Tensor  # of the same shape, added to the mean squared difference of whatever is copied from there

    @staticmethod
    def of(picture: Tensor, known: Tensor, wanted: Tensor, price: Tensor | None = None) -> PatchGrid:
        """The grid of a picture (1, C, H, W); `known` and `wanted` (1, 1, H, W) are 1 where pixels may be copied from,
        and where patches are wanted. price: of copying each pixel, (1, 1, H, W); a patch has the mean of its pixels'.
        """
        height, width = picture.shape[2:]
        near = F.max_pool2d(1 - known, 3, 1, 1)  # a pixel beside the hole was interpolated with it
        source = F.max_pool2d(near, SIDE, 1)[0, 0] == 0
        active = F.max_pool2d(wanted, SIDE, STEP)[0, 0] > 0
        nodes = active.nonzero()
        rank = torch.full(active.shape, -1, device=active.device)
        rank[active] = torch.arange(len(nodes), device=active.device)
        pixels = picture[0].flatten(1).t().contiguous()
        prices = torch.zeros_like(known) if price is None else price
        return PatchGrid(pixels, (height, width), nodes, rank, source, F.avg_pool2d(prices, SIDE, 1)[0, 0])

    @property
    def corners(self) -> Tensor:
        """Corners of the wanted patches in pixels, int64 (K, 2)."""
        return self.nodes * STEP

    def patches(self, corners: Tensor) -> Tensor:
        """Pixels (K, SIDE * SIDE * C) of patches whose corners (K, 2) are inside."""
        across = torch.arange(SIDE, device=corners.device)
        inside = (across[:, None] * self.size[1] + across).flatten()
        first = corners[:, 0] * self.size[1] + corners[:, 1]
        return self.pixels[(first[:, None] + inside).flatten()].view(len(corners), -1)

    def contrast(self, corners: Tensor) -> Tensor:
        """Standard deviation (K,) of the lightness of patches, corners (K, 2)."""
        light = self.pixels.mean(1).view(1, 1, *self.size)
        mean, square = (F.avg_pool2d(x, SIDE, 1)[0, 0] for x in (light, light.square()))
        deviation = (square - mean.square()).clamp_min_(0).sqrt_()
        return deviation[corners[:, 0], corners[:, 1]]

    def may_copy(self, corners: Tensor) -> Tensor:
        """Whether corners (K, 2), which may be outside, are of patches to copy from: bool (K,)."""
        inside = (corners >= 0).all(1) & (corners[:, 0] < self.source.shape[0]) & (corners[:, 1] < self.source.shape[1])
        held = self._held(corners)
        return inside & self.source[held[:, 0], held[:, 1]]

    def _held(self, corners: Tensor) -> Tensor:
        limits = torch.tensor(self.source.shape, device=corners.device) - 1
        return torch.minimum(corners.clamp_min(0), limits)

    def distances(self, wanted: Tensor, found: Tensor) -> Tensor:
        """Mean squared differences (K,) of patches (K, D) and those at corners (K, 2), with the prices of these;
        infinite where not allowed."""
        allowed, held = self.may_copy(found), self._held(found)
        rows = max(_TOGETHER // wanted.shape[1], 1)
        parts = [
            (a - self.patches(b)).square_().mean(1) for a, b in zip(wanted.split(rows), held.split(rows), strict=True)
        ]
        return torch.where(allowed, torch.cat(parts) + self.price[held[:, 0], held[:, 1]], torch.inf)


def nearest(grid: PatchGrid) -> Tensor:
    """Offsets (K, 2), in pixels, from each wanted patch to the most similar one of evenly chosen sources.

    There must be sources and wanted patches.
    """
    sources = grid.source.nonzero()
    if len(sources) > _MOST_SOURCES:
        sources = sources[:: -(-len(sources) // _MOST_SOURCES)]
    theirs, wanted = grid.patches(sources), grid.patches(grid.corners)
    length = theirs.square().sum(1) + grid.price[sources[:, 0], sources[:, 1]] * theirs.shape[1]
    best = [
        (length - 2 * part @ theirs.t()).argmin(1) for part in wanted.split(max(_TOGETHER // len(sources), 1))
    ]  # the squared difference but for the wanted patch's own length
    return sources[torch.cat(best)] - grid.corners


def improve(
    grid: PatchGrid, offsets: Tensor, *, rounds: int = 2, reach: int = 1, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Better offsets (K, 2) than those given, and the least mean squared differences (K,) that were found.

    Every round tries the offsets of four neighbours, near in even rounds and farther in odd ones, and one random
    offset within `reach` pixels. A node whose offset is not allowed starts from a random source.

    generator: on the CPU; None for a fixed one.
    """
    draw = torch.Generator().manual_seed(0) if generator is None else generator
    corners, device = grid.corners, offsets.device
    wanted = grid.patches(corners)
    sources = grid.source.nonzero()
    lost = ~grid.may_copy(corners + offsets)
    anywhere = torch.randint(len(sources), (len(corners),), generator=draw).to(device)
    offsets = torch.where(lost[:, None], sources[anywhere] - corners, offsets)
    cost = grid.distances(wanted, corners + offsets)
    limits = torch.tensor(grid.rank.shape, device=device) - 1
    for turn in range(rounds):
        far = 1 if turn % 2 == 0 else 3
        for step in ((0, far), (0, -far), (far, 0), (-far, 0)):
            at = grid.nodes + torch.tensor(step, device=device)
            rank = grid.rank[tuple(torch.minimum(at.clamp_min(0), limits).unbind(1))]
            tried = torch.where((rank >= 0)[:, None], offsets[rank.clamp_min(0)], offsets)
            offsets, cost = _better(grid, wanted, offsets, cost, tried, COHERENCE)
        random = torch.randint(-reach, reach + 1, (len(corners), 2), generator=draw).to(device)
        offsets, cost = _better(grid, wanted, offsets, cost, offsets + random, 1.0)
    return offsets, cost


def _better(
    grid: PatchGrid, wanted: Tensor, offsets: Tensor, cost: Tensor, tried: Tensor, factor: float
) -> tuple[Tensor, Tensor]:
    """The better of two offsets of each patch, the tried one's distance times `factor`."""
    other = (tried != offsets).any(1).nonzero()[:, 0]
    if not len(other):
        return offsets, cost
    found = grid.distances(wanted[other], (grid.corners + tried)[other])
    won = other[found * factor < cost[other]]
    offsets, cost = offsets.clone(), cost.clone()
    offsets[won] = tried[won]
    cost[other] = torch.minimum(found, cost[other])  # the least so far, so that no chain of neighbours drifts away
    return offsets, cost


def field_of(grid: PatchGrid, offsets: Tensor) -> Tensor:
    """Offsets (K, 2) as a field (2, rows, columns), 0 where no patch is wanted; see `at_nodes`."""
    field = torch.zeros(2, *grid.rank.shape, dtype=offsets.dtype, device=offsets.device)
    field[:, grid.nodes[:, 0], grid.nodes[:, 1]] = offsets.t()
    return field


def at_nodes(field: Tensor, grid: PatchGrid) -> Tensor:
    """Offsets (K, 2), in pixels of the grid's picture, at its nodes, of a field (2, rows, columns) that was found in a
    picture of the same size, or of half of it."""
    twice = 2 if grid.rank.shape[0] > 1.5 * field.shape[1] else 1
    rows, columns = ((grid.nodes[:, i] // twice).clamp(max=field.shape[1 + i] - 1) for i in (0, 1))
    return field[:, rows, columns].t() * twice


def voted(grid: PatchGrid, offsets: Tensor, cost: Tensor, focus: float = 0.0) -> Tensor:
    """The picture (1, C, H, W) of which each pixel is the weighted mean of the patches over it; 0 where there is none.

    offsets: (K, 2), cost: (K,), as `improve` gives them. Patches much less alike than the typical one hardly count.
    focus: how much more a patch says of its middle than of its border; 0 for the same, which is smooth, while from 1 on
    mostly one patch counts for each pixel, which is as sharp as the picture.
    """
    height, width = grid.size
    weights = torch.exp(-cost / (2 * cost.quantile(0.75).clamp_min(1e-4)))[:, None]
    across = torch.arange(SIDE, device=cost.device)
    from_centre = (across - (SIDE - 1) / 2).square()
    weights = weights * torch.exp(-focus * (from_centre[:, None] + from_centre)).flatten()
    inside = (across[:, None] * width + across).flatten()
    target = ((grid.corners[:, 0] * width + grid.corners[:, 1])[:, None] + inside).flatten()
    colours = grid.patches(grid.corners + offsets).view(len(target), -1)
    total = torch.zeros(height * width, colours.shape[1] + 1, device=cost.device)
    flat = weights.flatten()[:, None]
    total.index_add_(0, target, torch.cat([colours * flat, flat], 1))
    return (total[:, :-1] / total[:, -1:].clamp_min(1e-8)).t().view(1, -1, height, width)
