"""The loss of the basic encoder beside the reconstruction: its codes stay near the generator's own latents."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gan_core.stylegan2 import Generator


class LatentPrior(nn.Module):
    """Distance of codes from the generator's own latents; replaces e4e's latent discriminator.

    The leaky ReLU at the end of the mapping network is inverted, after which w is close to normal (Zhu et al. 2020,
    "Improved StyleGAN embedding", section 3.2). The squared Mahalanobis distance there is 1 per dimension for a w of
    the generator.
    """

    def __init__(self, generator: Generator, samples: int = 20_000) -> None:
        super().__init__()
        device = generator.mapping.w_avg.device
        z = torch.randn(samples, generator.config["z_dim"], generator=torch.Generator().manual_seed(1)).to(device)
        with torch.no_grad():
            w = generator.mapping(z)
            v = self._undo(w)
            mean = v.mean(0)
            covariance = (v - mean).T @ (v - mean) / samples
            values, vectors = torch.linalg.eigh(covariance.double())
            values = values.clamp_min(0.01 * values.mean())  # directions of no variance would outweigh all others
            whiten = (vectors / values.sqrt()).float()
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("whiten", whiten, persistent=False)
        self.register_buffer("spread", w.var(0).mean().sqrt(), persistent=False)  # of w, per entry

    @staticmethod
    def _undo(w: Tensor) -> Tensor:
        return torch.where(w < 0, w * 5, w)

    def forward(self, codes: Tensor) -> Tensor:
        """Mean squared distance per dimension, a scalar, of codes (N, L, w_dim)."""
        return ((self._undo(codes) - self.mean) @ self.whiten).square().mean()
