"""Holes that lie apart are filled one by one, each with its own surroundings at the best resolution.

Near ones are filled together: of two of one size those that are less than a quarter of it apart, and specks that fit
into one square of the network's resolution. The number of holes is bounded, so that hundreds of specks take no longer
than a few large holes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from gan_core.comodgan.framing import Box

MOST_HOLES = 8
_MOST_PARTS = 400  # parts are first joined on a coarser grid until there are no more
_WORTH = 2.5  # two holes are filled together if that takes at most this many times the pixels of both squares


@dataclass(frozen=True)
class Hole:
    """One hole to fill: its bounding box in the picture, and its pixels, bool, (H, W) of the box."""

    box: Box
    mask: NDArray[np.bool_]


def separate_holes(mask: NDArray[np.bool_], resolution: int) -> list[Hole]:
    """The holes of a mask (H, W), bool; together they have its pixels, each once. At most `MOST_HOLES`.

    resolution: of the network, the least side of the square that a hole is shown in.
    """
    labels, boxes = connected_parts(mask)
    groups = [[i] for i in range(len(boxes))]
    extents = np.array(boxes, np.int64).reshape(-1, 4)
    while len(groups) > 1:
        cost = _joint_cost(extents, resolution)
        a, b = np.unravel_index(cost.argmin(), cost.shape)
        if cost[a, b] > _WORTH and len(groups) <= MOST_HOLES:
            break
        groups[a] += groups[b]
        extents[a] = _union(extents[a], extents[b])
        del groups[b]
        extents = np.delete(extents, b, 0)
    member = np.zeros(len(boxes) + 1, np.int64)
    for number, group in enumerate(groups):
        member[np.array(group) + 1] = number + 1
    holes = []
    for number, extent in enumerate(extents):
        left, top, right, bottom = (int(x) for x in extent)
        inside = np.s_[top:bottom, left:right]
        holes.append(Hole((left, top, right, bottom), mask[inside] & (member[labels[inside]] == number + 1)))
    return holes


def connected_parts(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int32], list[Box]]:
    """Labels (H, W), from 1 on, of connected parts of a mask (H, W), bool, or of parts that a coarse grid connects, at
    most `_MOST_PARTS`; and their boxes. The labels count where the mask is True only."""
    step = 1
    while True:
        coarse = mask
        if step > 1:
            rows, columns = (-(-n // step) * step for n in mask.shape)
            padded = np.zeros((rows, columns), bool)
            padded[: mask.shape[0], : mask.shape[1]] = mask
            blocks = padded.reshape(rows // step, step, columns // step, step)
            coarse = np.asarray(blocks.any((1, 3)))
        labels, count = ndimage.label(coarse, np.ones((3, 3)))
        if count <= _MOST_PARTS:
            break
        step *= 4
    if step > 1:
        labels = labels.repeat(step, 0).repeat(step, 1)[: mask.shape[0], : mask.shape[1]]
    found = ndimage.find_objects(np.where(mask, labels, 0))
    return labels, [(c.start, r.start, c.stop, r.stop) for r, c in found]


def _joint_cost(extents: NDArray[np.int64], resolution: int) -> NDArray[np.float64]:
    """Pixels of the square of two holes together over those of their own squares, (N, N); infinite on and below the
    diagonal."""
    both = np.concatenate(
        [
            np.minimum(extents[:, None, :2], extents[None, :, :2]),
            np.maximum(extents[:, None, 2:], extents[None, :, 2:]),
        ],
        2,
    )
    own = _square(extents, resolution)
    cost = _square(both, resolution) / (own[:, None] + own[None])
    cost[np.tril_indices(len(extents))] = np.inf
    return cost


def _square(extents: NDArray[np.int64], resolution: int) -> NDArray[np.float64]:
    longest = np.maximum(extents[..., 2] - extents[..., 0], extents[..., 3] - extents[..., 1])
    return np.maximum(2 * longest, resolution).astype(np.float64) ** 2


def _union(a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([np.minimum(a[:2], b[:2]), np.maximum(a[2:], b[2:])])
