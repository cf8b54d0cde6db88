"""Segmentation of the head in an aligned crop: face, hair, ears and neck, without clothes and backdrop.

Edits are restricted to it, so that a turned head leaves its backdrop as it is. The network is a small U-net at 128
pixels, trained on labels that this project makes itself (gan_core/training/faces/head_labels.py, train_head.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_core.checkpoints.embedded import build_from_file

HEAD_SIZE = 128  # side of what the network reads and gives


class DoubleConvolution(nn.Module):
    """Two 3x3 convolutions, each with group normalisation and leaky ReLU; the first with the stride."""

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False)
        self.norm1 = nn.GroupNorm(max(out_channels // 8, 1), out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, 1, 1, bias=False)
        self.norm2 = nn.GroupNorm(max(out_channels // 8, 1), out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, I, H, W) to (N, O, H / stride, W / stride)."""
        x = F.leaky_relu(self.norm1(self.conv1(x)), 0.1)
        return F.leaky_relu(self.norm2(self.conv2(x)), 0.1)


class HeadNet(nn.Module):
    """U-net: picture to the probability of each pixel to belong to the head, and to the person (with clothes).

    Works on blocks of 2x2 pixels (Shi et al. 2016, "sub-pixel convolution"), which costs a quarter.
    """

    def __init__(self, widths: Sequence[int] = (24, 32, 48, 64, 64)) -> None:
        super().__init__()
        self.config = {"widths": list(widths)}
        pairs = list(zip(widths, widths[1:], strict=False))
        self.stem = DoubleConvolution(3 * 4, widths[0])
        self.down = nn.ModuleList(DoubleConvolution(wide, deep, 2) for wide, deep in pairs)
        self.up = nn.ModuleList(DoubleConvolution(deep + wide, wide) for wide, deep in reversed(pairs))
        self.out = nn.Conv2d(widths[0], 2 * 4, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, 2, H, W), head and person, of pictures (N, 3, H, W) in [-1, 1]; H and W divide by 2^levels."""
        x = self.stem(F.pixel_unshuffle(images, 2))
        kept = []
        for step in self.down:
            kept.append(x)
            x = step(x)
        for step in self.up:
            skip = kept.pop()
            x = F.interpolate(x, skip.shape[-2:], mode="bilinear", align_corners=False)
            x = step(torch.cat([x, skip], 1))
        return F.pixel_shuffle(self.out(x), 2)

    def silhouette(self, images: Tensor) -> Tensor:
        """The same probabilities of pictures (N, 3, HEAD_SIZE, HEAD_SIZE), differentiable."""
        return torch.sigmoid(self(images.float().contiguous(memory_format=torch.channels_last)))

    @torch.inference_mode()
    def masks(self, images: Tensor) -> Tensor:
        """How much of each pixel is head, and person, (N, 2, R, R) in [0, 1]; of FFHQ-aligned crops (N, 3, R, R) in
        [-1, 1]."""
        size = images.shape[-1]
        mode = {"mode": "area"} if size >= HEAD_SIZE else {"mode": "bilinear", "align_corners": False}
        small = F.interpolate(images.float(), (HEAD_SIZE, HEAD_SIZE), **mode)
        soft = torch.sigmoid(self(small.contiguous(memory_format=torch.channels_last)))
        return F.interpolate(soft, (size, size), mode="bilinear", align_corners=False)


def load_head(path: Path) -> HeadNet:
    """The network of one of this project's weights files. Raises WeightsMissing or BadCheckpoint."""
    net, _ = build_from_file(HeadNet, path, "head finder")
    return net


def fill_in(picture: Tensor, known: Tensor) -> Tensor:
    """Fill in the unknown pixels of a picture (N, C, H, W) smoothly; `known` (N, 1, H, W) is 1 for known pixels.

    Pull-push over a pyramid (Gortler et al. 1996, section 3.4): an unknown pixel takes the mean of the smallest
    neighbourhood with known pixels; without any known pixel it is 0.
    """
    if min(picture.shape[-2:]) == 1:
        return picture * (known > 0)
    weight = F.avg_pool2d(known, 2, ceil_mode=True)
    coarse = F.avg_pool2d(picture * known, 2, ceil_mode=True) / weight.clamp_min(1e-6)
    around = fill_in(coarse * (weight > 0), (4 * weight).clamp(max=1))
    around = F.interpolate(around, picture.shape[-2:], mode="bilinear", align_corners=False)
    return around + known * (picture - around)
