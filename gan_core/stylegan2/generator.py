"""Generator: mapping and synthesis, with broadcasting of w to w+ and the truncation trick."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from gan_core.stylegan2.mapping import MappingNetwork
from gan_core.stylegan2.synthesis import SynthesisNetwork


class Generator(nn.Module):
    """StyleGAN2 generator (Karras et al. 2020)."""

    def __init__(
        self,
        resolution: int = 256,  # height in pixels
        *,
        z_dim: int = 512,
        c_dim: int = 0,  # width of the class label; 0 for an unconditional generator
        w_dim: int = 512,
        mapping_layers: int = 8,
        channel_base: int = 32768,  # feature maps at resolution r: min(channel_base / r, channel_max)
        channel_max: int = 512,
        start_shape: Sequence[int] = (4, 4),  # (4, 2) for pictures twice as high as wide
    ) -> None:
        super().__init__()
        self.config: dict[str, Any] = {
            "resolution": resolution,
            "z_dim": z_dim,
            "c_dim": c_dim,
            "w_dim": w_dim,
            "mapping_layers": mapping_layers,
            "channel_base": channel_base,
            "channel_max": channel_max,
            "start_shape": list(start_shape),
        }
        self.mapping = MappingNetwork(z_dim, w_dim, c_dim=c_dim, layers=mapping_layers)
        self.synthesis = SynthesisNetwork(
            resolution,
            w_dim=w_dim,
            channel_base=channel_base,
            channel_max=channel_max,
            start_shape=(start_shape[0], start_shape[1]),
        )

    @property
    def num_ws(self) -> int:
        """Number of latents in w+, one for each layer."""
        return self.synthesis.num_ws

    @property
    def resolution(self) -> int:
        """Height of the pictures, in pixels."""
        return self.synthesis.resolution

    def broadcast(self, w: Tensor) -> Tensor:
        """Repeat w (N, w_dim) to w+ (N, num_ws, w_dim)."""
        return w[:, None].expand(-1, self.num_ws, -1)

    def forward(self, z: Tensor, c: Tensor | None = None, *, psi: float = 1.0, noise: str = "random") -> Tensor:
        """Images (N, 3, H, W), about [-1, 1], of z (N, z_dim), label c (N, c_dim), truncated by psi."""
        w = self.mapping.truncate(self.mapping(z, c), psi)
        return self.synthesis(self.broadcast(w), noise=noise)
