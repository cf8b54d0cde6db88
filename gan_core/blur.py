"""Gaussian blur on any device.

torchvision's multiplies with the whole square kernel at once; this is two passes, which matters at the tens of pixels
that a soft border takes, and needs no import that takes a second.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def gaussian_blur(x: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of (N, C, H, W), mirrored at the border; sigma in pixels, none below a fifth of one."""
    if sigma < 0.2:
        return x
    radius = min(math.ceil(2.5 * sigma), min(x.shape[-2:]) - 1)
    at = torch.arange(-radius, radius + 1, device=x.device, dtype=torch.float32)
    taps = torch.exp(-0.5 * (at / sigma).square())
    taps = (taps / taps.sum()).to(x.dtype)
    n, c, h, w = x.shape
    flat = x.reshape(n * c, 1, h, w)
    flat = F.conv2d(F.pad(flat, (radius, radius, 0, 0), mode="reflect"), taps.view(1, 1, 1, -1))
    flat = F.conv2d(F.pad(flat, (0, 0, radius, radius), mode="reflect"), taps.view(1, 1, -1, 1))
    return flat.view(n, c, h, w)
