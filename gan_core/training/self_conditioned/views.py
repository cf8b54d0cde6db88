"""Random views of aligned faces, made on the device: changes that keep the identity."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from gan_core.self_conditioned.predictors import MARGIN, SIZE


def random_views(images: Tensor) -> tuple[Tensor, Tensor]:
    """A random view (N, 3, SIZE, SIZE) of each aligned crop (N, 3, R, R) in [-1, 1], and whether it is mirrored (N,).

    Views are slightly rotated, scaled, shifted and warped, have other light and colour, and are often blurred or partly
    covered. The attributes can still be recognised.
    """
    n, device = images.shape[0], images.device
    mirrored = torch.rand(n, device=device) < 0.5
    x = F.grid_sample(images.float(), _grid(n, mirrored, device), padding_mode="reflection", align_corners=False)
    return _covered(_softened(_recoloured(x))), mirrored


def _uniform(n: int, limit: float, device: torch.device) -> Tensor:
    return (torch.rand(n, device=device) * 2 - 1) * limit


def _grid(n: int, mirrored: Tensor, device: torch.device) -> Tensor:
    """Coordinates of the view's pixels in the picture, (N, SIZE, SIZE, 2) in [-1, 1]."""
    angle = _uniform(n, math.radians(10), device)
    scale = (1 - 2 * MARGIN) * torch.exp(_uniform(n, 0.1, device))
    sign = torch.where(mirrored, -1.0, 1.0)
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    dx, dy = _uniform(n, 0.06, device), _uniform(n, 0.06, device)
    maps = torch.stack([torch.stack([cos * sign, -sin, dx], 1), torch.stack([sin * sign, cos, dy], 1)], 1)
    grid = F.affine_grid(maps, [n, 3, SIZE, SIZE], align_corners=False)
    warp = F.interpolate(torch.randn(n, 2, 5, 5, device=device), (SIZE, SIZE), mode="bicubic", align_corners=False)
    return grid + warp.permute(0, 2, 3, 1) * (0.012 * torch.rand(n, 1, 1, 1, device=device))


def _recoloured(x: Tensor) -> Tensor:
    n, device = x.shape[0], x.device

    def each(limit: float) -> Tensor:
        return _uniform(n, limit, device)[:, None, None, None]

    grey = x.mean(1, keepdim=True)
    colourless = (torch.rand(n, 1, 1, 1, device=device) < 0.15).float()
    x = grey + (1 - colourless) * (1 + each(0.5)) * (x - grey)
    tint = (torch.rand(n, 3, 1, 1, device=device) - 0.5) * 0.2
    light = (torch.exp(each(0.4)) * ((x + 1) / 2).clamp_min(1e-3).pow(torch.exp(each(0.3)))) * 2 - 1
    slope = torch.linspace(-1, 1, x.shape[-1], device=device)
    return (light + tint + each(0.15) + each(0.2) * slope).clamp(-1, 1)  # a light from one side


def _softened(x: Tensor) -> Tensor:
    n, device = x.shape[0], x.device
    soft = F.interpolate(F.avg_pool2d(x, 2), x.shape[-2:], mode="bilinear", align_corners=False)
    share = torch.rand(n, 1, 1, 1, device=device) * (torch.rand(n, 1, 1, 1, device=device) < 0.5)
    noise = 0.04 * torch.rand(n, 1, 1, 1, device=device) * torch.randn_like(x)
    return torch.lerp(x, soft, share) + noise


def _covered(x: Tensor) -> Tensor:
    """In half of the pictures one rectangle of up to two fifths of the side is grey."""
    n, device = x.shape[0], x.device
    at = torch.linspace(0, 1, x.shape[-1], device=device)
    centre, half = torch.rand(2, n, 1, device=device), 0.05 + 0.15 * torch.rand(2, n, 1, device=device)
    across, down = (at - centre[0]).abs() < half[0], (at - centre[1]).abs() < half[1]
    on = (torch.rand(n, 1, 1, device=device) < 0.5) & across[:, None, :] & down[:, :, None]
    return torch.where(on[:, None], 0.0, x)
