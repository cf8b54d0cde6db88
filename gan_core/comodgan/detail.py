"""The detail of a large photograph in a hole that was filled at the network's resolution.

Coarse to fine, each level about twice as large as the one before. The completed picture is enlarged; the fine detail
that this lacks, the difference of the photograph and its own enlarged coarse version, is copied from places around the
hole that look alike at the coarse level (after Freedman and Fattal 2011, who enlarge pictures by their own patches). So
edges, texture and grain in the hole are the photograph's own, while shapes and colours are the network's. Each level's
coarse part is continuous across the rim, so there is no seam; known pixels are the photograph's at every level.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_core.comodgan.blending import resample, shrink_known
from gan_core.comodgan.framing import Box
from gan_core.comodgan.patches import SIDE, STEP, PatchGrid, improve, nearest

_LARGER = 1.32  # enlargement from which on detail is restored, and at most twice as much in the first step
_FEWEST_SOURCES = 64  # patches; with fewer the result is only enlarged
_SHARP = 3.0  # power of the weights by which the detail of neighbouring patches is mixed
_CALM = 0.5  # price of a patch, share of its detail's variance: of equally similar ones the calmer is taken
_EVEN = 0.04  # contrast below which patches count as even
_ROUNDS, _LATER_ROUNDS = 4, 2  # of the search, at the first level and at others
_MANY = 40_000  # patches from which on one round has to do, for the sake of time
_AT_ONCE = 2**20  # pixels of the hole computed at once


def steps_to(side: int, resolution: int) -> int:
    """Number of levels by which a square of `side` pixels is finer than the network's; 0 if it is hardly larger."""
    return max(math.ceil(math.log2(side / resolution / _LARGER) - 1e-9), 0)


def restore_detail(start: Tensor, image: Tensor, known: Tensor, inside: Box | None = None) -> Tensor:
    """A completed square at the photograph's resolution.

    Args:
        start: (1, 3, R, R) in [-1, 1], completed at the network's resolution R.
        image: (1, 3, S, S) in [-1, 1], the photograph; known: (1, 1, S, S), 1 known, 0 hole or outside of it.
        inside: the part of the square that is in the photograph, in pixels; elsewhere the result is only enlarged.

    Returns:
        (1, 3, S, S) in [-1, 1], where it is known `image` to the last bit.
    """
    side, steps = image.shape[-1], steps_to(image.shape[-1], start.shape[-1])
    if not steps:
        large = resample(start, side).clamp(-1, 1)
        return torch.where(known == 1, image, large)
    pad = -side % (1 << steps)  # so that each level has twice the pixels of the one before, and an even number
    padded = F.pad(image, (0, pad, 0, pad)), F.pad(known, (0, pad, 0, pad))
    levels = [padded]
    for _ in range(steps - 1):
        levels.append(_halved(*levels[-1]))
    done, known_there = start, shrink_known(*levels[-1], start.shape[-1])[1]
    offsets: Tensor | None = None
    while levels:
        fine, fine_known = levels.pop()
        level = _Level(done, known_there, hole_within(known_there, inside, side + pad))
        done, offsets = _finer(level, fine, fine_known, hole_within(fine_known, inside, side + pad), offsets)
        known_there = fine_known
    return done[..., :side, :side]


def _halved(image: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """Half the size; a pixel that is known in part counts as hole (compare `shrink_known`)."""
    share = F.avg_pool2d(known, 2)
    small = F.avg_pool2d(image * known, 2).div_(share.clamp_min(1e-3))
    return small, (share == 1).to(known)


@dataclass(frozen=True)
class _Level:
    """A completed picture (1, 3, s, s), where it is the photograph's, and its hole inside the photograph."""

    done: Tensor
    known: Tensor
    hole: Tensor


def hole_within(known: Tensor, inside: Box | None, side: int) -> Tensor:
    """The hole (1, 1, s, s), 1 in it, of a square of `side` pixels that is seen at s; without what is outside the
    photograph. inside: see `restore_detail`."""
    hole = 1 - known
    if inside is None:
        return hole
    scale = known.shape[-1] / side
    left, top = (math.floor(x * scale) for x in inside[:2])
    right, bottom = (math.ceil(x * scale) for x in inside[2:])
    within = torch.zeros_like(hole)
    within[..., top:bottom, left:right] = hole[..., top:bottom, left:right]
    return within


def _finer(
    level: _Level, fine: Tensor, fine_known: Tensor, fine_hole: Tensor, offsets: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """The next level (1, 3, S, S) of a completed picture, and the field of offsets for the one after it.

    offsets: of the level before, (2, rows, columns) in pixels of `level`; None to search all of it.
    """
    coarse = level.done
    side, ratio = fine.shape[-1], fine.shape[-1] / coarse.shape[-1]
    result = resample(coarse, side)
    detail = fine - result
    price = None
    if offsets is None:  # later levels mostly keep what was found at the first
        price = F.interpolate(detail.square().mean(1, keepdim=True), coarse.shape[2:], mode="area") * _CALM
    grid = PatchGrid.of(coarse, level.known, level.hole, price)
    enough = int(grid.source.sum()) >= _FEWEST_SOURCES and len(grid.nodes) > 0
    field: Tensor | None = None
    if enough:
        found = nearest(grid) if offsets is None else _at_nodes(offsets, grid)
        rounds = _ROUNDS if offsets is None else _LATER_ROUNDS if len(grid.nodes) < _MANY else 1
        found, _ = improve(grid, found, rounds=rounds, reach=2)
        # Detail of something of far more contrast, for want of anything better, is taken back.
        ours, theirs = grid.contrast(torch.cat([grid.corners, grid.corners + found])).chunk(2)
        gain = 1.5 * (ours + _EVEN) / (theirs + _EVEN)
        field = torch.zeros(3, *grid.rank.shape, device=fine.device)
        field[:, grid.nodes[:, 0], grid.nodes[:, 1]] = torch.cat([found.t().float(), gain.clamp(max=1)[None]])
        _add_detail(result, detail, fine_known, fine_hole, field, ratio)
    result = torch.where(fine_known == 1, fine, result.clamp_(-1, 1))
    if field is None:
        return result, None
    nodes = torch.arange((side - SIDE) // STEP + 1, device=fine.device)
    parent = (nodes / ratio).long().clamp(max=grid.rank.shape[0] - 1)  # at the same place in the coarse picture
    return result, (field[:2, parent][:, :, parent] * ratio).round()


def _at_nodes(offsets: Tensor, grid: PatchGrid) -> Tensor:
    return offsets[:, grid.nodes[:, 0], grid.nodes[:, 1]].t().long()


def _add_detail(
    result: Tensor, detail: Tensor, fine_known: Tensor, fine_hole: Tensor, field: Tensor, ratio: float
) -> None:
    """Add to the hole's pixels of `result`, the enlarged coarse picture, the detail at the offsets of the four nodes
    around each, mixed so that mostly one of them counts: an average would lose grain.

    field: (3, rows, columns), offsets in pixels of the coarse picture, and the factor of the detail."""
    side = detail.shape[-1]
    detail = detail[0].flatten(1)
    known = fine_known.flatten() == 1
    rows, columns = field.shape[1:]
    target, hole = result[0].view(3, -1), fine_hole.flatten().nonzero()[:, 0]
    shift, gain = (field[:2] * ratio).round().long().flatten(1), field[2].flatten()
    for part in hole.split(_AT_ONCE):
        y, x = part // side, part % side
        row = (((y + 0.5) / ratio - SIDE / 2) / STEP).clamp(0, rows - 1)
        column = (((x + 0.5) / ratio - SIDE / 2) / STEP).clamp(0, columns - 1)
        top, left = row.floor().long().clamp(max=max(rows - 2, 0)), column.floor().long().clamp(max=max(columns - 2, 0))
        total, weights = torch.zeros(3, len(part), device=part.device), torch.zeros(len(part), device=part.device)
        for i in range(min(2, rows)):
            for j in range(min(2, columns)):
                weight = ((1 - (row - top - i).abs()) * (1 - (column - left - j).abs())).clamp_min(0) ** _SHARP
                node = (top + i) * columns + left + j
                from_y = (y + shift[0, node]).clamp(0, side - 1)
                source = from_y * side + (x + shift[1, node]).clamp(0, side - 1)
                weight = weight * known[source]
                total += detail[:, source] * (weight * gain[node])
                weights += weight
        target[:, part] += total / weights.clamp_min(1e-6)
