"""Perceptual distances for training, without a downloaded backbone: in the features of a discriminator that this
project trained, or in EfficientNet-Lite0's ImageNet features."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_core.features import EfficientNetLite0, normalised
from gan_core.stylegan2 import Discriminator


class FeatureDistance(nn.Module):
    """Distance of two pictures in the features of a trained discriminator, which is frozen; takes the place of LPIPS.

    As in LPIPS (Zhang et al. 2018, equation 1), features are scaled to length 1 over channels, and squared differences
    are averaged over pixels and blocks. Without a discriminator: the mean absolute difference of two Gaussian pyramids.

    skip: feature maps that are left out, from the finest on (the full resolution says little and costs most);
    levels: how many maps are compared at most.
    """

    def __init__(self, discriminator: Discriminator | None = None, *, skip: int = 1, levels: int = 5) -> None:
        super().__init__()
        self.skip, self.levels = skip, levels
        self.resolution: int | None = None
        """Of the pictures that the discriminator was trained on."""
        self.discriminator = None
        if discriminator is not None:
            self.resolution = discriminator.config["resolution"]
            self.discriminator = discriminator.eval().requires_grad_(False)
            self.discriminator.blocks = self.discriminator.blocks[: skip + levels - 1]  # no others are computed

    def features(self, image: Tensor, dtype: torch.dtype | None = None) -> list[Tensor]:
        """What is compared, for a picture (N, 3, H, W): maps of different sizes, the finest first; `levels` of them,
        or as many as the discriminator has blocks."""
        if self.discriminator is None:
            maps = [image]
            for _ in range(self.levels - 1):
                maps.append(F.avg_pool2d(maps[-1], 2))
            return maps
        maps = self.discriminator.features(image, dtype)
        return [F.normalize(m.float(), dim=1, eps=1e-6) for m in maps[self.skip : self.skip + self.levels]]

    def forward(self, image: Tensor, target: Tensor, dtype: torch.dtype | None = None) -> Tensor:
        """Mean distance, a scalar, of two batches of pictures (N, 3, H, W) in about [-1, 1]; gradients reach `image`
        only. dtype: of the discriminator's computation."""
        with torch.no_grad():
            wanted = self.features(target, dtype)
        pairs = zip(self.features(image, dtype), wanted, strict=True)
        if self.discriminator is None:
            return torch.stack([F.l1_loss(a, b) for a, b in pairs]).mean()
        return torch.stack([(a - b).square().sum(1).mean() for a, b in pairs]).mean()


class ImageNetDistance(nn.Module):
    """Distance of two pictures in EfficientNet-Lite0's four maps (strides 4 to 32), computed like LPIPS's; as
    `gan_core.features.PerceptualDistance`, but a mean over maps and pictures, with gradients to one picture only."""

    resolution: int | None = None
    """Of the pictures: any, unlike a discriminator's."""

    def __init__(self, network: EfficientNetLite0) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor, target: Tensor, dtype: torch.dtype | None = None) -> Tensor:
        """Mean distance, a scalar in [0, 4], of two batches of pictures (N, 3, H, W) in about [-1, 1]; gradients reach
        `image` only. dtype: of the network's computation."""
        with torch.no_grad():
            wanted = [normalised(x) for x in self.network.maps(target, dtype)]
        pairs = zip(self.network.maps(image, dtype), wanted, strict=True)
        return torch.stack([(normalised(a) - b).square().sum(1).mean() for a, b in pairs]).mean()
