"""Losses of the Swapping Autoencoder (Park et al., NeurIPS 2020, sections 3.1 to 3.3), and two additions.

The paper's losses are the L1 of the reconstruction, a GAN loss on reconstructions and on swaps, and the co-occurrence
loss on random crops. Additions for small data, whose weights may be zero: the two codes can be read from changed views
of the picture (other colours for the structure, another layout for the texture), so that they do not encode what
belongs to the other code; and a distance of two pictures' colours.
"""

from __future__ import annotations

import functools
import math

import torch
import torch.nn.functional as F
from torch import Tensor


def swap_pairs(x: Tensor) -> Tensor:
    """Exchange neighbours along the batch, 0 with 1, 2 with 3; the batch (N, ...) is even."""
    return x.unflatten(0, (-1, 2)).flip(1).flatten(0, 1)


def real_loss(scores: Tensor) -> Tensor:
    """Non-saturating logistic loss of scores that should be positive."""
    return F.softplus(-scores).mean()


def fake_loss(scores: Tensor) -> Tensor:
    """Logistic loss of scores that should be negative."""
    return F.softplus(scores).mean()


def random_crops(images: Tensor, count: int, size: int, *, smallest: float = 1 / 8, largest: float = 1 / 4) -> Tensor:
    """`count` square crops of each picture, half of them mirrored, resized to `size` (section 3.3).

    Args:
        images: (N, 3, H, W).
        count: T, crops a picture.
        size: side of a crop in pixels after resizing (bilinear).
        smallest, largest: range of a crop's side as a share of the picture's.

    Returns:
        (N, T, 3, size, size), float32; gradients reach the pictures.
    """
    n, device = images.shape[0], images.device
    share = smallest + (largest - smallest) * torch.rand(n, count, 1, device=device)
    centre = (torch.rand(n, count, 2, device=device) * 2 - 1) * (1 - share)
    mirror = torch.where(torch.rand(n, count, 1, device=device) < 0.5, -1.0, 1.0)
    line = (torch.arange(size, device=device) + 0.5) * (2 / size) - 1
    x = centre[..., :1] + share * mirror * line  # (N, T, size)
    y = centre[..., 1:] + share * line
    grid = torch.stack([x[:, :, None, :].expand(-1, -1, size, -1), y[:, :, :, None].expand(-1, -1, -1, size)], -1)
    crops = F.grid_sample(images.float(), grid.flatten(1, 2), mode="bilinear", align_corners=False)
    return crops.unflatten(2, (count, size)).transpose(1, 2)


# ---------------------------------------------------------------- changed views


def _chosen(share: float, value: Tensor, neutral: Tensor | float) -> Tensor:
    """`value` (N, ...) for about `share` of the batch, else the neutral value."""
    coin = torch.rand(value.shape[0], *[1] * (value.ndim - 1), device=value.device) < share
    return torch.where(coin, value, neutral)


def colour_view(images: Tensor, share: float) -> Tensor:
    """Other colours for about `share` of the pictures: brightness, contrast, saturation, hue, gain of each channel.

    Images (N, 3, H, W) in [-1, 1], result likewise and clamped.
    """
    n, device = images.shape[0], images.device

    def normal(std: float, count: int = 1) -> Tensor:
        return torch.randn(n, count, 1, device=device) * std

    grey = torch.full((3, 3), 1 / 3, device=device)
    eye = torch.eye(3, device=device)
    cross = _cross_product(device)
    angle = normal(1.0)
    hue = grey + torch.cos(angle) * (eye - grey) + torch.sin(angle) * cross  # Rodrigues' rotation about the grey axis
    matrix = (grey + torch.exp2(normal(0.6)) * (eye - grey)) @ hue
    matrix = torch.exp2(normal(0.3)) * torch.exp2(normal(0.2, 3)) * matrix
    matrix = _chosen(share, torch.cat([matrix, normal(0.15).expand(-1, 3, 1)], 2), F.pad(eye, (0, 1)))
    flat = torch.baddbmm(matrix[:, :, 3:], matrix[:, :, :3], images.float().flatten(2))
    return flat.view_as(images).clamp(-1, 1)


@functools.cache
def _cross_product(device: torch.device) -> Tensor:
    """Cross product with the grey axis; made once, since a captured graph may not copy from the host."""
    return torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]], device=device) * 3**-0.5


def layout_view(images: Tensor, share: float) -> Tensor:
    """Another layout for about `share` of the pictures: mirrored, turned, enlarged, shifted; (N, 3, H, W)."""
    n, device = images.shape[0], images.device

    def spread(limit: float) -> Tensor:
        return (torch.rand(n, device=device) * 2 - 1) * limit

    angle, scale = spread(0.35), torch.exp2(spread(0.3))
    mirror = torch.where(torch.rand(n, device=device) < 0.5, -1.0, 1.0)
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    rows = [torch.stack([cos * mirror, -sin, spread(0.2)], 1), torch.stack([sin * mirror, cos, spread(0.2)], 1)]
    maps = _chosen(share, torch.stack(rows, 1), torch.eye(2, 3, device=device))
    grid = F.affine_grid(maps, list(images.shape), align_corners=False)
    return F.grid_sample(images.float(), grid, mode="bilinear", padding_mode="reflection", align_corners=False)


# ---------------------------------------------------------------- distances


@functools.cache
def _colour_axes(count: int, device: torch.device) -> Tensor:
    """`count` directions spread evenly over half the sphere of colours, (3, count): a spiral."""
    with torch.inference_mode(False):  # cached, and used in training later
        i = (torch.arange(count, dtype=torch.float64) + 0.5) / count
        angle = math.pi * (1 + math.sqrt(5)) * count * i
        radius = (1 - i.square()).sqrt()
        return torch.stack([radius * angle.cos(), radius * angle.sin(), i]).float().to(device)


def colour_distance(images: Tensor, others: Tensor, *, side: int = 32, axes: int = 16) -> Tensor:
    """Distance of the pictures' distributions of colour, pair by pair: sliced Wasserstein-1, (N,).

    The position of a colour in the picture does not matter. Both (N, 3, H, W) in [-1, 1] are averaged to about side x
    side first; the distance is in those units (2 for black and white).
    """
    directions = _colour_axes(axes, images.device)

    def profiles(x: Tensor) -> Tensor:
        step = max(min(x.shape[-2:]) // side, 1)
        points = F.avg_pool2d(x.float(), step).flatten(2).transpose(1, 2) @ directions  # (N, pixels, axes)
        return points.sort(1).values

    a, b = profiles(images), profiles(others)
    if a.shape[1] != b.shape[1]:
        b = F.interpolate(b.transpose(1, 2), a.shape[1], mode="linear", align_corners=True).transpose(1, 2)
    return (a - b).abs().mean((1, 2)) * math.sqrt(3)  # along an axis a distance is 1 / sqrt(3), root mean square
