"""Synthesis network g: W+ -> image, with skip connections to RGB (Karras et al. 2020, sections 2 and 4)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_core.stylegan2.layers import EqualLinear
from ops_cuda import bias_act, demodulation, modulated_conv2d, scaled_conv2d, setup_filter, upfirdn2d

Inject = Mapping[int, Callable[[Tensor], Tensor]]
NOISE_MODES = ("const", "random", "none")


def channels_at(resolution: int, channel_base: int, channel_max: int) -> int:
    """Feature maps at a resolution (height in pixels): channel_base / resolution, at most channel_max."""
    return min(channel_base // resolution, channel_max)


def mix_channels(x: Tensor, weight: Tensor) -> Tensor:
    """Each sample's pixels of x (N, I, H, W) times its own matrix of `weight` (N, O, I), for small O: (N, O, H, W).

    A modulated 1x1 convolution that reads x once and writes no scaled copy of it.
    """
    n, channels, height, width = x.shape
    outputs = weight.shape[1]
    weight = F.pad(weight, (0, 0, 0, -outputs % 8)).to(x.dtype)  # matrix units want sides of a multiple of 8
    pixels = x.permute(0, 2, 3, 1).reshape(n, height * width, channels)
    mixed = torch.bmm(pixels, weight.transpose(1, 2))[:, :, :outputs]
    return mixed.transpose(1, 2).reshape(n, outputs, height, width)


class StyledConv(nn.Module):
    """Modulated convolution, noise, bias, leaky ReLU (figure 2c of the paper)."""

    def __init__(self, in_channels: int, out_channels: int, w_dim: int, size: tuple[int, int], *, up: int = 1) -> None:
        super().__init__()
        self.up = up
        self.weight_gain = 1 / math.sqrt(in_channels * 9)
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, 3, 3))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.noise_strength = nn.Parameter(torch.zeros(()))
        self.affine = EqualLinear(w_dim, in_channels, bias_init=1.0)
        self.register_buffer("noise_const", torch.randn(size))
        self.register_buffer("filter", setup_filter(), persistent=False)

    def forward(self, x: Tensor, w: Tensor, noise: str = "const") -> Tensor:
        """Map features (N, I, h, w) and latent w (N, w_dim) to (N, O, h * up, w * up)."""
        styles, weight = self.affine(w), self.weight * self.weight_gain
        # For a single sample the weight is scaled and demodulated. For several samples, or when the latent is learned,
        # the features are scaled instead, and the demodulation is applied in the pass that adds the bias: one weight
        # serves all samples and needs no gradient.
        single = x.shape[0] == 1 and not (torch.is_grad_enabled() and w.requires_grad)
        factor = None if single else demodulation(weight, styles)
        if single:
            x = modulated_conv2d(x, weight, styles, up=self.up, resample_filter=self.filter)
        else:
            x = scaled_conv2d(x, weight, styles, up=self.up, resample_filter=self.filter)
        added = None
        if noise == "const":
            added = (self.noise_const * self.noise_strength)[None, None]
        elif noise == "random":
            added = torch.randn(x.shape[0], 1, *x.shape[2:], device=x.device) * self.noise_strength
        return bias_act(x, self.bias, noise=added, scale=factor)


class ToRGB(nn.Module):
    """1x1 modulated convolution to colour, not demodulated."""

    def __init__(self, in_channels: int, w_dim: int) -> None:
        super().__init__()
        self.weight_gain = 1 / math.sqrt(in_channels)
        self.weight = nn.Parameter(torch.randn(3, in_channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(3))
        self.affine = EqualLinear(w_dim, in_channels, bias_init=1.0)
        self.register_buffer("filter", setup_filter(), persistent=False)

    def forward(self, x: Tensor, w: Tensor, image: Tensor | None) -> Tensor:
        """Colour of features (N, I, h, w) in float32, added to the upsampled `image` (N, 3, h / 2, w / 2)."""
        styles, weight = self.affine(w), self.weight * self.weight_gain
        colour = mix_channels(x, weight.flatten(1) * styles[:, None])
        colour = bias_act(colour.float() if colour.dtype.itemsize < 4 else colour, self.bias, act="linear")
        if image is not None:
            colour = colour + upfirdn2d(image, self.filter, up=2, padding=(2, 1, 2, 1), gain=4.0)
        return colour


class SynthesisBlock(nn.Module):
    """One resolution: an upsampling convolution (not at the start), a convolution, and its colour."""

    def __init__(self, in_channels: int, out_channels: int, w_dim: int, size: tuple[int, int], *, first: bool) -> None:
        super().__init__()
        self.conv_up = None if first else StyledConv(in_channels, out_channels, w_dim, size, up=2)
        self.conv = StyledConv(out_channels, out_channels, w_dim, size)
        self.to_rgb = ToRGB(out_channels, w_dim)


class SynthesisNetwork(nn.Module):
    """w+ to an image. Layer 0 is the 4x4 convolution and 1 its ToRGB; each further resolution takes two indices
    for its convolutions, and its ToRGB shares the index with the next resolution's first convolution."""

    def __init__(
        self,
        resolution: int = 256,  # height in pixels
        *,
        w_dim: int = 512,
        channel_base: int = 32768,
        channel_max: int = 512,
        start_shape: tuple[int, int] = (4, 4),  # (4, 2) for pictures twice as high as wide
    ) -> None:
        super().__init__()
        steps = int(math.log2(resolution // start_shape[0]))
        if start_shape[0] << steps != resolution:
            raise ValueError(f"resolution {resolution} is not {start_shape[0]} times a power of two")
        self.resolution, self.w_dim, self.num_ws = resolution, w_dim, 2 * steps + 2
        heights = [start_shape[0] << i for i in range(steps + 1)]
        widths = [start_shape[1] << i for i in range(steps + 1)]
        channels = [channels_at(height, channel_base, channel_max) for height in heights]
        self.start = nn.Parameter(torch.randn(channels[0], *start_shape))
        self.blocks = nn.ModuleList(
            SynthesisBlock(channels[max(i - 1, 0)], channels[i], w_dim, (heights[i], widths[i]), first=i == 0)
            for i in range(steps + 1)
        )

    def forward(
        self,
        w_plus: Tensor,
        *,
        noise: str = "const",
        inject: Inject | None = None,
        dtype: torch.dtype | None = None,
        start: Tensor | None = None,
    ) -> Tensor:
        """Draw images.

        Args:
            w_plus: (N, num_ws, w_dim).
            noise: "const" for the stored noise, "random" for new noise each call, "none".
            inject: by latent index, a function of that convolution's output after noise, bias and activation.
            dtype: of the convolutions (bfloat16, float16); None for the weights' own. Colour sums stay in float32.
            start: (N or 1, C, h, w) features instead of the learned constant.

        Returns:
            (N, 3, H, W), about [-1, 1], never clamped.

        Raises:
            ValueError: w_plus of another shape, or an unknown noise mode.
        """
        if w_plus.ndim != 3 or w_plus.shape[1:] != (self.num_ws, self.w_dim):
            raise ValueError(f"w_plus has shape {tuple(w_plus.shape)}, expected (N, {self.num_ws}, {self.w_dim})")
        if noise not in NOISE_MODES:
            raise ValueError(f"noise must be one of {', '.join(NOISE_MODES)}")
        inject = inject or {}
        x = self.start[None] if start is None else start
        x = x.to(dtype or x.dtype).expand(w_plus.shape[0], -1, -1, -1).contiguous(memory_format=torch.channels_last)
        image = None
        for i, block in enumerate(self.blocks):
            index = 2 * i - 1
            if block.conv_up is not None:
                x = block.conv_up(x, w_plus[:, index], noise)
                if index in inject:
                    x = inject[index](x)
            x = block.conv(x, w_plus[:, index + 1], noise)
            if index + 1 in inject:
                x = inject[index + 1](x)
            image = block.to_rgb(x, w_plus[:, index + 2], image)
        return image
