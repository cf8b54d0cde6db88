"""Scores of generated pictures in EfficientNet-Lite0's pooled features.

Frechet distance after Heusel et al. (2017), precision and recall after Kynkaanniemi et al. (2019). Both were published
with other networks' features, so these numbers are not comparable with published ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gan_core.evaluation.metrics.ids import Moments, frechet_distance
from gan_core.features import EfficientNetLite0

NAME = "Frechet distance in EfficientNet-Lite0's pooled features (not the published FID)"
NEIGHBOURS = 3  # Kynkaanniemi et al. 2019, section 3


@dataclass(frozen=True)
class FeatureScores:
    """`frechet`: 0 at best. `precision`: share of generated pictures that lie among the real ones. `recall`: share of
    real pictures that lie among the generated ones."""

    frechet: float
    precision: float
    recall: float


@torch.no_grad()
def pooled_features(network: EfficientNetLite0, images: Tensor, batch: int = 64) -> Tensor:
    """Features (N, 1280), float32, on the CPU, of pictures (N, 3, H, W) in [-1, 1], rounded to 8 bits before."""
    device = network.stem.device
    rows = []
    for part in images.split(batch):
        rounded = (part.to(device).float().clamp(-1, 1) * 127.5).round() / 127.5
        rows.append(network.pooled(rounded).cpu())
    return torch.cat(rows)


def precision_recall(real: Tensor, fake: Tensor, neighbours: int = NEIGHBOURS) -> tuple[float, float]:
    """Improved precision and recall of features (N, D) and (M, D), by the balls around each to its k-th neighbour."""
    return _covered(fake, real, neighbours), _covered(real, fake, neighbours)


def _covered(points: Tensor, manifold: Tensor, k: int) -> float:
    """Share of `points` inside the ball of at least one point of `manifold`."""
    distances = torch.cdist(manifold, manifold)
    radii = distances.kthvalue(k + 1, dim=1).values  # the nearest is the point itself
    inside = torch.cdist(points, manifold) <= radii[None]
    return inside.any(1).float().mean().item()


def score(real: Tensor, fake: Tensor) -> FeatureScores:
    """All three, of pooled features (N, D) and (M, D)."""
    distance = frechet_distance(Moments.of(real.numpy()), Moments.of(fake.numpy()))
    n = min(len(real), len(fake))
    device = "cuda" if torch.cuda.is_available() else "cpu"  # 16 million distances
    return FeatureScores(distance, *precision_recall(real[:n].to(device), fake[:n].to(device)))
