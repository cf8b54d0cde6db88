"""Discriminator with residual blocks (Karras et al. 2020, section 4 and figure 7c)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from gan_core.stylegan2.layers import EqualConv2d, EqualLinear, normalize_2nd_moment
from gan_core.stylegan2.synthesis import channels_at


def minibatch_stddev(x: Tensor, group: int = 4, eps: float = 1e-8) -> Tensor:
    """Append the mean standard deviation of each group of samples as one channel: (N, C, H, W) to (N, C + 1, H, W).

    Karras et al. 2018, section 3. The group index is the slow one: with 8 samples, 0, 2, 4 and 6 form a group.
    """
    n, _, h, w = x.shape
    size = group if n % group == 0 else math.gcd(n, group)
    size = n if n < group else size
    y = x.float() if x.dtype.itemsize < 4 else x
    y = y.reshape(size, n // size, *x.shape[1:])
    spread = ((y - y.mean(0)).square().mean(0) + eps).sqrt().mean([1, 2, 3])
    return torch.cat([x, spread.to(x.dtype).repeat(size).view(n, 1, 1, 1).expand(n, 1, h, w)], 1)


class DiscriminatorBlock(nn.Module):
    """Two 3x3 convolutions, the second downsampling by 2, beside a 1x1 skip; their sum over sqrt(2)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = EqualConv2d(in_channels, in_channels, 3, act="lrelu")
        self.conv_down = EqualConv2d(in_channels, out_channels, 3, act="lrelu", down=2)
        self.skip = EqualConv2d(in_channels, out_channels, 1, bias=False, down=2)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, I, H, W) to (N, O, H / 2, W / 2)."""
        half = math.sqrt(0.5)
        return self.conv_down(self.conv(x), gain=half) + self.skip(x, gain=half)


class Epilogue(nn.Module):
    """Minibatch statistics, a convolution and two linear layers at the lowest resolution."""

    def __init__(self, channels: int, pixels: int, outputs: int) -> None:
        super().__init__()
        self.conv = EqualConv2d(channels + 1, channels, 3, act="lrelu")
        self.fc = EqualLinear(channels * pixels, channels, act="lrelu")
        self.out = EqualLinear(channels, outputs)


class Discriminator(nn.Module):
    """Image, and a class label if there is one, to a score: positive for real."""

    def __init__(
        self,
        resolution: int = 256,  # height in pixels
        *,
        c_dim: int = 0,  # width of the class label; 0 for none
        channel_base: int = 32768,
        channel_max: int = 512,
        start_shape: Sequence[int] = (4, 4),
        mbstd_group: int = 4,
        img_channels: int = 3,  # 4 for pictures with a mask
        widths: Sequence[int] | None = None,  # channels from the lowest resolution up, where no base and max give them
    ) -> None:
        super().__init__()
        self.config: dict[str, Any] = {
            "resolution": resolution,
            "c_dim": c_dim,
            "channel_base": channel_base,
            "channel_max": channel_max,
            "start_shape": list(start_shape),
            "mbstd_group": mbstd_group,
            "img_channels": img_channels,
        }
        if widths is not None:
            self.config["widths"] = list(widths)
        self.mbstd_group = mbstd_group
        steps = int(math.log2(resolution // start_shape[0]))
        channels = list(
            widths or (channels_at(start_shape[0] << i, channel_base, channel_max) for i in range(steps + 1))
        )
        self.from_rgb = EqualConv2d(img_channels, channels[-1], 1, act="lrelu")
        self.blocks = nn.ModuleList(DiscriminatorBlock(channels[i], channels[i - 1]) for i in range(steps, 0, -1))
        self.epilogue = Epilogue(channels[0], start_shape[0] * start_shape[1], channels[0] if c_dim else 1)
        # Projection discriminator: the label, mapped like in the generator, is compared with the last features.
        self.label = None
        if c_dim:
            width = channels[0]
            layers = [EqualLinear(c_dim, width)]
            layers += [EqualLinear(width, width, act="lrelu", lr_multiplier=0.01) for _ in range(8)]
            self.label = nn.ModuleList(layers)

    def features(self, image: Tensor, dtype: torch.dtype | None = None) -> list[Tensor]:
        """Feature maps after `from_rgb` and after each block, highest resolution first, for image (N, C, H, W)."""
        x = image.to(dtype or image.dtype).contiguous(memory_format=torch.channels_last)
        x = self.from_rgb(x)
        outputs = [x]
        for block in self.blocks:
            x = block(x)
            outputs.append(x)
        return outputs

    def forward(self, image: Tensor, c: Tensor | None = None, *, dtype: torch.dtype | None = None) -> Tensor:
        """Scores (N, 1), float32 or better, of images (N, C, H, W) in about [-1, 1] with labels c (N, c_dim).

        Raises:
            ValueError: the network is conditional and no label was given.
        """
        return self.score_of(self.features(image, dtype)[-1], c)

    def score_of(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """Scores (N, 1) of the last block's features x (N, C, h, w); see `forward`."""
        x = self.epilogue.conv(minibatch_stddev(x, self.mbstd_group))
        x = x.contiguous().flatten(1)
        x = self.epilogue.fc(x.float() if x.dtype.itemsize < 4 else x)
        x = self.epilogue.out(x)
        if self.label is None:
            return x
        if c is None:
            raise ValueError("this discriminator is conditional: give a label c")
        y = normalize_2nd_moment(self.label[0](c))
        for layer in self.label[1:]:
            y = layer(y)
        return (x * y).sum(1, keepdim=True) / math.sqrt(x.shape[1])
