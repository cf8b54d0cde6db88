"""Transfers fine detail of a photo to a generated picture of it in other colours.

Not in the paper: the guided filter (He et al., "Guided Image Filtering", TPAMI 2013, section 3; "Fast Guided Filter",
2015), as used for photorealistic style transfer (Li et al., "A Closed-form Solution to Photorealistic Image
Stylization", ECCV 2018, section 3.2). In every small window the result is the affine function of the photo's colours
that is nearest to the drawing, so it has the photo's edges and surfaces and the drawing's colours.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def with_detail_of(
    photo: Tensor, drawing: Tensor, *, radius: float = 0.055, epsilon: float = 0.006, step: int = 2
) -> Tensor:
    """The drawing's colours with the photo's detail, (N, 3, H, W), not clamped.

    Args:
        photo, drawing: (N, 3, H, W) in [-1, 1], of the same scene.
        radius: half a window's side as a share of the picture's shorter side.
        epsilon: variance of a window below which the photo counts as without detail.
        step: factor by which pictures are reduced to fit the affine functions, which are smooth.
    """
    small_photo, small_drawing = (F.avg_pool2d(x, step, ceil_mode=True) for x in (photo, drawing))
    r = max(1, round(radius * min(photo.shape[-2:]) / step))
    n, _, h, w = small_photo.shape
    pairs = (small_photo[:, :, None] * small_photo[:, None]).flatten(1, 2)
    crossed = (small_photo[:, :, None] * small_drawing[:, None]).flatten(1, 2)
    means = _box(torch.cat([small_photo, small_drawing, pairs, crossed], 1), r).permute(0, 2, 3, 1)
    photo_mean, drawing_mean = means[..., :3], means[..., 3:6]
    variance = means[..., 6:15].unflatten(-1, (3, 3)) - photo_mean[..., :, None] * photo_mean[..., None, :]
    covariance = means[..., 15:].unflatten(-1, (3, 3)) - photo_mean[..., :, None] * drawing_mean[..., None, :]
    variance = variance + epsilon * torch.eye(3, device=photo.device)
    slope = _inverse(variance) @ covariance  # (N, h, w, 3 of the photo, 3 of the drawing)
    offset = drawing_mean - (photo_mean[..., None, :] @ slope)[..., 0, :]
    smooth = _box(torch.cat([slope.flatten(-2), offset], -1).permute(0, 3, 1, 2).contiguous(), r)
    whole = F.interpolate(smooth, scale_factor=step, mode="bilinear", align_corners=False)
    whole = whole[:, :, : photo.shape[2], : photo.shape[3]]
    slope, offset = whole[:, :9].unflatten(1, (3, 3)), whole[:, 9:]
    return (photo[:, :, None] * slope).sum(1) + offset


def _box(x: Tensor, radius: int) -> Tensor:
    """Mean over windows of 2 radius + 1 pixels a side, without pixels outside the picture."""
    r_y, r_x = (min(radius, side - 1) for side in x.shape[-2:])
    x = F.avg_pool2d(x, (1, 2 * r_x + 1), 1, (0, r_x), count_include_pad=False)
    return F.avg_pool2d(x, (2 * r_y + 1, 1), 1, (r_y, 0), count_include_pad=False)


def _inverse(m: Tensor) -> Tensor:
    """Inverse of symmetric positive matrices (..., 3, 3), by cofactors: faster than a solver for many small ones."""
    a, b, c = m[..., 0, 0], m[..., 0, 1], m[..., 0, 2]
    d, e, f = m[..., 1, 1], m[..., 1, 2], m[..., 2, 2]
    rows = [d * f - e * e, c * e - b * f, b * e - c * d, a * f - c * c, b * c - a * e, a * d - b * b]
    determinant = a * rows[0] + b * rows[1] + c * rows[2]
    order = [0, 1, 2, 1, 3, 4, 2, 4, 5]
    return torch.stack([rows[i] for i in order], -1).unflatten(-1, (3, 3)) / determinant[..., None, None]
