"""Differentiable augmentation of the discriminator's input, on the device in one pass (Karras et al. 2020, "ADA").

Each transformation is applied to a picture with probability p, to real and generated pictures alike. The discriminator
then cannot memorise a set of 1,000 pictures, and the generator does not learn the augmentations.
"""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor
from torch.nn import functional as F


def _chosen(p: Tensor, value: Tensor, neutral: float = 0.0) -> Tensor:
    """`value` (N,) with probability p, else the neutral value."""
    return torch.where(torch.rand_like(value) < p, value, neutral)


def _geometry(n: int, p: Tensor, device: torch.device) -> Tensor:
    """Random affine maps from output to input coordinates, (N, 2, 3), in units of half the picture's side."""

    def normal(std: float) -> Tensor:
        return torch.randn(n, device=device) * std

    scale = torch.exp2(_chosen(p, normal(0.2)))
    stretch = torch.exp2(_chosen(p, normal(0.15)))
    angle = _chosen(p, (torch.rand(n, device=device) * 2 - 1) * (math.pi / 4))
    shift_x, shift_y = _chosen(p, normal(0.2)), _chosen(p, normal(0.2))
    cos, sin = torch.cos(angle), torch.sin(angle)
    row_x = torch.stack([cos * scale * stretch, -sin * scale, shift_x], 1)
    row_y = torch.stack([sin * scale * stretch, cos * scale, shift_y], 1)
    return torch.stack([row_x, row_y], 1)


@functools.cache
def _grey_axis(device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Identity, projection on the grey axis, cross product with it: (3, 3) each, made once (a captured graph may
    not copy from the host)."""
    cross = torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]]) * 3**-0.5
    return torch.eye(3, device=device), torch.full((3, 3), 1 / 3, device=device), cross.to(device)


def _colour(n: int, p: Tensor, device: torch.device) -> Tensor:
    """Random affine maps of colour, (N, 3, 4): brightness, contrast, hue, saturation."""

    def normal(std: float) -> Tensor:
        return torch.randn(n, device=device) * std

    eye, along, cross = _grey_axis(device)
    brightness = _chosen(p, normal(0.2))[:, None, None]
    contrast = torch.exp2(_chosen(p, normal(0.4)))[:, None, None]
    angle = _chosen(p, (torch.rand(n, device=device) * 2 - 1) * math.pi)[:, None, None]
    saturation = torch.exp2(_chosen(p, normal(0.8)))[:, None, None]
    hue = along + torch.cos(angle) * (eye - along) + torch.sin(angle) * cross  # Rodrigues' rotation
    matrix = contrast * ((along + saturation * (eye - along)) @ hue)
    return torch.cat([matrix, brightness.expand(n, 3, 1)], 2)


def draw_transforms(n: int, p: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
    """Random transformations of n pictures for `transform`: geometric maps (n, 2, 3) and colour maps (n, 3, 4)."""
    return _geometry(n, p, device), _colour(n, p, device)


def _stretched(row: Tensor, column: int, factor: float) -> Tensor:
    """A row (N, 3) of affine maps with one column scaled."""
    return torch.cat([row[:, :column], row[:, column : column + 1] * factor, row[:, column + 1 :]], 1)


def transform(images: Tensor, maps: Tensor, colours: Tensor) -> Tensor:
    """Move pictures (N, C, H, W) and change the colours of their first three channels; (N, C, H, W), float32."""
    images = images.float()
    h, w = images.shape[2:]
    if h != w:  # the turn is one of pixels, not of the sides' halves
        maps = torch.stack([_stretched(maps[:, 0], 1, h / w), _stretched(maps[:, 1], 0, w / h)], 1)
    grid = F.affine_grid(maps, list(images.shape), align_corners=False)
    images = F.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    pictures = torch.baddbmm(colours[:, :, 3:], colours[:, :, :3], images[:, :3].flatten(2)).unflatten(
        2, images.shape[2:]
    )
    return pictures if images.shape[1] == 3 else torch.cat([pictures, images[:, 3:]], 1)


def augment(images: Tensor, p: Tensor) -> Tensor:
    """Transform each picture at random.

    Args:
        images: (N, 3, H, W) in about [-1, 1].
        p: probability of each transformation, a scalar tensor on the images' device (so that changing it neither
            synchronises nor invalidates a captured graph).

    Returns:
        (N, 3, H, W), float32.
    """
    return transform(images, *draw_transforms(images.shape[0], p, images.device))
