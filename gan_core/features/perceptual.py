"""A perceptual distance in EfficientNet-Lite0's maps, after LPIPS (Zhang et al. 2018) without its learned weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gan_core.features.efficientnet_lite0 import EfficientNetLite0


def normalised(features: Tensor) -> Tensor:
    """The channels of each pixel scaled to length one (Zhang et al. 2018, equation 1), float32."""
    features = features.float()
    return features * torch.rsqrt(features.square().sum(1, keepdim=True) + 1e-8)


class PerceptualDistance(nn.Module):
    """Mean squared difference of normalised maps, summed over the four layers; 0 for equal pictures, at most 16."""

    def __init__(self, network: EfficientNetLite0) -> None:
        super().__init__()
        self.network = network

    def forward(self, first: Tensor, second: Tensor, dtype: torch.dtype | None = None) -> Tensor:
        """Distances (N,) of pictures (N, 3, H, W) in [-1, 1]; gradients reach both."""
        n = first.shape[0]
        maps = self.network.maps(torch.cat([first, second]), dtype)
        total = first.new_zeros(n, dtype=torch.float32)
        for layer in maps:
            difference = normalised(layer[:n]) - normalised(layer[n:])
            total = total + difference.square().sum(1).mean((1, 2))
        return total
