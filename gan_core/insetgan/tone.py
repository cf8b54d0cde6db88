"""Bringing the light of an inset to that of the canvas: a smooth correction of its colours, taken from the border.

Along the border of the inset the canvas shows which colours the inset should have. The differences there are continued
smoothly over the inside, as in seamless cloning (Perez et al. 2003), by weights that fall with the distance to the
border (Shepard 1968) in place of the mean-value coordinates of Farbman et al. 2009. It changes no edge and no texture.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from gan_core.insetgan.placement import Size

GRID = 40  # cells a side in which the correction is computed; it is smoother than that
BELIEVED = 0.2  # difference, in a range of 2, that is still likely to be light; a larger one is hair on skin
_REACH = 1.0  # cells within which the weights stay about the same
_TRUSTED = 0.3  # mean belief from which the whole correction is made
_POWER = 2.0  # by which the weights fall with the distance


def tone_step(patch: Tensor, below: Tensor, inside: Tensor) -> Tensor:
    """What is to be added to `patch` so that its colours agree with the canvas's along the border.

    patch, below: (1, 3, h, w) in [-1, 1], the inset and the canvas under it. inside: (1, 1, h, w) in [0, 1], the part
    that the inset covers. Returns (1, 3, GRID, GRID), to be enlarged over the patch; 0 where there is no border.
    """
    size = (GRID, GRID)
    cover = F.interpolate(inside, size, mode="area")
    difference = F.interpolate(below - patch, size, mode="area")
    near = (_border(cover) > 0).flatten()
    if not near.any():
        return torch.zeros_like(difference)
    at = torch.stack(torch.meshgrid(*[torch.arange(GRID, device=patch.device, dtype=patch.dtype)] * 2, indexing="ij"))
    at = at.flatten(1).T
    values = difference.flatten(2)[0, :, near]  # (3, P)
    light = (-(values / BELIEVED).square().mean(0)).exp()
    weights = (torch.cdist(at, at[near]) + _REACH).pow(-_POWER) * light.clamp_min(1e-6)
    # Where hardly any difference is light, the colours stay as they are.
    trust = (light.mean() / _TRUSTED).clamp(max=1)
    return trust * (values @ (weights / weights.sum(1, keepdim=True)).T).view_as(difference)


def toned(patch: Tensor, step: Tensor) -> Tensor:
    """`patch` (1, 3, h, w) with a correction of `tone_step`, in [-1, 1]."""
    size: Size = (patch.shape[-2], patch.shape[-1])
    return (patch + F.interpolate(step, size, mode="bilinear", align_corners=False)).clamp(-1, 1)


def _border(cover: Tensor) -> Tensor:
    """1 in the cells of (1, 1, h, w) in which the cover ends, or at whose side the patch ends."""
    covered = (cover > 0.5).to(cover)
    # Cells outside the patch count as canvas, so that a plain box has a border, too.
    core = -F.max_pool2d(-F.pad(covered, (1,) * 4), 3, stride=1)
    return covered - core
