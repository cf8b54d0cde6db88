"""The Swapping Autoencoder, optimised for one GPU: half precision, each of the two networks as one CUDA graph.

What differs from the readable networks, and why they are the same functions:
- Weights are scaled and demodulated once, because this model's demodulation does not depend on the style.
- An upsampling and the blur after it are one convolution (`gan_core.stylegan2.fused.fold_upsampling`). The encoder's
  blur and the strided convolution after it are one 5x5 convolution where that is cheaper than a pass over the map.
- Everything after a convolution is one pass (`ops_cuda.finish`): activation, skip, the next convolution's styles,
  ToRGB, and the mirrored edges of the encoder's maps.
- All styles come from one matrix product, in float32. Codes are normalised in float32, too.
- Modulated features are divided by `HEADROOM`, a power of two, and the convolution's output is multiplied by it: exact,
  and far from float16's largest number.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_core.graphs import Captured
from gan_core.stylegan2 import EqualConv2d
from gan_core.stylegan2.fused import fold_upsampling
from gan_core.swapping_autoencoder.networks import (
    EPSILON,
    DownBlock,
    Encoder,
    StridedConv,
    SwappingGenerator,
    TextureResidualBlock,
    unit_length,
)
from ops_cuda import bias_act, finish, setup_filter, upfirdn2d

HEADROOM = 8.0
# Folded, the blur costs 16 more multiplications for each of the outputs' channels; by itself, a pass over the inputs.
FOLD_UP_TO = 128


def fold_blur(weight: Tensor, filter: Tensor) -> Tensor:
    """The 5x5 kernel (O, I, 5, 5) that filters with the symmetric `filter` (3, 3) and then convolves with `weight`
    (O, I, 3, 3)."""
    kernels = weight.flatten(0, 1)[:, None].to(filter.dtype)
    return F.conv2d(kernels, filter[None, None], padding=2).view(*weight.shape[:2], 5, 5)


class _Packed(nn.Module):
    """Base of modules that keep convolution weights in half precision, channels last, and everything else in
    float32."""

    dtype: torch.dtype

    def _conv(self, name: str, weight: Tensor) -> None:
        self.register_buffer(name, weight.detach().to(self.dtype, memory_format=torch.channels_last))

    def _wide(self, name: str, value: Tensor) -> None:
        self.register_buffer(name, value.detach().float().clone())

    def _bias(self, name: str, bias: Tensor, scale: float = 1.0) -> None:
        """Register a bias, and the factor that `finish` multiplies with before it adds the bias."""
        self._wide(f"{name}_bias", bias)
        self._wide(f"{name}_scale", torch.full_like(bias, scale)[None])

    def _finish(self, name: str, raw: Tensor, **extras: Any) -> tuple[Tensor | None, ...]:
        scale = getattr(self, f"{name}_scale").expand(raw.shape[0], -1)
        return finish(raw, scale, getattr(self, f"{name}_bias"), **extras)


def _scaled(conv: EqualConv2d | nn.Module) -> Tensor:
    return conv.weight * conv.weight_gain


# ---------------------------------------------------------------- encoder


class FastDownBlock(_Packed):
    """`DownBlock` of a map that already includes its mirrored edges, one pixel wide."""

    def __init__(self, block: DownBlock, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype
        self._wide("filter", block.filter)
        self.folded = block.conv_down.weight.shape[0] <= FOLD_UP_TO
        down = _scaled(block.conv_down)
        self._conv("weight", _scaled(block.conv))
        self._conv("weight_down", fold_blur(down, block.filter) if self.folded else down)
        self._conv("weight_skip", _scaled(block.skip))
        self._bias("conv", block.conv.bias)
        self._bias("down", block.conv_down.bias)

    def forward(self, x: Tensor, edges: tuple[int, int]) -> Tensor:
        """Map (N, I, H + 2, W + 2) to (N, O, H / 2, W / 2), mirrored as `edges` says."""
        blurred = upfirdn2d(x[:, :, 1:-1, 1:-1], self.filter, down=2, padding=(1, 0, 1, 0))
        skip = F.conv2d(blurred, self.weight_skip)
        x = self._finish("conv", F.conv2d(x, self.weight), plain=True, mirror=(2, 1))[2]
        if not self.folded:
            x = upfirdn2d(x, self.filter)
        x = F.conv2d(x, self.weight_down, stride=2)
        return self._finish("down", x, skip=skip, plain=True, mirror=edges)[2]


class FastEncoder(_Packed):
    """Computes the same as `Encoder`."""

    def __init__(self, encoder: Encoder, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype
        # Matrix units need more than three channels.
        self._conv("weight_rgb", F.pad(_scaled(encoder.from_rgb), (0, 0, 0, 0, 0, 5)))
        self._bias("rgb", encoder.from_rgb.bias)
        self.blocks = nn.ModuleList(FastDownBlock(block, dtype) for block in encoder.blocks)
        hidden, last = encoder.to_structure
        self._conv("weight_hidden", _scaled(hidden))
        self._bias("hidden", hidden.bias)
        self._conv("weight_structure", _scaled(last))
        self._wide("bias_structure", last.bias)
        self.texture = len(encoder.texture)
        for i, conv in enumerate(encoder.texture):
            assert isinstance(conv, StridedConv)
            self._conv(f"weight_texture{i}", _scaled(conv))
            self._wide(f"bias_texture{i}", conv.bias)
        self._wide("linear", encoder.to_texture.weight * encoder.to_texture.weight_gain)
        self._wide("linear_bias", encoder.to_texture.bias * encoder.to_texture.bias_gain)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Codes, float32, of pictures (N, 3, H, W) in [-1, 1]."""
        n, _, h, w = image.shape
        shape = {"dtype": self.dtype, "device": image.device, "memory_format": torch.channels_last}
        x = torch.empty(n, 8, h, w, **shape).zero_()
        x[:, :3] = image
        x = self._finish("rgb", F.conv2d(x, self.weight_rgb), plain=True, mirror=(1, 1))[2]
        for i, block in enumerate(self.blocks, 1):
            x = block(x, (1, 1) if i < len(self.blocks) else (0, 0))
        hidden = self._finish("hidden", F.conv2d(x, self.weight_hidden), plain=True)[2]
        structure = F.conv2d(hidden, self.weight_structure).float() + self.bias_structure[:, None, None]
        for i in range(self.texture):
            x = F.conv2d(x, getattr(self, f"weight_texture{i}"), stride=2)
            x = bias_act(x, getattr(self, f"bias_texture{i}"))
        texture = torch.addmm(self.linear_bias, x.mean((2, 3), dtype=torch.float32), self.linear.t())
        return unit_length(structure), unit_length(texture)


# ---------------------------------------------------------------- generator


class FastResidualBlock(_Packed):
    """`TextureResidualBlock` of features given twice: modulated for its first convolution, and as they are."""

    def __init__(self, block: TextureResidualBlock, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype, self.up = dtype, block.up
        for name, conv in (("conv1", block.conv1), ("conv2", block.conv2)):
            weight = _scaled(conv)
            weight = weight * (weight.square().sum((1, 2, 3), keepdim=True) + EPSILON).rsqrt()
            if conv.up == 2:
                weight = fold_upsampling(weight, setup_filter().to(weight.device))
            self._conv(f"{name}_weight", weight)
            self._bias(name, conv.bias, HEADROOM)
            self._wide(f"{name}_noise", conv.noise_strength)
        if block.skip is not None:
            self._conv("skip_weight", _scaled(block.skip))
            if block.up == 2:
                self._bias("skip", block.skip.bias)

    def forward(
        self, x: Tensor, skip: Tensor, style: Tensor, noise: Sequence[Tensor | None], **after: object
    ) -> tuple[Tensor | None, ...]:
        """What `finish` gives for x (N, I, h, w), modulated, and `skip`, the same unmodulated. `style` is the second
        convolution's, `after` what follows the block."""
        if hasattr(self, "skip_weight"):
            skip = F.conv2d(skip, self.skip_weight)
            if self.up == 2:
                skip = self._finish("skip", skip, plain=True)[2]
        raw = F.conv2d(x, self.conv1_weight, padding=1)
        added = [None if n is None else n * s for n, s in zip(noise, (self.conv1_noise, self.conv2_noise), strict=True)]
        x = self._finish("conv1", raw, noise=added[0], shuffle=self.up == 2, styles=style)[0]
        raw = F.conv2d(x, self.conv2_weight, padding=1)
        return self._finish("conv2", raw, noise=added[1], skip=skip, **after)


class FastGenerator(_Packed):
    """Computes the same as `SwappingGenerator`, for one texture per picture."""

    def __init__(self, generator: SwappingGenerator, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype
        blocks = (*generator.head, *generator.blocks)
        self.blocks = nn.ModuleList(FastResidualBlock(block, dtype) for block in blocks)
        convs = [conv for block in blocks for conv in (block.conv1, block.conv2)]
        affines = [conv.affine for conv in convs] + [generator.to_rgb.affine, generator.scale, generator.shift]
        self.sizes = [affine.weight.shape[0] for affine in affines]
        self._wide("affine", torch.cat([affine.weight * affine.weight_gain for affine in affines]))
        self._wide("affine_bias", torch.cat([affine.bias * affine.bias_gain for affine in affines]))
        # Indices into the running sum of squared styles, from which all convolutions' mean squares follow at once.
        sizes, first = self.sizes[: len(convs)], 0
        places = torch.full((len(convs), max(sizes)), sum(sizes))
        for row, size in zip(places, sizes, strict=True):
            row[:size] = torch.arange(first, first + size)
            first += size
        device = self.affine.device
        self.register_buffer("places", places.to(device))
        self.register_buffer("owner", torch.repeat_interleave(torch.tensor(sizes)).to(device))
        self._wide("counts", torch.tensor(sizes, device=device))
        self._wide("rgb_weight", _scaled(generator.to_rgb).flatten(1))
        self._wide("rgb_bias", generator.to_rgb.bias)

    def styles(self, texture: Tensor) -> tuple[Tensor, ...]:
        """Of texture codes (N, D): each convolution's styles, normalised and divided by HEADROOM, then ToRGB's, and
        scale and shift of the structure code."""
        values = torch.addmm(self.affine_bias, unit_length(texture), self.affine.t())
        mine, others = values[:, : len(self.owner)], values[:, len(self.owner) :]
        squares = F.pad(mine.square(), (0, 1))[:, self.places].sum(2) / self.counts
        factor = (squares + EPSILON).rsqrt() / HEADROOM
        return torch.cat([mine * factor[:, self.owner], others], 1).split(self.sizes, 1)

    def forward(self, structure: Tensor, texture: Tensor, *noise: Tensor) -> Tensor:
        """Pictures (N, 3, H, W), float32, not clamped, of codes (N, structure_dim, h, w) and (N, texture_dim); `noise`
        is what `SwappingGenerator.draw_noise` gives, or nothing."""
        *styles, rgb_style, scale, shift = self.styles(texture)
        plain = unit_length(structure) * scale[:, :, None, None] + shift[:, :, None, None]
        x = plain * styles[0][:, :, None, None]
        x, plain = (t.to(self.dtype, memory_format=torch.channels_last) for t in (x, plain))
        maps = noise or (None,) * len(styles)
        for i, block in enumerate(self.blocks):
            last = i + 1 == len(self.blocks)
            after: dict = {"plain": True} if not last else {
                "rgb_weight": self.rgb_weight, "rgb_styles": rgb_style, "rgb_bias": self.rgb_bias
            }  # fmt: skip
            after["styles"] = None if last else styles[2 * i + 2]
            x, image, plain = block(x, plain, styles[2 * i + 1], maps[2 * i : 2 * i + 2], **after)
        return image


class FastNetworks:
    """Both networks of a pipeline on one GPU. Make a new object after they have been moved."""

    def __init__(self, encoder: Encoder, generator: SwappingGenerator, dtype: torch.dtype = torch.float16) -> None:
        with torch.no_grad():
            self._encoder, self._generator = FastEncoder(encoder, dtype), FastGenerator(generator, dtype)
        self.encode = Captured(self._encoder)
        """Pictures (N, 3, H, W) with sides as `Encoder` takes them, in [-1, 1], to structure and texture codes,
        float32."""
        self.draw = Captured(self._generator, rows=True)
        """Structure and texture codes, and either all noise maps or none, to pictures, float32."""
