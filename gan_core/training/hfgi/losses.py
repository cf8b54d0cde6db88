"""Distances that HFGI trains on here: no downloaded backbone, only what the project trained itself."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_core.stylegan2 import Discriminator, Generator


class FeatureDistance(nn.Module):
    """Distance of two pictures in the features of the trained discriminator; stands in for LPIPS.

    As in LPIPS (Zhang et al. 2018, equation 1), features are scaled to length 1 over channels, and squared
    differences are averaged over pixels and blocks. Without a discriminator: the difference of two Gaussian
    pyramids.
    """

    def __init__(self, discriminator: Discriminator | None = None, *, skip: int = 1, levels: int = 5) -> None:
        super().__init__()
        self.skip, self.levels = skip, levels  # full resolution is left out: it says little and costs most
        self.discriminator = None
        if discriminator is not None:
            self.discriminator = discriminator.eval().requires_grad_(False)
            self.discriminator.blocks = self.discriminator.blocks[: skip + levels - 1]  # no others are computed

    def features(self, image: Tensor, dtype: torch.dtype | None = None) -> list[Tensor]:
        """What is compared, for a picture (N, 3, H, W): a few maps of different sizes."""
        if self.discriminator is None:
            maps = [image]
            for _ in range(self.levels - 1):
                maps.append(F.avg_pool2d(maps[-1], 2))
            return maps
        maps = self.discriminator.features(image, dtype)
        return [F.normalize(m.float(), dim=1, eps=1e-6) for m in maps[self.skip : self.skip + self.levels]]

    def forward(self, image: Tensor, target: Tensor, dtype: torch.dtype | None = None) -> Tensor:
        """Mean distance, a scalar, of two batches of pictures (N, 3, H, W) in about [-1, 1]."""
        with torch.no_grad():
            wanted = self.features(target, dtype)
        pairs = zip(self.features(image, dtype), wanted, strict=True)
        if self.discriminator is None:
            return torch.stack([F.l1_loss(a, b) for a, b in pairs]).mean()
        return torch.stack([(a - b).square().sum(1).mean() for a, b in pairs]).mean()


class LatentPrior(nn.Module):
    """How far codes lie from the generator's own latents; in place of e4e's latent discriminator.

    The leaky ReLU that ends the mapping network is undone, which leaves w close to normal (Zhu et al. 2020,
    "Improved StyleGAN embedding", section 3.2); the squared Mahalanobis distance there is 1 a dimension for a
    w of its own.
    """

    def __init__(self, generator: Generator, samples: int = 20_000) -> None:
        super().__init__()
        device = generator.mapping.w_avg.device
        z = torch.randn(samples, generator.config["z_dim"], generator=torch.Generator().manual_seed(0)).to(device)
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
        """Mean squared distance a dimension, a scalar, of codes (N, L, w_dim)."""
        return ((self._undo(codes) - self.mean) @ self.whiten).square().mean()
