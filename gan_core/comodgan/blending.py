"""Blending of a completed square into its picture, without a seam and without changing a known pixel.

First the joint: the network also draws the known part, with small errors; the error at the rim is continued into the
hole and fades out with the distance. Then the hole's tone is matched: its colours just inside the rim should be similar
to the picture's just outside. Where they still differ by a small step (a large one is taken for the edge of an object),
the hole is shifted by it. Both corrections are interpolated by a pyramid of averages, in which each level fills the
unknown pixels of the finer one (push-pull, Gortler et al. 1996, section 3.3). Only the hole is changed.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_core.blur import gaussian_blur

_REACH = 8  # the offset fades out over about this share (1 / _REACH) of the square's side
_RIM = 2 / 256  # standard deviation of the blur that averages just inside and outside the rim, share of the side
_EDGE = 0.2  # largest step, of 2, that is taken for one of tone
_COARSEST = 8  # pixels a side of the pyramid's last level


def resample(x: Tensor, side: int) -> Tensor:
    """(N, C, S, S) to (N, C, side, side), bicubic, with an antialiasing filter where it shrinks."""
    if x.shape[-1] == side:
        return x
    return F.interpolate(x, (side, side), mode="bicubic", antialias=True, align_corners=False)


def shrink_known(image: Tensor, known: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Resize a square with a hole so that no pixel mixes known and unknown ones.

    Args:
        image: (1, 3, S, S) in [-1, 1]; known: (1, 1, S, S), 1 known and 0 hole.

    Returns:
        (1, 3, side, side) and (1, 1, side, side); a pixel that is known in part counts as hole.
    """
    if image.shape[-1] == side:
        return image, known
    both = torch.cat([image * known, known], 1)
    both = F.interpolate(both, (side, side), mode="bilinear", antialias=True, align_corners=False)
    share = both[:, 3:]
    return both[:, :3] / share.clamp_min(1e-3), (share > 0.9995).to(known)


def spread(values: Tensor, known: Tensor, levels: int) -> Tensor:
    """Interpolate values (N, C, S, S), known where `known` (1, 1, S, S) is 1, into the rest, fading to 0."""
    side = values.shape[-1]
    pad = -side % (1 << levels)
    values, known = (F.pad(x, (0, pad, 0, pad)) for x in (values * known, known))
    pyramid = [(values, known)]
    for _ in range(levels):
        pyramid.append(tuple(F.avg_pool2d(x, 2) for x in pyramid[-1]))
    filled = pyramid[-1][0]
    for values, known in reversed(pyramid[:-1]):
        filled = F.interpolate(filled, scale_factor=2, mode="bilinear", align_corners=False)
        filled = values + (1 - known) * filled
    return filled[..., :side, :side]


def match_tone(raw: Tensor, image: Tensor, known: Tensor) -> Tensor:
    """Raw pictures (N, 3, R, R) whose tone inside the hole continues that of `image` (1, 3, R, R) outside."""
    hole, sigma = 1 - known, _RIM * raw.shape[-1]
    near_known, near_hole = gaussian_blur(known, sigma), gaussian_blur(hole, sigma)
    outside = gaussian_blur(image * known, sigma) / near_known.clamp_min(1e-4)
    inside = gaussian_blur(raw * hole, sigma) / near_hole.clamp_min(1e-4)
    step = outside - inside
    trust = torch.exp(-(step.abs().amax(1, keepdim=True) / _EDGE).square()) * 4 * near_known * near_hole
    trust = trust * (near_known > 0.02) * (near_hole > 0.02)  # at the rim
    pyramid = [(step * trust, trust)]
    while pyramid[-1][1].shape[-1] > _COARSEST and pyramid[-1][1].shape[-1] % 2 == 0:
        pyramid.append(tuple(F.avg_pool2d(x, 2) for x in pyramid[-1]))
    shift = pyramid[-1][0] / (pyramid[-1][1] + 1e-4)
    for weighted, trust in reversed(pyramid[:-1]):
        shift = F.interpolate(shift, scale_factor=2, mode="bilinear", align_corners=False)
        shift = torch.lerp(shift, weighted / (trust + 1e-4), (4 * trust).clamp(max=1))
    return raw + hole * gaussian_blur(shift, 1.5 * sigma)


def blend(raw: Tensor, image: Tensor, known: Tensor) -> Tensor:
    """Completed squares (N, 3, S, S) in [-1, 1] of raw ones at the model's size (N, 3, R, R).

    `image` (1, 3, S, S) is unchanged where `known` (1, 1, S, S) is 1.
    """
    side = image.shape[-1]
    small, small_known = shrink_known(image, known, raw.shape[-1])
    joined = raw + (1 - small_known) * _continued(small - raw, small_known)
    # The known part comes from the picture now: what the joint has mended is not mended again at full size.
    matched = torch.where(small_known == 1, small, match_tone(joined, small, small_known))
    large = resample(matched, side)
    return torch.where(known == 1, image, (large + _continued(image - large, known)).clamp(-1, 1))


def _continued(error: Tensor, known: Tensor) -> Tensor:
    """Errors (N, C, S, S) of the known part, continued into the hole."""
    return spread(error, known, max((error.shape[-1] // _REACH).bit_length(), 1))
