"""Putting a completed square back into its picture, without a seam and without touching a known pixel.

The network draws the known part too, a little off. How far it is off at the hole's rim is carried into the hole, and
fades out with the distance from the rim: a pyramid of averages over known pixels, each level filling what the finer
one does not know (push-pull, Gortler et al. 1996, section 3.3). So tone and light agree at the joint, and all of the
change lies inside the hole.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_REACH = 8  # the offset fades out over about this share (1 / _REACH) of the square's side


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


def blend(raw: Tensor, image: Tensor, known: Tensor) -> Tensor:
    """Completed squares (N, 3, S, S) in [-1, 1] of raw ones at the model's size (N, 3, R, R).

    `image` (1, 3, S, S) is unchanged where `known` (1, 1, S, S) is 1.
    """
    side = image.shape[-1]
    large = resample(raw, side)
    levels = max((side // _REACH).bit_length(), 1)
    offset = spread(image - large, known, levels)
    return torch.where(known == 1, image, (large + offset).clamp(-1, 1))
