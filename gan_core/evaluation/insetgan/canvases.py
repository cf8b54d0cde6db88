"""The embedded canvases, and the features in which their composites are compared with real pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from torch import Tensor

from gan_core.checkpoints.embedded import build_from_file
from gan_core.evaluation import feature_scores
from gan_core.evaluation.metrics import features as embedded
from gan_core.features import load as load_features
from gan_core.insetgan.bodies import load_bodies
from gan_core.insetgan.models import PORTRAIT_REGIONS
from gan_core.insetgan.pipeline import InsetGANPipeline, load_embedded
from gan_core.stylegan2 import Discriminator


@dataclass(frozen=True)
class Canvas:
    """A pipeline and how its pictures are measured."""

    pipeline: InsetGANPipeline
    features: Callable[[Tensor], Tensor]
    """Pictures (N, 3, H, W) in [-1, 1] to (N, D) on the CPU."""
    measure: str
    """Name of the distance in these features."""
    size: tuple[int, int]
    """Height and width of its pictures."""
    region: str


def portraits(weights: Path, device: str) -> Canvas:
    """Busts. Raises WeightsMissing or BadCheckpoint."""
    path = weights / "portraits_face" / "discriminator.safetensors"
    network, _ = build_from_file(Discriminator, path, "discriminator")
    features = embedded.EmbeddedFeatures(network.to(device))
    return Canvas(load_embedded(weights, device=device), features, embedded.NAME, (256, 256), PORTRAIT_REGIONS[0])


def bodies(weights: Path, device: str) -> Canvas:
    """Whole bodies. Raises WeightsMissing or BadCheckpoint."""
    features = partial(feature_scores.pooled_features, load_features().to(device))
    return Canvas(load_bodies(weights, device=device), features, feature_scores.NAME, (512, 256), "hair")


CANVASES: dict[str, Callable[[Path, str], Canvas]] = {"portraits": portraits, "bodies": bodies}
