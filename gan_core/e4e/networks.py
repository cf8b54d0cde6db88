"""Networks of e4e (Tov et al. 2021): an IR-SE backbone, a three-level feature pyramid and one small head a style.

HFGI's own networks are made of the same blocks. All widths are arguments, so that the published network and the small
embedded one are the same classes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_core.stylegan2 import EqualLinear

WORKING_SIZE = 256  # the encoder, and HFGI's two other networks, see pictures of this side, or height
COARSE_STYLES, MIDDLE_STYLES = 3, 7  # styles below 3 read the 16x16 features, below 7 the 32x32 ones


def resize(x: Tensor, size: int | Sequence[int]) -> Tensor:
    """Bilinear resizing, corners not aligned, no antialiasing, as the published networks were trained with."""
    size = (size, size) if isinstance(size, int) else tuple(size)
    return x if x.shape[-2:] == size else F.interpolate(x, size, mode="bilinear", align_corners=False)


def working_shape(start_shape: Sequence[int]) -> tuple[int, int]:
    """Height and width in which an encoder sees the pictures of a generator that grows from a constant of this shape:
    (256, 256) of square pictures, (256, 128) of those that are twice as high as wide."""
    height, width = start_shape
    return WORKING_SIZE, WORKING_SIZE * width // height


class ChannelGate(nn.Module):
    """Squeeze and excitation: channels scaled by a gate computed from their spatial means."""

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        hidden = max(channels // reduction, 1)
        self.squeeze = nn.Conv2d(channels, hidden, 1, bias=False)
        self.expand = nn.Conv2d(hidden, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        gate = self.expand(F.relu(self.squeeze(x.mean((2, 3), keepdim=True))))
        return x * torch.sigmoid(gate)


class ResidualBlock(nn.Module):
    """Improved residual unit of ArcFace: norm, conv, PReLU, conv (with the stride), norm, and with `gated` a channel
    gate."""

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1, *, gated: bool = False) -> None:
        super().__init__()
        self.stride = stride
        self.norm_in = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
        self.act = nn.PReLU(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, stride, padding=1, bias=False)
        self.norm_out = nn.BatchNorm2d(out_channels)
        self.gate = ChannelGate(out_channels) if gated else None
        self.shortcut = None
        if in_channels != out_channels:
            conv = nn.Conv2d(in_channels, out_channels, 1, bias=False)
            self.shortcut = nn.Sequential(conv, nn.BatchNorm2d(out_channels))

    def forward(self, x: Tensor) -> Tensor:
        """(N, I, H, W) to (N, O, H / stride, W / stride)."""
        y = self.norm_out(self.conv2(self.act(self.conv1(self.norm_in(x)))))
        if self.gate is not None:
            y = self.gate(y)
        # Pixels are skipped before the shortcut's 1x1 convolution instead of by its stride: the result is the same, and
        # the backward pass of a strided 1x1 convolution (channels_last, CPU, PyTorch 2.15) writes out of bounds.
        x = x[:, :, :: self.stride, :: self.stride]
        return y + (x if self.shortcut is None else self.shortcut(x))


class Stem(nn.Module):
    """3x3 convolution at full resolution, norm, PReLU."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(out_channels)
        self.act = nn.PReLU(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, I, H, W) to (N, O, H, W)."""
        return self.act(self.norm(self.conv(x)))


def residual_stage(
    in_channels: int, out_channels: int, blocks: int, stride: int, *, gated: bool = False
) -> nn.Sequential:
    """`blocks` residual blocks, (N, I, H, W) to (N, O, H / stride, W / stride)."""
    first = ResidualBlock(in_channels, out_channels, stride, gated=gated)
    rest = (ResidualBlock(out_channels, out_channels, gated=gated) for _ in range(blocks - 1))
    return nn.Sequential(first, *rest)


class StyleHead(nn.Module):
    """Features to one style vector: convolutions of stride 2 down to one pixel, then a linear layer."""

    def __init__(self, channels: int, hidden: int, w_dim: int, pixels: int) -> None:
        super().__init__()
        widths = [channels] + [hidden] * int(math.log2(pixels))
        self.convs = nn.ModuleList(
            nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in zip(widths, widths[1:], strict=False)
        )
        self.linear = EqualLinear(hidden, w_dim)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, pixels, pixels or fewer) to (N, w_dim)."""
        for conv in self.convs:
            x = F.leaky_relu(conv(x), 0.01)
        return self.linear(x.flatten(1))


class Encoder4Editing(nn.Module):
    """Basic encoder E0: picture to W+ as one base style plus an offset a layer (e4e, section 4; HFGI, section
    3.1)."""

    def __init__(
        self,
        num_styles: int = 18,  # one a layer of the generator
        w_dim: int = 512,
        *,
        stem: int = 64,
        stages: Sequence[Sequence[int]] = (
            (64, 3),
            (128, 4),
            (256, 14),
            (512, 3),
        ),  # channels, blocks; IR-SE50
        head: int = 512,  # channels inside the style heads
    ) -> None:
        super().__init__()
        self.config = {
            "num_styles": num_styles,
            "w_dim": w_dim,
            "stem": stem,
            "stages": [list(stage) for stage in stages],
            "head": head,
        }
        self.stem = Stem(3, stem)
        widths = [stem] + [channels for channels, _ in stages]
        self.stages = nn.ModuleList(
            residual_stage(widths[i], widths[i + 1], blocks, 2, gated=True) for i, (_, blocks) in enumerate(stages)
        )
        self.lateral_middle = nn.Conv2d(widths[3], widths[4], 1)
        self.lateral_fine = nn.Conv2d(widths[2], widths[4], 1)
        self.heads = nn.ModuleList(
            StyleHead(widths[4], head, w_dim, 16 if i < COARSE_STYLES else 32 if i < MIDDLE_STYLES else 64)
            for i in range(num_styles)
        )

    def forward(self, image: Tensor) -> Tensor:
        """W+ codes (N, num_styles, w_dim), relative to the mean latent, of pictures (N, 3, 256, 256) in [-1, 1], or of
        tall ones (N, 3, 256, 128)."""
        base, offsets = self.parts(image)
        return torch.cat([base[:, None], base[:, None] + offsets], 1)

    def parts(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """The base style (N, w_dim) and each later layer's offset from it (N, num_styles - 1, w_dim)."""
        coarse, middle, fine = self.pyramid(image)
        base = self.heads[0](coarse)
        offsets = [
            head(coarse if i < COARSE_STYLES else middle if i < MIDDLE_STYLES else fine)
            for i, head in enumerate(self.heads[1:], start=1)
        ]
        return base, torch.stack(offsets, 1)

    def pyramid(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Features of 16x16, 32x32 and 64x64 pixels, the finer ones with the coarser ones' added."""
        x = self.stages[0](self.stem(image))
        fine = self.stages[1](x)
        middle = self.stages[2](fine)
        coarse = self.stages[3](middle)
        middle = self._up(coarse, self.lateral_middle(middle))
        return coarse, middle, self._up(middle, self.lateral_fine(fine))

    @staticmethod
    def _up(x: Tensor, lateral: Tensor) -> Tensor:
        return F.interpolate(x, lateral.shape[-2:], mode="bilinear", align_corners=True) + lateral
