"""Image and patch co-occurrence discriminators of the Swapping Autoencoder (Park et al., NeurIPS 2020)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from gan_core import stylegan2
from gan_core.stylegan2 import EqualConv2d, EqualLinear
from gan_core.stylegan2.discriminator import DiscriminatorBlock, Epilogue


class ImageDiscriminator(stylegan2.Discriminator):
    """StyleGAN2's discriminator without minibatch statistics (section 3.1).

    For pictures whose side is no power of two the network is that of the nearest one, and its last feature map is
    `last_side` pixels wide instead of 4.
    """

    def __init__(self, resolution: int = 256, *, last_side: int = 4, **arguments: Any) -> None:
        super().__init__(resolution, **arguments)
        for name in ("c_dim", "start_shape", "mbstd_group"):
            del self.config[name]
        self.config["last_side"] = last_side
        channels = self.epilogue.conv.weight.shape[0]
        self.epilogue = Epilogue(channels, last_side**2, 1)
        self.epilogue.conv = EqualConv2d(channels, channels, 3, act="lrelu")

    def score_of(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """Scores (N, 1) of the last block's features x (N, C, last_side, last_side)."""
        x = self.epilogue.conv(x).contiguous().flatten(1)
        return self.epilogue.out(self.epilogue.fc(x.float() if x.dtype.itemsize < 4 else x))


class SameSizeBlock(nn.Module):
    """Two 3x3 convolutions beside a linear 1x1 skip, at one size; their sum over sqrt(2)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1 = EqualConv2d(in_channels, in_channels, 3, act="lrelu")
        self.conv2 = EqualConv2d(in_channels, out_channels, 3, act="lrelu")
        self.skip = EqualConv2d(in_channels, out_channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, I, H, W) to (N, O, H, W)."""
        half = math.sqrt(0.5)
        return self.conv2(self.conv1(x), gain=half) + self.skip(x, gain=half)


class PatchDiscriminator(nn.Module):
    """Patch co-occurrence discriminator: whether two crops have the same texture (section 3.3).

    Crops of both pictures go through one feature network; the features of a reference crop and of a target crop are
    joined, the reference first, and scored: positive for "of the same picture".
    """

    def __init__(
        self,
        *,
        widths: Sequence[int] = (32, 64, 128, 256, 384, 384),  # from the crop's own resolution down to 4x4
        wide: int = 768,  # at 4x4
        features: int = 384,  # at 2x2, the last
        hidden: Sequence[int] = (2048, 2048, 1024),
    ) -> None:
        super().__init__()
        self.config = {"widths": list(widths), "wide": wide, "features": features, "hidden": list(hidden)}
        self.from_rgb = EqualConv2d(3, widths[0], 3, act="lrelu")
        self.blocks = nn.ModuleList(DiscriminatorBlock(a, b) for a, b in zip(widths, widths[1:], strict=False))
        self.widen = SameSizeBlock(widths[-1], wide)
        self.last = EqualConv2d(wide, features, 3, act="lrelu", padding=0)
        chain = [2 * 4 * features, *hidden]
        layers = [EqualLinear(a, b, act="lrelu") for a, b in zip(chain, chain[1:], strict=False)]
        self.pair = nn.ModuleList([*layers, EqualLinear(chain[-1], 1)])

    @property
    def crop_size(self) -> int:
        """Side of a crop, in pixels."""
        return 4 << len(self.blocks)

    def describe(self, crops: Tensor) -> Tensor:
        """Features (N, T, 4 * features) of T crops each of N pictures, (N, T, 3, crop_size, crop_size).

        Raises:
            ValueError: crops of another shape.
        """
        expected = (3, self.crop_size, self.crop_size)
        if crops.ndim != 5 or crops.shape[2:] != expected:
            raise ValueError(f"crops have shape {tuple(crops.shape)}, expected (N, T, {expected})")
        x = crops.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        x = self.from_rgb(x)
        for block in self.blocks:
            x = block(x)
        x = self.last(self.widen(x)).contiguous().flatten(1)
        return (x.float() if x.dtype.itemsize < 4 else x).unflatten(0, crops.shape[:2])

    def compare(self, reference: Tensor, target: Tensor, *, aggregate: bool = True) -> Tensor:
        """Scores (N, T, 1) of features (N, T, F) of reference and target crops, pair by pair.

        `aggregate`: every target crop is compared with the mean of its picture's reference features, as most published
        models were trained, instead of the reference crop of the same index.
        """
        if aggregate:
            reference = reference.mean(1, keepdim=True)
        x = torch.cat([reference.expand(-1, target.shape[1], -1), target], 2).flatten(0, 1)
        for layer in self.pair:
            x = layer(x)
        return x.unflatten(0, target.shape[:2])

    def forward(self, reference: Tensor, target: Tensor, *, aggregate: bool = True) -> Tensor:
        """Scores (N, T, 1) of target crops (N, T, 3, s, s) against reference crops (N, T, 3, s, s)."""
        return self.compare(self.describe(reference), self.describe(target), aggregate=aggregate)
