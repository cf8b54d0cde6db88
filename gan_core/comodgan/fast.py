"""CoModGAN, optimised for one GPU: half precision, encoding and decoding as one CUDA graph each."""

from __future__ import annotations

import copy

import torch
from torch import Tensor
from torch.nn import functional as F

from gan_core.comodgan.networks import CoModGenerator, Encoding
from gan_core.graphs import Captured
from gan_core.stylegan2 import EqualConv2d
from gan_core.stylegan2.fused import FusedSynthesis


class FastNetworks:
    """A generator's encoder and synthesis on one GPU. Make a new object after they have been moved."""

    def __init__(self, generator: CoModGenerator, dtype: torch.dtype = torch.float16) -> None:
        self._generator, self._dtype = generator, dtype
        self._encoder = copy.deepcopy(generator.encoder)
        with torch.no_grad():
            for layer in self._encoder.modules():
                if isinstance(layer, EqualConv2d):  # scaled once instead of in every call
                    layer.weight.mul_(layer.weight_gain)
                    layer.weight_gain = 1.0
                    layer.to(dtype, memory_format=torch.channels_last)
        self._synthesis = FusedSynthesis(generator.synthesis, dtype)
        self._sides = generator.encoder.sides
        self._encode, self._decode = Captured(self._run_encoder), Captured(self._run_synthesis, rows=True)

    def encode(self, condition: Tensor) -> Encoding | None:
        """As `CoModGenerator.encode`, with features in half precision. None if a value is too large for it."""
        *features, code = self._encode(condition)
        # A published network may exceed the range of float16.
        if not all(bool(x.isfinite().all()) for x in (*features, code)):
            return None
        return Encoding(dict(zip(self._sides, features, strict=True)), code)

    def decode(self, encoding: Encoding, w: Tensor) -> Tensor:
        """Raw pictures (N, 3, R, R), float32, of w (N, w_dim), with the stored noise."""
        return self._decode(w, encoding.code, *(encoding.features[side] for side in self._sides))

    def _run_encoder(self, condition: Tensor) -> tuple[Tensor, ...]:
        net = self._generator
        encoding = net.gained(self._encoder(condition.to(self._dtype)))
        code = F.dropout(encoding.code, net.dropout, training=net.dropout_always)
        return *(encoding.features[side].to(self._dtype) for side in self._sides), code

    def _run_synthesis(self, w: Tensor, code: Tensor, *features: Tensor) -> Tensor:
        by_side = dict(zip(self._sides, features, strict=True))
        net = self._generator
        modulation = torch.cat([w, code.expand(len(w), -1)], 1)[:, None].expand(-1, net.num_ws, -1)
        skips = {2 * i - 1: by_side[4 << i] for i in range(1, len(self._sides))}
        return self._synthesis(modulation, start=net.first(code, by_side[4]), skips=skips)
