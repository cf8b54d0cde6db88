"""Generator of CoModGAN (Zhao et al., ICLR 2021): a conditional encoder and StyleGAN2's synthesis, co-modulated.

Two things modulate every layer of the synthesis network (section 3, figure 2d): w, mapped from noise, which makes
completions differ, and a global vector that the encoder reads off the condition, which makes them fit. The encoder's
features are added to the synthesis features of the same size. The discriminator is StyleGAN2's, with the mask as a
fourth channel (`gan_core.stylegan2.Discriminator(img_channels=4)`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_core.stylegan2 import EqualConv2d, EqualLinear, MappingNetwork, SynthesisNetwork
from gan_core.stylegan2.synthesis import channels_at


def hole_condition(image: Tensor, known: Tensor) -> Tensor:
    """The encoder's input for a picture with a hole: (N, 4, H, W), the mask minus 0.5 and the known pixels.

    `image` is (N, 3, H, W) in [-1, 1]; `known` is (N or 1, 1, H, W), 1 where the picture is known and 0 in the hole.
    """
    known = known.to(image).expand(image.shape[0], -1, -1, -1)
    return torch.cat([known - 0.5, image * known], 1)


def drawing_condition(drawing: Tensor, channels: int = 1) -> Tensor:
    """The encoder's input for a drawing (N, 1, H, W) in [0, 1], 1 = line.

    With one channel the drawing minus 0.5; with three a picture in [-1, 1] of black lines on white.
    """
    return drawing - 0.5 if channels == 1 else (1 - 2 * drawing).expand(-1, channels, -1, -1)


def keep_known(generated: Tensor, image: Tensor, known: Tensor) -> Tensor:
    """`generated` (N, 3, H, W) with the known pixels of `image` (N or 1, 3, H, W), unchanged to the last bit."""
    known = known.to(generated)
    return torch.where(known == 1, image.to(generated), generated * (1 - known) + image.to(generated) * known)


@dataclass(frozen=True)
class Encoding:
    """The encoder's output for a condition, which serves any number of completions."""

    features: dict[int, Tensor]  # by side in pixels, from the full resolution to 4
    code: Tensor  # global vector (N, global_dim)

    def to(self, device: torch.device | str) -> Encoding:
        """The same on another device."""
        return Encoding({side: x.to(device) for side, x in self.features.items()}, self.code.to(device))


def joined(encodings: Sequence[Encoding], counts: Sequence[int]) -> Encoding:
    """One encoding with a row for each picture to be decoded: of conditions with one row each, so many pictures."""
    first = encodings[0].features

    def rows(parts: Sequence[Tensor]) -> Tensor:
        return torch.cat([part.expand(n, *part.shape[1:]) for part, n in zip(parts, counts, strict=True)])

    features = {side: rows([encoding.features[side].to(first[side].dtype) for encoding in encodings]) for side in first}
    return Encoding(features, rows([encoding.code for encoding in encodings]))


class EncoderBlock(nn.Module):
    """A convolution, whose output is the skip feature, and one that halves the size."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = EqualConv2d(in_channels, in_channels, 3, act="lrelu")
        self.conv_down = EqualConv2d(in_channels, out_channels, 3, act="lrelu", down=2)


class ConditionalEncoder(nn.Module):
    """Condition to skip features at every resolution and to the global vector (E of figure 2)."""

    def __init__(
        self, resolution: int, *, in_channels: int, global_dim: int, channel_base: int, channel_max: int
    ) -> None:
        super().__init__()
        sides = [resolution >> i for i in range(int(math.log2(resolution)) - 1)]  # down to 4
        channels = [channels_at(side, channel_base, channel_max) for side in sides]
        self.sides = sides
        self.from_rgb = EqualConv2d(in_channels, channels[0], 1, act="lrelu")
        self.blocks = nn.ModuleList(EncoderBlock(a, b) for a, b in zip(channels, channels[1:], strict=False))
        self.conv = EqualConv2d(channels[-1], channels[-1], 3, act="lrelu")
        self.fc = EqualLinear(channels[-1] * 16, global_dim, act="lrelu")

    def forward(self, condition: Tensor) -> Encoding:
        """Encode conditions (N, in_channels, H, W)."""
        features = {}
        x = self.from_rgb(condition.contiguous(memory_format=torch.channels_last))
        for side, block in zip(self.sides, self.blocks, strict=False):
            features[side] = x = block.conv(x)
            x = block.conv_down(x)
        features[4] = x = self.conv(x)
        flat = x.contiguous().flatten(1)
        return Encoding(features, self.fc(flat.float() if flat.dtype.itemsize < 4 else flat))


class CoModGenerator(nn.Module):
    """Condition and noise to a picture.

    Published implementations differ in two points, which are options here:
    - `start_skip`: whether the encoder's 4x4 feature is added to the 4x4 start. The authors' release does so and its
      weights need it; the widely used PyTorch port does not, and its weights need False.
    - `dropout_always`: the authors' graph drops half of the global vector (and doubles the rest) also at inference, so
      that its results vary even for fixed noise. With False, as in the port, it does so only in training.

    Both may be set on the finished network. `skip_gain` is this project's addition: a learned factor for each channel
    of each skip, 0 at first, so that training can start from an unconditional generator.
    """

    def __init__(
        self,
        resolution: int = 512,
        *,
        in_channels: int = 4,  # of the condition: mask and picture; fewer for a drawing
        z_dim: int = 512,
        w_dim: int = 512,
        global_dim: int = 1024,
        mapping_layers: int = 8,
        channel_base: int = 32768,
        channel_max: int = 512,
        dropout: float = 0.5,
        start_skip: bool = True,
        dropout_always: bool = False,
        skip_gain: bool = False,
    ) -> None:
        super().__init__()
        self.config: dict[str, Any] = {
            "resolution": resolution,
            "in_channels": in_channels,
            "z_dim": z_dim,
            "w_dim": w_dim,
            "global_dim": global_dim,
            "mapping_layers": mapping_layers,
            "channel_base": channel_base,
            "channel_max": channel_max,
            "dropout": dropout,
            "start_skip": start_skip,
            "dropout_always": dropout_always,
            "skip_gain": skip_gain,
        }
        self.resolution, self.dropout = resolution, dropout
        self.start_skip, self.dropout_always = start_skip, dropout_always
        channels: dict[str, Any] = {"channel_base": channel_base, "channel_max": channel_max}
        self.mapping = MappingNetwork(z_dim, w_dim, layers=mapping_layers)
        self.encoder = ConditionalEncoder(resolution, in_channels=in_channels, global_dim=global_dim, **channels)
        # Co-modulation, s = A(E(y), M(z)): each layer's affine map reads w and the global vector, joined.
        self.synthesis = SynthesisNetwork(resolution, w_dim=w_dim + global_dim, **channels)
        self.start = EqualLinear(global_dim, self.synthesis.start.numel(), act="lrelu")
        del self.synthesis.start  # the start is computed, so there is no constant to learn
        self.synthesis.register_parameter("start", None)
        widths = {side: channels_at(side, **channels) for side in self.encoder.sides}
        self.gains = nn.ParameterDict()
        if skip_gain:
            self.gains.update({str(side): nn.Parameter(torch.zeros(width)) for side, width in widths.items()})

    @property
    def num_ws(self) -> int:
        """Number of layers that w modulates."""
        return self.synthesis.num_ws

    def encode(self, condition: Tensor) -> Encoding:
        """Encode conditions (N, in_channels, R, R), such as `hole_condition`'s; the costly part of a request.

        Raises:
            ValueError: the condition is of another shape.
        """
        expected = (self.config["in_channels"], self.resolution, self.resolution)
        if condition.shape[1:] != expected:
            raise ValueError(f"the condition has shape {tuple(condition.shape)}, expected (N, {expected})")
        encoding = self.gained(self.encoder(condition))
        drop = self.training or self.dropout_always
        return Encoding(encoding.features, F.dropout(encoding.code, self.dropout, training=drop))

    def gained(self, encoding: Encoding) -> Encoding:
        """The encoder's features times the learned gains, where there are any."""
        if not self.gains:
            return encoding
        gains = {side: self.gains[str(side)][:, None, None] for side in encoding.features}
        return Encoding({side: x * gains[side].to(x.dtype) for side, x in encoding.features.items()}, encoding.code)

    def first(self, code: Tensor, feature: Tensor) -> Tensor:
        """The 4x4 start (N, C, 4, 4) of a global vector (N, global_dim) and the encoder's 4x4 feature (N, C, 4, 4)."""
        start = self.start(code).unflatten(1, feature.shape[1:])
        return start + feature if self.start_skip else start

    def decode(
        self, encoding: Encoding, w: Tensor, *, noise: str = "random", dtype: torch.dtype | None = None
    ) -> Tensor:
        """Raw pictures (N, 3, R, R), about [-1, 1], of w (N, w_dim) or w+ (N, num_ws, w_dim) and an encoding.

        An encoding of one condition serves all rows of w.
        """
        w = w[:, None].expand(-1, self.num_ws, -1) if w.ndim == 2 else w
        code = encoding.code.expand(w.shape[0], -1)
        modulation = torch.cat([w, code[:, None].expand(-1, self.num_ws, -1)], 2)
        features = encoding.features
        start = self.first(encoding.code, features[4])
        # Skips join after each upsampling convolution; its latent index is 2 i - 1 at 4 * 2^i pixels.
        steps = int(math.log2(self.resolution)) - 2
        inject = {2 * i - 1: _add(features[4 << i]) for i in range(1, steps + 1)}
        return self.synthesis(modulation, noise=noise, inject=inject, start=start, dtype=dtype)

    def forward(self, condition: Tensor, z: Tensor, *, psi: float = 1.0, noise: str = "random") -> Tensor:
        """Raw pictures (N, 3, R, R), about [-1, 1], of conditions (N or 1, C, R, R) and z (N, z_dim).

        Truncation by psi moves w only, never the global vector.
        """
        w = self.mapping.truncate(self.mapping(z), psi)
        return self.decode(self.encode(condition), w, noise=noise)

    def complete(self, image: Tensor, known: Tensor, z: Tensor, *, psi: float = 1.0, noise: str = "random") -> Tensor:
        """Completions (N, 3, R, R) of pictures (N or 1, 3, R, R), one for each z (N, z_dim); known pixels unchanged.

        `known` is (N or 1, 1, R, R): 1 known, 0 hole.
        """
        return keep_known(self(hole_condition(image, known), z, psi=psi, noise=noise), image, known)


def _add(feature: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda x: x + feature.to(x.dtype)
