"""Layers with equalised learning rate, shared by mapping, synthesis and discriminator.

Weights are stored unscaled and multiplied by 1 / sqrt(fan_in) when used (Karras et al. 2018, section 4.1), so that
Adam moves every layer at the same relative speed. All published StyleGAN2 checkpoints store them this way.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ops_cuda import bias_act, conv2d, setup_filter, upfirdn2d


def normalize_2nd_moment(x: Tensor, eps: float = 1e-8) -> Tensor:
    """Divide each row of x (N, C) by its root mean square ("pixel norm" of the latent)."""
    return x * (x.square().mean(1, keepdim=True) + eps).rsqrt()


class EqualLinear(nn.Module):
    """Fully connected layer with equalised learning rate: act(x W^T c m / sqrt(I) + b m)."""

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        act: str = "linear",
        lr_multiplier: float = 1.0,  # m: weights and bias are stored 1/m larger, so that they learn m times slower.
        bias_init: float = 0.0,
    ) -> None:
        super().__init__()
        self.act = act
        self.weight_gain = lr_multiplier / math.sqrt(in_features)
        self.bias_gain = lr_multiplier
        self.weight = nn.Parameter(torch.randn(out_features, in_features) / lr_multiplier)
        self.bias = nn.Parameter(torch.full((out_features,), bias_init / lr_multiplier))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, I) to (N, O); computed in x's dtype."""
        y = torch.addmm(
            self.bias.to(x.dtype), x, self.weight.to(x.dtype).t(), beta=self.bias_gain, alpha=self.weight_gain
        )
        return y if self.act == "linear" else bias_act(y, act=self.act)


class EqualConv2d(nn.Module):
    """Convolution with equalised learning rate, optionally followed by blur-and-stride downsampling by 2."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        *,
        act: str = "linear",
        bias: bool = True,
        down: int = 1,
        padding: int | None = None,  # None: such that the size is kept
    ) -> None:
        super().__init__()
        self.act, self.down = act, down
        self.padding = kernel // 2 if padding is None else padding
        self.weight_gain = 1 / math.sqrt(in_channels * kernel * kernel)
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        self.register_buffer("filter", setup_filter(), persistent=False)

    def forward(self, x: Tensor, gain: float = 1.0) -> Tensor:
        """Map (N, I, H, W) to (N, O, H / down, W / down); `gain` scales the result."""
        plain = self.bias is None and self.act == "linear"
        weight = (self.weight * (self.weight_gain * gain if plain else self.weight_gain)).to(x.dtype)
        kernel = weight.shape[2]
        if self.down == 2:
            # Blur so that 2n pixels remain after the strided kernel: padding 2, 2 for a 3x3, 1, 1 for a 1x1.
            total = self.filter.shape[0] + kernel - 3
            pad = ((total + 1) // 2, total // 2) * 2
            if kernel == 1:
                x = upfirdn2d(x, self.filter, down=2, padding=pad)
                x = conv2d(x, weight)
            else:
                x = upfirdn2d(x, self.filter, padding=pad)
                x = conv2d(x, weight, stride=2)
        else:
            x = conv2d(x, weight, padding=self.padding)
        if plain:
            return x
        default = math.sqrt(2.0) if self.act == "lrelu" else 1.0
        return bias_act(x, self.bias, act=self.act, gain=default * gain)
