"""Putting a completed square back into its picture, without a seam and without touching a known pixel.

The hole's tone first: just inside the rim the network's colours should be much like those just outside. Where they are
not, and the step is small enough to be one of tone and not the edge of a thing, the hole is shifted by it. Then the
joint: the network draws the known part too, a little off, and how far it is off at the rim is carried into the hole and
fades out with the distance. Both are spread by a pyramid of averages, each level filling what the finer one does not
know (push-pull, Gortler et al. 1996, section 3.3). All of the change lies inside the hole.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_core.blur import gaussian_blur

_REACH = 8  # the offset fades out over about this share (1 / _REACH) of the square's side
_RIM = 2 / 256  # standard deviation of the blur that says what is just inside and outside, share of the side
_EDGE = 0.2  # step, of 2, from which on it is taken for the edge of a thing
_COARSEST = 8  # pixels a side of the pyramid's last level


def resample(x: Tensor, side: int) -> Tensor:
    """(N, C, S, S) to (N, C, side, side), bicubic, with an antialiasing filter where it shrinks."""
    if x.shape[-1] == side:
        return x
    return F.interpolate(x, (side, side), mode="bicubic", antialias=True, align_corners=False)


def shrink_known(image: Tensor, known: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """A square with a hole at another size, no pixel of which mixes known with unknown.

    Args:
        image: (1, 3, S, S) in [-1, 1]; known: (1, 1, S, S), 1 known and 0 hole.

    Returns:
        (1, 3, side, side) and (1, 1, side, side); what is known in part counts as hole.
    """
    if image.shape[-1] == side:
        return image, known
    both = torch.cat([image * known, known], 1)
    both = F.interpolate(both, (side, side), mode="bilinear", antialias=True, align_corners=False)
    share = both[:, 3:]
    return both[:, :3] / share.clamp_min(1e-3), (share > 0.9995).to(known)


def spread(values: Tensor, known: Tensor, levels: int) -> Tensor:
    """Values (N, C, S, S), known where `known` (1, 1, S, S) is 1, carried on to where it is 0, and fading to 0."""
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
    large = resample(match_tone(raw, *shrink_known(image, known, raw.shape[-1])), side)
    levels = max((side // _REACH).bit_length(), 1)
    offset = spread(image - large, known, levels)
    return torch.where(known == 1, image, (large + offset).clamp(-1, 1))
