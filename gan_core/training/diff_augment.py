"""Differentiable augmentation (Zhao et al., NeurIPS 2020): colour, translation and cutout of the discriminator's
input."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F


def diff_augment(images: Tensor, *, shift: float = 0.25, cut_out: float = 0.5, p: float = 0.6) -> Tensor:
    """Change brightness, saturation and contrast, translate, and blank a square, at random for each picture.

    Args:
        images: (N, 3, H, W) in about [-1, 1]. Channels after the third, such as a mask, are moved and blanked with
            the picture, their values are kept.
        shift: largest translation, as a share of each side; pixels from outside are zero.
        cut_out: side of the blank square, as a share of each side; its centre is anywhere in the picture.
        p: probability of each change of colour. It is below 1, so that the discriminator often sees the original
        contrast
            and notices a wrong one (Karras et al. 2020, section 2.2); translation and cutout are always applied.

    Returns:
        The same shape, float32; gradients reach the pictures.
    """
    images, others = images[:, :3].float(), images[:, 3:].float()
    n, _, h, w = images.shape

    def uniform(low: float, high: float) -> Tensor:
        return torch.rand(n, 1, 1, 1, device=images.device) * (high - low) + low

    def sometimes(low: float, high: float, neutral: float) -> Tensor:
        return torch.where(uniform(0, 1) < p, uniform(low, high), neutral)

    images = images + sometimes(-0.5, 0.5, 0.0)
    grey = images.mean(1, keepdim=True)
    images = grey + (images - grey) * sometimes(0.0, 2.0, 1.0)
    level = images.mean((1, 2, 3), keepdim=True)
    images = level + (images - level) * sometimes(0.5, 1.5, 1.0)
    joined = torch.cat([images, others], 1) if others.shape[1] else images
    return _without_square(_moved(joined, uniform, shift), uniform, cut_out)


def _moved(images: Tensor, uniform: Callable[[float, float], Tensor], shift: float) -> Tensor:
    """Translate by whole pixels, without blur."""
    n, _, h, w = images.shape
    right = torch.round(uniform(-shift, shift) * w) * (2 / w)
    down = torch.round(uniform(-shift, shift) * h) * (2 / h)
    one, zero = torch.ones_like(right), torch.zeros_like(right)
    maps = torch.cat([one, zero, right, zero, one, down], 1).view(n, 2, 3)
    grid = F.affine_grid(maps, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def _without_square(images: Tensor, uniform: Callable[[float, float], Tensor], side: float) -> Tensor:
    _, _, h, w = images.shape
    rows = torch.arange(h, device=images.device).view(1, 1, h, 1)
    columns = torch.arange(w, device=images.device).view(1, 1, 1, w)
    inside = ((rows - uniform(0, 1) * h).abs() < side * h / 2) & ((columns - uniform(0, 1) * w).abs() < side * w / 2)
    return images * ~inside
