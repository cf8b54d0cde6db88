"""Augmentation of pictures and distortion maps in HFGI's training, on the device and without synchronising."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

# the same split as every other script's
from gan_core.training.split import is_held_out

__all__ = ["head_displacement", "is_held_out", "jitter", "random_perspective"]


def _uniform(n: int, limit: float, device: torch.device) -> Tensor:
    return (torch.rand(n, device=device) * 2 - 1) * limit


def jitter(images: Tensor, share: float = 0.5) -> Tensor:
    """Small random changes of geometry and colour, each of a random `share` of the pictures (N, 3, H, W) in [-1, 1].

    Up to 4 degrees, 5 % of scale, 3 % of shift; 10 % of brightness and contrast, 25 % of saturation.
    """
    n, device = images.shape[0], images.device
    proportion = images.shape[2] / images.shape[3]  # half of either side is 1 below
    on = (torch.rand(n, device=device) < share).float()
    angle = _uniform(n, math.radians(4), device) * on
    scale = torch.exp(_uniform(n, 0.05, device) * on)
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    dx, dy = _uniform(n, 0.06, device) * on, _uniform(n, 0.06, device) * on
    maps = torch.stack([torch.stack([cos, -sin * proportion, dx], 1), torch.stack([sin / proportion, cos, dy], 1)], 1)
    grid = F.affine_grid(maps, list(images.shape), align_corners=False)
    moved = F.grid_sample(images, grid, mode="bicubic", padding_mode="reflection", align_corners=False)
    images = torch.where(on[:, None, None, None] > 0, moved, images)  # the others keep every pixel as it was
    on = (torch.rand(n, device=device) < share).float()[:, None, None, None]
    brightness = _uniform(n, 0.1, device)[:, None, None, None] * on
    contrast = 1 + _uniform(n, 0.1, device)[:, None, None, None] * on
    saturation = 1 + _uniform(n, 0.25, device)[:, None, None, None] * on
    grey = images.mean(1, keepdim=True)
    return ((grey + saturation * (images - grey)) * contrast + brightness).clamp(-1, 1)


def random_perspective(images: Tensor, scale: float = 0.15, share: float = 0.9, head_turn: float = 0.0) -> Tensor:
    """Each picture of a random `share` seen in a random perspective: HFGI's perturbation (section 3.3).

    Every corner moves by up to `scale` / 2 of the side, in x and in y; pixels from outside are 0. With `head_turn` (1:
    as far as the sliders reach), three pictures in four are also warped by `head_displacement`. This is not in the
    paper: a perspective alone never moves a head against its backdrop.
    """
    n, _, h, w = images.shape
    device = images.device
    moves = (torch.rand(n, 4, 2, device=device) - 0.5) * scale
    moves = moves * (torch.rand(n, 1, 1, device=device) < share)
    corners = moves + torch.stack(
        [torch.stack([torch.full((), x, device=device), torch.full((), y, device=device)]) for x, y in _UNIT]
    )
    points = _pixel_centres(h, w, device)[None]
    if head_turn:
        turned_heads = (torch.rand(n, 1, 1, 1, device=device) < 0.75).float()
        points = points + head_displacement(points, n) * (head_turn * turned_heads)
    grid = _project(corners, points)
    return F.grid_sample(images, grid * 2 - 1, mode="bilinear", padding_mode="zeros", align_corners=False)


def head_displacement(points: Tensor, n: int) -> Tensor:
    """Displacements (n, h, w, 2) of `points` (1, h, w, 2), in units of the side, for n random turns of a head.

    The head of an FFHQ-aligned crop is approximated by an ellipsoid, turned by up to 0.2 and nodding by up to 0.12
    radians. Relative to the eyes, which the alignment keeps in place, its near side moves in one direction and its rim
    in the other; the backdrop does not move. Mouth and jaw open or widen, and the outline of the hair grows or shrinks.
    """
    device = points.device

    def random(limit: float, middle: float = 0.0) -> Tensor:
        return (middle + _uniform(n, limit, device))[:, None, None]

    x, y = points[..., 0] - random(0.02, 0.5), points[..., 1] - random(0.03, 0.48)
    half_width, half_height = random(0.04, 0.36), random(0.04, 0.46)
    radius = ((x / half_width).square() + (y / half_height).square()).sqrt()
    depth = (1 - radius.square()).clamp_min(0).sqrt()
    inside = ((1.2 - radius) / 0.2).clamp(0, 1)  # fades at the outline, where the map would tear
    turned = random(0.2) * half_width * (depth - random(0.15, 0.75)) * inside
    nodded = random(0.12) * half_height * (depth - random(0.15, 0.75)) * inside
    mouth = torch.exp(-(x / 0.14).square() - ((y - random(0.03, 0.27)) / 0.1).square())
    swelling = random(0.1) * torch.exp(-((radius - 1) / 0.25).square())
    right = turned + random(0.2) * x * mouth + swelling * x
    down = nodded + random(0.04) * mouth + swelling * y
    return torch.stack([right, down], 3)


_UNIT = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))


def _pixel_centres(h: int, w: int, device: torch.device) -> Tensor:
    """(h, w, 2), x before y, in units of the sides."""
    y, x = torch.meshgrid(
        (torch.arange(h, device=device) + 0.5) / h, (torch.arange(w, device=device) + 0.5) / w, indexing="ij"
    )
    return torch.stack([x, y], 2)


def _project(corners: Tensor, points: Tensor) -> Tensor:
    """Images (N, h, w, 2) of `points` (N or 1, h, w, 2) under the perspective map of the unit square's corners
    (0,0), (1,0), (1,1), (0,1) to `corners` (N, 4, 2). Closed form (Heckbert 1989, section 2.2.3)."""
    p0, p1, p2, p3 = corners.unbind(1)
    d1, d2, s = p1 - p2, p3 - p2, p0 - p1 + p2 - p3

    def cross(a: Tensor, b: Tensor) -> Tensor:
        return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]

    det = cross(d1, d2)
    g, k = (cross(s, d2) / det)[:, None], (cross(d1, s) / det)[:, None]
    a, b = p1 - p0 + g * p1, p3 - p0 + k * p3
    u, v = points[..., :1], points[..., 1:]

    def wide(t: Tensor) -> Tensor:
        return t[:, None, None, :]

    return (wide(a) * u + wide(b) * v + wide(p0)) / (wide(g) * u + wide(k) * v + 1)
