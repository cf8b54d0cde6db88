"""HFGI's networks, optimised for one device.

On a GPU: half precision, style heads in batches, each network as one CUDA graph. On a CPU with bfloat16: the networks
of `networks.py` in that precision, except the alignment, whose displacements would become too coarse (errors of a grey
level and more in the result).
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_core.e4e.networks import COARSE_STYLES, MIDDLE_STYLES, Encoder4Editing, StyleHead
from gan_core.graphs import Captured
from gan_core.hfgi.networks import ConsultationEncoder, DistortionAlignment
from gan_core.stylegan2 import Generator
from gan_core.stylegan2.fused import FusedSynthesis


class BatchedHeads(nn.Module):
    """Style heads that read the same features, computed together: one convolution, then batched matrix products.

    Computed one by one they are about ninety convolutions of a few pixels each, whose launches take most of the time.
    """

    def __init__(self, heads: list[StyleHead]) -> None:
        super().__init__()
        self.count, self.levels = len(heads), len(heads[0].convs)
        for level in range(self.levels):
            convs = [head.convs[level] for head in heads]
            weight = torch.stack([conv.weight for conv in convs])  # (heads, O, I, 3, 3)
            weight = weight.flatten(0, 1) if level == 0 else weight.flatten(2)
            self.register_buffer(f"weight_{level}", weight.detach().clone())
            self.register_buffer(f"bias_{level}", torch.stack([conv.bias for conv in convs]).detach()[:, :, None])
        linears = [head.linear for head in heads]
        weights = [linear.weight * linear.weight_gain for linear in linears]
        biases = [linear.bias * linear.bias_gain for linear in linears]
        self.register_buffer("linear_weight", torch.stack(weights).detach())
        self.register_buffer("linear_bias", torch.stack(biases).detach())

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, pixels, pixels) to styles (N, heads, w_dim); pictures of cars have fewer rows."""
        n = x.shape[0]
        x = F.conv2d(x, self.weight_0, self.bias_0.flatten(), stride=2, padding=1)
        x = F.leaky_relu(x, 0.01)
        for level in range(1, self.levels):
            height, width = ((side + 1) // 2 for side in x.shape[-2:])
            columns = F.unfold(x.contiguous(), 3, padding=1, stride=2)  # (N, heads * I * 9, places)
            columns = columns.view(n, self.count, -1, height * width).permute(1, 2, 0, 3).flatten(2)
            y = torch.baddbmm(getattr(self, f"bias_{level}"), getattr(self, f"weight_{level}"), columns)
            x = F.leaky_relu(y, 0.01).view(self.count, -1, n, height * width).permute(2, 0, 1, 3)
            x = x.reshape(n, -1, height, width)
        x = x.view(n, self.count, -1).transpose(0, 1)  # (heads, N, I)
        return torch.baddbmm(self.linear_bias[:, None], x, self.linear_weight.transpose(1, 2)).transpose(0, 1)


class BatchedEncoder(nn.Module):
    """The basic encoder with its heads in three batches."""

    def __init__(self, encoder: Encoder4Editing) -> None:
        super().__init__()
        heads = list(encoder.heads)
        parts = heads[:COARSE_STYLES], heads[COARSE_STYLES:MIDDLE_STYLES], heads[MIDDLE_STYLES:]
        self.heads = nn.ModuleList(BatchedHeads(part) for part in parts if part)
        bare = copy.copy(encoder)
        bare._modules = {name: module for name, module in encoder._modules.items() if name != "heads"}
        self.trunk = copy.deepcopy(bare)

    def forward(self, image: Tensor) -> Tensor:
        """What `Encoder4Editing` makes of pictures (N, 3, 256, 256) in [-1, 1]."""
        maps = self.trunk.pyramid(image)
        styles = torch.cat([heads(features) for heads, features in zip(self.heads, maps, strict=False)], 1).float()
        return torch.cat([styles[:, :1], styles[:, :1] + styles[:, 1:]], 1)


class FastNetworks:
    """The four networks of a pipeline on one GPU. Make a new object after the networks have been moved."""

    def __init__(
        self,
        generator: Generator,
        encoder: Encoder4Editing,
        alignment: DistortionAlignment,
        consultation: ConsultationEncoder,
        fusion_layer: int,
        dtype: torch.dtype = torch.float16,
    ) -> None:
        self._dtype, self._fusion_layer = dtype, fusion_layer
        self._synthesis = FusedSynthesis(generator.synthesis, dtype)
        self._encoder = self._half(BatchedEncoder(encoder))
        self._alignment = self._half(copy.deepcopy(alignment))
        self._consultation = self._half(copy.deepcopy(consultation))
        self.encode = Captured(self._encode)
        """Pictures (N, 3, 256, 256) to codes relative to the mean latent, float32."""
        self.draw = Captured(self._synthesis, rows=True)
        """Codes to pictures, float32."""
        self.draw_consulted = Captured(self._draw_consulted, rows=True)
        """Codes, scale and shift to pictures, float32."""
        self.align = Captured(self._align, rows=True)
        """Distortion maps and pictures, both (N, 3, 256, 256), to aligned maps, float32."""
        self.consult = Captured(self._consult, rows=True)
        """Aligned maps to scale and shift, in the networks' own precision."""

    def _half(self, module: nn.Module) -> nn.Module:
        return module.to(self._dtype, memory_format=torch.channels_last).eval().requires_grad_(False)

    def _in(self, x: Tensor) -> Tensor:
        return x.to(self._dtype, memory_format=torch.channels_last)

    def _encode(self, images: Tensor) -> Tensor:
        return self._encoder(self._in(images))

    def _draw_consulted(self, codes: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        return self._synthesis(codes, conditions={self._fusion_layer: (scale, shift)})

    def _align(self, distortion: Tensor, images: Tensor) -> Tensor:
        return self._alignment(self._in(distortion), self._in(images)).float()

    def _consult(self, aligned: Tensor) -> tuple[Tensor, Tensor]:
        return self._consultation(self._in(aligned))


class CpuNetworks:
    """The same four networks on a CPU with bfloat16, with the functions of `FastNetworks`."""

    def __init__(
        self,
        generator: Generator,
        encoder: Encoder4Editing,
        alignment: DistortionAlignment,
        consultation: ConsultationEncoder,
        fusion_layer: int,
        dtype: torch.dtype = torch.bfloat16,
    ) -> None:
        self._generator, self._fusion_layer, self._dtype, self.align = generator, fusion_layer, dtype, alignment
        self._encoder, self._consultation = (
            copy.deepcopy(module).to(dtype, memory_format=torch.channels_last) for module in (encoder, consultation)
        )

    def encode(self, images: Tensor) -> Tensor:
        """See `FastNetworks`."""
        return self._encoder(images.to(self._dtype)).float()

    def draw(self, codes: Tensor) -> Tensor:
        """See `FastNetworks`."""
        return self._generator.synthesis(codes, dtype=self._dtype)

    def draw_consulted(self, codes: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        """See `FastNetworks`."""
        inject = {self._fusion_layer: lambda x: x * (1 + scale) + shift}
        return self._generator.synthesis(codes, dtype=self._dtype, inject=inject)

    def consult(self, aligned: Tensor) -> tuple[Tensor, Tensor]:
        """See `FastNetworks`."""
        return self._consultation(aligned.to(self._dtype))
