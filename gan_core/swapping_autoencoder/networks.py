"""Encoder and generator of the Swapping Autoencoder (Park et al., NeurIPS 2020), section 3.4 and appendix.

The encoder splits a picture into a structure code, a small map, and a texture code, one vector; the generator draws a
picture from any pair. Both networks are convolutional throughout, so any picture whose sides are whole multiples of
the structure code's step is taken. Channel counts are given one by one, because the published models differ in them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_core.stylegan2 import EqualConv2d, EqualLinear
from ops_cuda import bias_act, modulated_conv2d, setup_filter, upfirdn2d

Noise = str | Sequence[Tensor]
EPSILON = 1e-8


def unit_length(code: Tensor) -> Tensor:
    """Divide by the length over channels: texture codes (N, D), and each pixel of a map (N, C, h, w).

    A code of zeros stays one. The length is computed in float32: half precision has no number as small as EPSILON, and
    a grey wall's code of zeros would become 0 / 0.
    """
    return code * (code.float().square().sum(1, keepdim=True) + EPSILON).rsqrt().to(code.dtype)


# ---------------------------------------------------------------- encoder


class DownConv(nn.Module):
    """3x3 convolution with leaky ReLU that halves the size: blur [1, 2, 1] of the mirrored picture, then stride 2."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.weight_gain = 1 / math.sqrt(in_channels * 9)
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, 3, 3))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.register_buffer("filter", setup_filter((1, 2, 1)), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, I, H, W) to (N, O, H / 2, W / 2)."""
        x = upfirdn2d(F.pad(x, (2, 1, 2, 1), mode="reflect"), self.filter)
        return bias_act(F.conv2d(x, (self.weight * self.weight_gain).to(x.dtype), stride=2), self.bias)


class DownBlock(nn.Module):
    """Two convolutions, the second halving the size, beside a 1x1 skip; their sum over sqrt(2)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = EqualConv2d(in_channels, in_channels, 3, act="lrelu", padding=0)
        self.conv_down = DownConv(in_channels, out_channels)
        self.skip = EqualConv2d(in_channels, out_channels, 1, bias=False)
        self.register_buffer("filter", setup_filter((1, 2, 1)), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, I, H, W) to (N, O, H / 2, W / 2)."""
        # The main branch pads by mirroring, the skip with zeros.
        main = self.conv_down(self.conv(F.pad(x, (1, 1, 1, 1), mode="reflect")))
        skip = self.skip(upfirdn2d(x, self.filter, down=2, padding=(1, 0, 1, 0)))
        return (main + skip) * math.sqrt(0.5)


class Encoder(nn.Module):
    """Picture to structure code (a map, 16 times smaller by default) and texture code (a vector)."""

    def __init__(
        self,
        *,
        widths: Sequence[int] = (32, 64, 128, 256, 512),  # from full resolution to the structure code's
        texture_widths: Sequence[int] = (1024, 2048),  # of the two convolutions that lead on to the texture code
        structure_dim: int = 8,
        texture_dim: int = 2048,
    ) -> None:
        super().__init__()
        self.config: dict[str, Any] = {
            "widths": list(widths),
            "texture_widths": list(texture_widths),
            "structure_dim": structure_dim,
            "texture_dim": texture_dim,
        }
        self.from_rgb = EqualConv2d(3, widths[0], 1, act="lrelu")
        self.blocks = nn.ModuleList(DownBlock(a, b) for a, b in zip(widths, widths[1:], strict=False))
        last = widths[-1]
        self.to_structure = nn.ModuleList(
            [EqualConv2d(last, last, 1, act="lrelu"), EqualConv2d(last, structure_dim, 1)]
        )
        chain = [last, *texture_widths]
        # Stride 2 without blur; no padding, so that the texture code carries no position.
        self.texture = nn.ModuleList(StridedConv(a, b) for a, b in zip(chain, chain[1:], strict=False))
        self.to_texture = EqualLinear(chain[-1], texture_dim)

    @property
    def step(self) -> int:
        """Factor by which the structure code is smaller than the picture."""
        return 1 << len(self.blocks)

    @property
    def smallest(self) -> int:
        """Least side of a picture, in pixels: what the unpadded convolutions of the texture branch need."""
        side = 1
        for _ in self.texture:
            side = 2 * side + 1
        return side * self.step

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Structure (N, structure_dim, H / step, W / step) and texture (N, texture_dim) codes, each of unit length.

        `image` is (N, 3, H, W) in [-1, 1].

        Raises:
            ValueError: the sides are no multiples of `step`, or below `smallest`.
        """
        height, width = image.shape[-2:]
        if height % self.step or width % self.step or min(height, width) < self.smallest:
            raise ValueError(
                f"a picture of {height}x{width} does not fit: sides are multiples of {self.step}, "
                f"at least {self.smallest}"
            )
        x = self.from_rgb(image.contiguous(memory_format=torch.channels_last))
        for block in self.blocks:
            x = block(x)
        structure = self.to_structure[1](self.to_structure[0](x))
        for conv in self.texture:
            x = conv(x)
        texture = self.to_texture(x.mean((2, 3), dtype=torch.promote_types(x.dtype, torch.float32)))
        return unit_length(structure), unit_length(texture)


class StridedConv(EqualConv2d):
    """3x3 convolution of stride 2 with leaky ReLU, no blur, no padding."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 3, act="lrelu")

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]  # it has no gain to set
        """Map (N, I, H, W) to (N, O, (H - 1) / 2, (W - 1) / 2)."""
        weight = (self.weight * self.weight_gain).to(x.dtype)
        return bias_act(F.conv2d(x, weight, stride=2), self.bias)


# ---------------------------------------------------------------- generator (figure 18)


def modulation(affine: EqualLinear, texture: Tensor, size: Sequence[int]) -> Tensor:
    """`affine` of a texture code (N, D) as (N, C, 1, 1), or of a map of codes (N, D, h, w) as (N, C, *size)."""
    if texture.ndim == 2:
        return affine(texture)[:, :, None, None]
    n, _, h, w = texture.shape
    codes = texture.permute(0, 2, 3, 1).reshape(n * h * w, -1)
    values = affine(codes).view(n, h, w, -1).permute(0, 3, 1, 2)
    return F.interpolate(values, tuple(size), mode="bilinear", align_corners=False)


def modulate(x: Tensor, style: Tensor) -> tuple[Tensor, Tensor]:
    """x and styles (N, C) for `modulated_conv2d`; a map of styles is multiplied into x here."""
    if style.shape[2:] == (1, 1):
        return x, style.flatten(1)
    return x * style.to(x.dtype), style.new_ones(style.shape[:2])


class TextureConv(nn.Module):
    """Modulated 3x3 convolution, noise, bias, leaky ReLU. Unlike in StyleGAN2, style and weight are normalised
    separately.

    The style is divided by its root mean square over channels and scales the activations; the weight is demodulated
    without it. This allows the style to differ from pixel to pixel.
    """

    def __init__(self, in_channels: int, out_channels: int, texture_dim: int, *, up: int = 1) -> None:
        super().__init__()
        self.up = up
        self.weight_gain = 1 / math.sqrt(in_channels * 9)
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, 3, 3))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.noise_strength = nn.Parameter(torch.zeros(()))
        self.affine = EqualLinear(texture_dim, in_channels, bias_init=1.0)
        self.register_buffer("filter", setup_filter(), persistent=False)

    def forward(self, x: Tensor, texture: Tensor, noise: Tensor | None) -> Tensor:
        """Map features (N, I, h, w) to (N, O, h * up, w * up); noise is (1 or N, 1, h * up, w * up) or None."""
        style = modulation(self.affine, texture, x.shape[-2:])
        style = style * (style.square().mean(1, keepdim=True) + EPSILON).rsqrt()
        weight = self.weight * self.weight_gain
        weight = weight * (weight.square().sum((1, 2, 3), keepdim=True) + EPSILON).rsqrt()
        x, style = modulate(x, style)
        x = modulated_conv2d(x, weight, style, demodulate=False, up=self.up, resample_filter=self.filter)
        return bias_act(x, self.bias, noise=None if noise is None else noise * self.noise_strength)


class TextureResidualBlock(nn.Module):
    """Two texture-modulated convolutions beside a skip; their sum over sqrt(2).

    A block that keeps the size has a linear 1x1 skip where channels differ; one that doubles it has a skip with bias
    and activation where channels differ, and enlarges it bilinearly.
    """

    def __init__(self, in_channels: int, out_channels: int, texture_dim: int, *, up: int = 1) -> None:
        super().__init__()
        self.up = up
        self.conv1 = TextureConv(in_channels, out_channels, texture_dim, up=up)
        self.conv2 = TextureConv(out_channels, out_channels, texture_dim)
        self.skip = None
        if in_channels != out_channels:
            self.skip = EqualConv2d(in_channels, out_channels, 1, bias=up > 1, act="lrelu" if up > 1 else "linear")

    def forward(self, x: Tensor, texture: Tensor, noise: Iterator[Tensor | None]) -> Tensor:
        """Map (N, I, h, w) to (N, O, h * up, w * up), taking the next two of `noise`."""
        skip = x if self.skip is None else self.skip(x)
        if self.up > 1:
            skip = F.interpolate(skip, scale_factor=self.up, mode="bilinear", align_corners=False)
        main = self.conv2(self.conv1(x, texture, next(noise)), texture, next(noise))
        return (skip + main) * math.sqrt(0.5)


class SwappingGenerator(nn.Module):
    """Structure and texture codes to a picture."""

    def __init__(
        self,
        *,
        head_widths: Sequence[int] = (256, 512),  # of the blocks at the structure code's resolution
        widths: Sequence[int] = (512, 512, 256, 128),  # of the blocks that double it, one after another
        structure_dim: int = 8,
        texture_dim: int = 2048,
    ) -> None:
        super().__init__()
        self.config: dict[str, Any] = {
            "head_widths": list(head_widths),
            "widths": list(widths),
            "structure_dim": structure_dim,
            "texture_dim": texture_dim,
        }
        # Structure code, scaled and shifted by the texture.
        self.scale = EqualLinear(texture_dim, structure_dim, bias_init=1.0)
        self.shift = EqualLinear(texture_dim, structure_dim)
        chain = [structure_dim, *head_widths]
        self.head = nn.ModuleList(
            TextureResidualBlock(a, b, texture_dim) for a, b in zip(chain, chain[1:], strict=False)
        )
        chain = [chain[-1], *widths]
        self.blocks = nn.ModuleList(
            TextureResidualBlock(a, b, texture_dim, up=2) for a, b in zip(chain, chain[1:], strict=False)
        )
        self.to_rgb = TextureToRGB(chain[-1], texture_dim)

    def noise_sizes(self, height: int, width: int) -> list[tuple[int, int]]:
        """Size of each convolution's noise, in order, for a structure code of `height` x `width`."""
        sizes = [(height, width)] * (2 * len(self.head))
        for i in range(1, len(self.blocks) + 1):
            sizes += [(height << i, width << i)] * 2
        return sizes

    def draw_noise(
        self, height: int, width: int, *, count: int = 1, generator: torch.Generator | None = None
    ) -> list[Tensor]:
        """Noise for every convolution, (count, 1, h, w) each, to draw several pictures with the same; on the CPU
        generator's stream, moved to the network's device."""
        device = self.to_rgb.weight.device
        sizes = self.noise_sizes(height, width)
        return [torch.randn(count, 1, *size, generator=generator).to(device) for size in sizes]

    def forward(self, structure: Tensor, texture: Tensor, *, noise: Noise = "random") -> Tensor:
        """Pictures (N, 3, h * 2^k, w * 2^k), about [-1, 1], never clamped.

        Args:
            structure: (N, structure_dim, h, w).
            texture: (N, texture_dim), or for textures that vary over the picture a map (N, texture_dim, a, b) of codes,
                which is enlarged bilinearly to each layer's size. Both codes are scaled to unit length here, so that a
                mean of two textures is a texture.
            noise: "random" for new noise in each call, "none", or what `draw_noise` gave.

        Raises:
            ValueError: unknown noise, or maps of the wrong number.
        """
        structure, texture = unit_length(structure), unit_length(texture)
        sizes = self.noise_sizes(*structure.shape[-2:])
        if noise == "none":
            maps: list[Tensor | None] = [None] * len(sizes)
        elif noise == "random":
            n, device = structure.shape[0], structure.device
            maps = [torch.randn(n, 1, *size, device=device) for size in sizes]
        elif isinstance(noise, str) or len(noise) != len(sizes):
            raise ValueError(f'noise must be "random", "none" or {len(sizes)} maps')
        else:
            maps = list(noise)
        one_by_one = iter(maps)
        size = structure.shape[-2:]
        x = structure * modulation(self.scale, texture, size).to(structure.dtype)
        x = x + modulation(self.shift, texture, size).to(structure.dtype)
        x = x.contiguous(memory_format=torch.channels_last)
        for block in (*self.head, *self.blocks):
            x = block(x, texture, one_by_one)
        return self.to_rgb(x, texture)


class TextureToRGB(nn.Module):
    """1x1 convolution to colour, scaled by the texture; neither style nor weight is normalised."""

    def __init__(self, in_channels: int, texture_dim: int) -> None:
        super().__init__()
        self.weight_gain = 1 / math.sqrt(in_channels)
        self.weight = nn.Parameter(torch.randn(3, in_channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(3))
        self.affine = EqualLinear(texture_dim, in_channels, bias_init=1.0)

    def forward(self, x: Tensor, texture: Tensor) -> Tensor:
        """Colour (N, 3, h, w), float32 or better, of features (N, I, h, w)."""
        x, style = modulate(x, modulation(self.affine, texture, x.shape[-2:]))
        x = modulated_conv2d(x, self.weight * self.weight_gain, style, demodulate=False)
        return bias_act(x.float() if x.dtype.itemsize < 4 else x, self.bias, act="linear")


Generator = SwappingGenerator
"""The name that gan_core/checkpoints/swapping_autoencoder.py imports it by."""
