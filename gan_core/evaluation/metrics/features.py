"""Features of pictures for Frechet distances, by a network of this project.

The published FID uses an Inception network, which is not part of this project. `EmbeddedFeatures` are pooled maps of
one of this project's discriminators; distances in them can be compared with each other, but not with published numbers.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from gan_core.evaluation.metrics.ids import frechet_distance
from gan_core.stylegan2 import Discriminator

NAME = "Frechet distance of embedded discriminator features (not the published FID)"


class EmbeddedFeatures:
    """Mean and standard deviation over the picture of a discriminator's maps from `first` on (N, 2 * channels)."""

    title = "embedded discriminator features, comparable with no published score"
    prefix = "embedded "
    """Description of the features, and the prefix of the scores' names."""

    def __init__(self, discriminator: Discriminator, *, first: int = 3, last: int = 6) -> None:
        self.network = discriminator.eval().requires_grad_(False)
        self.first, self.last = first, last

    @torch.no_grad()
    def __call__(self, images: Tensor, batch: int = 16) -> Tensor:
        """Features (N, D), on the CPU, of pictures (N, 3, H, W) in [-1, 1], resized to the network's size."""
        device = self.network.from_rgb.weight.device
        size = self.network.config["resolution"]
        rows = []
        for part in images.split(batch):
            x = part.to(device).float()
            if x.shape[-2:] != (size, size):
                x = F.interpolate(x, (size, size), mode="bilinear", align_corners=False, antialias=True)
            maps = self.network.features(x)[self.first : self.last]
            rows.append(torch.cat([torch.cat([m.mean((2, 3)), m.std((2, 3))], 1) for m in maps], 1).cpu())
        return torch.cat(rows)


def embedded_distance(features: EmbeddedFeatures, real: Tensor, fake: Tensor) -> float:
    """Frechet distance of two sets of pictures (N, 3, H, W) in [-1, 1]. Raises BadValue for fewer than two."""
    return frechet_distance(features(real).numpy(), features(fake).numpy())
