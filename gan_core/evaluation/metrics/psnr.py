"""Peak signal-to-noise ratio."""

from __future__ import annotations

import torch
from torch import Tensor


def psnr(first: Tensor, second: Tensor) -> Tensor:
    """Ratios (N,) in dB, at most 120, of pictures (N, 3, H, W), which are cut to [-1, 1]."""
    error = ((first.clamp(-1, 1) - second.clamp(-1, 1)) / 2).square().mean((1, 2, 3))
    return -10 * torch.log10(error.clamp_min(1e-12))
