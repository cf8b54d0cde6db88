"""Optical flow between two pictures of a face, and morphing from one to the other.

An edited, turned face must join hair and ears that are kept. Cross-fading the two pictures would show both outlines.
Morphing moves the parts instead: in between they are drawn at positions between the two.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

_LEVELS = (32, 64, 128)  # sides at which the motion is estimated, coarse to fine
_ITERATIONS = 3  # at each
_WINDOW = 9  # pixels of the window in which the motion is taken as constant
_STIFF = 0.003  # regularisation: keeps the motion small where the pictures have no texture


def _blur(x: Tensor, size: int = _WINDOW) -> Tensor:
    return F.avg_pool2d(x, size, 1, size // 2, count_include_pad=False)


def _grid(side: int, like: Tensor) -> Tensor:
    """Pixel centres (1, side, side, 2), x before y, in grid_sample's units: half the side is 1."""
    at = (torch.arange(side, device=like.device, dtype=like.dtype) + 0.5) * (2 / side) - 1
    y, x = torch.meshgrid(at, at, indexing="ij")
    return torch.stack([x, y], 2)[None]


def shifted(picture: Tensor, motion: Tensor) -> Tensor:
    """Each pixel of (N, C, H, H) taken from where `motion` (N, 2, H, H) points to; half the side is 1."""
    grid = _grid(picture.shape[-1], picture) + motion.permute(0, 2, 3, 1)
    return F.grid_sample(picture, grid, mode="bilinear", padding_mode="border", align_corners=False)


def find_motion(first: Tensor, second: Tensor) -> Tensor:
    """The motion (N, 2, S, S), half the side being 1, with second(x + motion) like first(x); S is the finest level.

    first, second: (N, C, R, R), any channels. Iterative least squares in windows, from coarse to fine (Lucas & Kanade
    1981; Bouguet 2000).
    """
    motion = first.new_zeros(len(first), 2, _LEVELS[0], _LEVELS[0])
    for side in _LEVELS:
        a, b = (F.interpolate(x, (side, side), mode="area") for x in (first, second))
        motion = F.interpolate(motion, (side, side), mode="bilinear", align_corners=False)
        for _ in range(_ITERATIONS):
            moved = shifted(b, motion)
            both = F.pad((a + moved) / 2, (1, 1, 1, 1), mode="replicate")
            dx = (both[:, :, 1:-1, 2:] - both[:, :, 1:-1, :-2]) / 2
            dy = (both[:, :, 2:, 1:-1] - both[:, :, :-2, 1:-1]) / 2
            error = a - moved
            sums = _blur(torch.stack([(p * q).sum(1) for p, q in ((dx, dx), (dx, dy), (dy, dy))], 1))
            pulls = _blur(torch.stack([(d * error).sum(1) for d in (dx, dy)], 1))
            xx, xy, yy = (s + k * _STIFF for s, k in zip(sums.unbind(1), (1, 0, 1), strict=True))
            det = xx * yy - xy * xy
            step = torch.stack([yy * pulls[:, 0] - xy * pulls[:, 1], xx * pulls[:, 1] - xy * pulls[:, 0]], 1)
            step = (step / det[:, None]).clamp(-2, 2) * (2 / side)
            motion = _blur(motion + step, 5)
    return motion


def resized_motion(motion: Tensor, side: int) -> Tensor:
    """A motion for pictures of another size."""
    return F.interpolate(motion, (side, side), mode="bilinear", align_corners=False)


def morph(first: Tensor, second: Tensor, time: Tensor, hints: tuple[Tensor, Tensor] | None = None) -> Tensor:
    """Morph: `first` where `time` (N, 1, R, R) is 0, `second` where it is 1, parts at intermediate positions between.

    first, second: (N, 3, R, R). hints: further channels (N, K, R, R) of both that the motion is estimated from as well,
    such as outlines.
    """
    known = (
        (first, second) if hints is None else tuple(torch.cat(p, 1) for p in zip((first, second), hints, strict=True))
    )
    motion = resized_motion(find_motion(*known), first.shape[-1])
    before, after = shifted(first, -time * motion), shifted(second, (1 - time) * motion)
    between = before + time * (after - before)
    between = torch.where(time <= 0, first, between)  # bit for bit, whatever grid_sample rounds
    return torch.where(time >= 1, second, between)
