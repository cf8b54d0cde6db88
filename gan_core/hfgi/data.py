"""What HFGI's training does to pictures and distortion maps, on the device and without waiting for it."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

# the same split as every other script's
from gan_core.training.split import is_held_out

__all__ = ["is_held_out", "jitter", "random_perspective"]


def _uniform(n: int, limit: float, device: torch.device) -> Tensor:
    return (torch.rand(n, device=device) * 2 - 1) * limit


def jitter(images: Tensor, share: float = 0.5) -> Tensor:
    """Pictures (N, 3, H, W) in [-1, 1] with light changes of place and colour, each to a random `share` of
    them.

    Up to 4 degrees, 5 % of scale, 3 % of shift; 10 % of brightness and contrast, 25 % of saturation.
    """
    n, device = images.shape[0], images.device
    on = (torch.rand(n, device=device) < share).float()
    angle = _uniform(n, math.radians(4), device) * on
    scale = torch.exp(_uniform(n, 0.05, device) * on)
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    dx, dy = _uniform(n, 0.06, device) * on, _uniform(n, 0.06, device) * on  # half the side is 1
    maps = torch.stack([torch.stack([cos, -sin, dx], 1), torch.stack([sin, cos, dy], 1)], 1)
    grid = F.affine_grid(maps, list(images.shape), align_corners=False)
    moved = F.grid_sample(images, grid, mode="bicubic", padding_mode="reflection", align_corners=False)
    images = torch.where(on[:, None, None, None] > 0, moved, images)  # the others keep every pixel as it was
    on = (torch.rand(n, device=device) < share).float()[:, None, None, None]
    brightness = _uniform(n, 0.1, device)[:, None, None, None] * on
    contrast = 1 + _uniform(n, 0.1, device)[:, None, None, None] * on
    saturation = 1 + _uniform(n, 0.25, device)[:, None, None, None] * on
    grey = images.mean(1, keepdim=True)
    return ((grey + saturation * (images - grey)) * contrast + brightness).clamp(-1, 1)


def random_perspective(images: Tensor, scale: float = 0.15, share: float = 0.9) -> Tensor:
    """Each picture of a random `share` seen in a random perspective: HFGI's perturbation (section 3.3).

    Every corner moves by up to `scale` / 2 of the side, in x and in y; what comes from outside is 0.
    """
    n, _, h, w = images.shape
    device = images.device
    moves = (torch.rand(n, 4, 2, device=device) - 0.5) * scale
    moves = moves * (torch.rand(n, 1, 1, device=device) < share)
    corners = moves + torch.stack(
        [torch.stack([torch.full((), x, device=device), torch.full((), y, device=device)]) for x, y in _UNIT]
    )
    grid = _project(corners, h, w)
    return F.grid_sample(images, grid * 2 - 1, mode="bilinear", padding_mode="zeros", align_corners=False)


_UNIT = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))


def _project(corners: Tensor, h: int, w: int) -> Tensor:
    """Where the pixels of an (h, w) picture fall, (N, h, w, 2), under the map of the unit square's corners
    (0,0), (1,0), (1,1), (0,1) to `corners` (N, 4, 2). Closed form (Heckbert 1989, section 2.2.3)."""
    p0, p1, p2, p3 = corners.unbind(1)
    d1, d2, s = p1 - p2, p3 - p2, p0 - p1 + p2 - p3

    def cross(a: Tensor, b: Tensor) -> Tensor:
        return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]

    det = cross(d1, d2)
    g, k = (cross(s, d2) / det)[:, None], (cross(d1, s) / det)[:, None]
    a, b = p1 - p0 + g * p1, p3 - p0 + k * p3
    y, x = torch.meshgrid(
        (torch.arange(h, device=corners.device) + 0.5) / h,
        (torch.arange(w, device=corners.device) + 0.5) / w,
        indexing="ij",
    )
    u, v = x[None, ..., None], y[None, ..., None]

    def wide(t: Tensor) -> Tensor:
        return t[:, None, None, :]

    return (wide(a) * u + wide(b) * v + wide(p0)) / (wide(g) * u + wide(k) * v + 1)
