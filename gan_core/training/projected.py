"""Projected discriminator (Sauer et al., NeurIPS 2021, "Projected GANs Converge Faster"), on EfficientNet-Lite0.

The discriminators' input are frozen ImageNet features. Fixed random layers mix them across channels and scales (section
3.2), so that no discriminator uses only a part of them. One small discriminator for each scale is trained (section 3.1)
with the hinge loss. The frozen part is computed once in a step and serves the updates of both networks.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations

from gan_core.features import CHANNELS, EfficientNetLite0

MIXED = (64, 128, 256, 512)  # channels after cross-channel mixing, finest scale first
SMALLEST = 4  # side of the map that is scored
WIDEST = 256  # channels of a small discriminator
SLOPE = 0.2
BESIDE = 16.0  # of a condition; the features' standard deviations are 22, 15, 9 and 3 (views of places)


class FrozenProjection(nn.Module):
    """Feature maps mixed across channels (1x1) and scales (3x3, upsampled, from coarse to fine), random and fixed."""

    def __init__(self, features: EfficientNetLite0, seed: int = 0) -> None:
        super().__init__()
        self.features = features
        generator = torch.Generator().manual_seed(seed)

        def fixed(out_channels: int, in_channels: int, kernel: int) -> Tensor:
            weight = torch.randn(out_channels, in_channels, kernel, kernel, generator=generator)
            return weight * (2 / (in_channels * kernel * kernel)) ** 0.5

        for i, (mixed, channels) in enumerate(zip(MIXED, CHANNELS, strict=True)):
            self.register_buffer(f"across_channels_{i}", fixed(mixed, channels, 1), persistent=False)
            if i:
                self.register_buffer(f"across_scales_{i}", fixed(MIXED[i - 1], mixed, 3), persistent=False)

    def forward(self, images: Tensor, dtype: torch.dtype | None = None) -> list[Tensor]:
        """Maps (N, C, H / s, W / s) with C of MIXED at strides 4 to 32, finest first, of pictures in [-1, 1]."""
        maps = self.features.maps(images, dtype)
        mixed = [F.conv2d(x, getattr(self, f"across_channels_{i}").to(x.dtype)) for i, x in enumerate(maps)]
        for i in reversed(range(1, len(mixed))):
            coarse = F.conv2d(mixed[i], getattr(self, f"across_scales_{i}").to(mixed[i].dtype), padding=1)
            mixed[i - 1] = mixed[i - 1] + F.interpolate(
                coarse, size=mixed[i - 1].shape[2:], mode="bilinear", align_corners=False
            )
        return mixed


def beside_maps(maps: list[Tensor], condition: Tensor) -> list[Tensor]:
    """Maps (N, C, h, w) with a condition (N, K, H, W) of about [-0.5, 0.5], averaged to each map's size and scaled to
    the features' magnitude, as further channels."""
    scaled = [F.adaptive_avg_pool2d(condition, x.shape[2:]) * BESIDE for x in maps]
    return [torch.cat([x, y.to(x.dtype)], 1) for x, y in zip(maps, scaled, strict=True)]


def _convolution(in_channels: int, out_channels: int, kernel: int, stride: int) -> nn.Module:
    layer = nn.Conv2d(in_channels, out_channels, kernel, stride, padding=(kernel - 1) // 2, bias=False)
    return parametrizations.spectral_norm(layer)


class ScaleDiscriminator(nn.Module):
    """Halves a map with 4x4 convolutions until it is 4 pixels high, then scores each pixel of it."""

    def __init__(self, channels: int, side: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        while side > SMALLEST:
            wider = min(channels * 2, WIDEST)
            norm = nn.BatchNorm2d(wider, track_running_stats=False)  # always by the batch
            layers += [_convolution(channels, wider, 4, 2), norm, nn.LeakyReLU(SLOPE)]
            channels, side = wider, side // 2
        self.body = nn.Sequential(*layers)
        self.score = _convolution(channels, 1, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (N, 1, h, w) of maps (N, C, H, W)."""
        return self.score(self.body(x))


class ProjectedDiscriminator(nn.Module):
    """The trained part: a small discriminator for each scale of a `FrozenProjection`.

    Args:
        resolution: height of the pictures; the width may be any for which the maps are not empty.
        beside: channels that are given beside each map (`beside_maps`), for a condition such as a mask.
    """

    def __init__(self, resolution: int, beside: int = 0) -> None:
        super().__init__()
        sides = [resolution // stride for stride in (4, 8, 16, 32)]
        self.scales = nn.ModuleList(ScaleDiscriminator(c + beside, side) for c, side in zip(MIXED, sides, strict=True))

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Scores (N, 1, h, w) for each scale, in the maps' dtype."""
        device = maps[0].device.type
        half = maps[0].dtype in (torch.float16, torch.bfloat16)
        with torch.autocast(device, dtype=maps[0].dtype if half else torch.bfloat16, enabled=half, cache_enabled=False):
            return [net(x) for net, x in zip(self.scales, maps, strict=True)]

    def losses(self, real: list[Tensor], fake: list[Tensor]) -> Tensor:
        """Hinge loss of the discriminators, summed over scales: mean relu(1 - real) + mean relu(1 + fake)."""
        total = torch.zeros((), device=real[0].device)
        for r, f in self._scores(real, fake):
            total = total + F.relu(1 - r).mean() + F.relu(1 + f).mean()
        return total

    def generator_loss(self, real: list[Tensor], fake: list[Tensor]) -> Tensor:
        """The generator's loss: minus the mean score of `fake`, summed over scales."""
        return -torch.stack([score.mean() for _, score in self._scores(real, fake)]).sum()

    def _scores(self, real: list[Tensor], fake: list[Tensor]) -> list[tuple[Tensor, Tensor]]:
        """Scores of both, float32. They are in one batch: with separate batch normalisation no discriminator could
        recognise that all generated pictures have too much contrast."""
        n = len(real[0])
        joined = self([torch.cat(pair) for pair in zip(real, fake, strict=True)])
        return [(score[:n].float(), score[n:].float()) for score in joined]
