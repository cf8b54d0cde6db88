"""Probes: for each slider a measure of its attribute that is independent of the slider's fitting.

Shapes are measured by the face finder's landmarks, hair by the head finder's mask, colours by pixels, and attributes
that are known from labels only by regressions on the discriminator's features.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import RidgeCV
from torch import Tensor
from torch.nn import functional as F

from gan_core.e4e.networks import WORKING_SIZE, resize
from gan_core.faces.head import HeadNet
from gan_core.stylegan2 import Discriminator
from gan_core.training.hfgi.measures import FinderMeasures, head_measures, pixel_measures, to_columns

Probe = Callable[[Tensor], np.ndarray]  # pictures (N, 3, R, R) in [-1, 1] to values (N,)
MESH_SLIDERS = {
    "smile": "corner_lift",
    "pose": "yaw_deg",
    "mouth_open": "mouth_open",
    "eyes_open": "eye_open",
    "nod": "nod",
}
HEAD_SLIDERS = {"hair_length": "hair_length", "fuller_hair": "hair_volume"}
LABEL_SLIDERS = {"age": "age", "gender": "gender"}
UNITS = {
    "smile": "corners of the mouth, eye distances up",
    "pose": "degrees to the image's right",
    "mouth_open": "eye distances between the lips",
    "eyes_open": "eye distances between the lids",
    "nod": "height of the nose's tip between eyes (0) and mouth (1)",
    "age": "years",
    "gender": "0 man, 1 woman",
    "hair": "brightness above the forehead, log scale",
    "grey": "share of the colour lost",
    "hair_length": "share of the crop that is head below the mouth, beside the neck",
    "fuller_hair": "share of the crop that is head above and beside the face",
}


class FeatureRegression:
    """A label of aligned faces by ridge regression on pooled features of the discriminator."""

    def __init__(self, discriminator: Discriminator) -> None:
        self.discriminator = discriminator.eval()
        self.ridge = RidgeCV(alphas=np.logspace(1, 6, 11))

    @torch.inference_mode()
    def _features(self, images: Tensor) -> np.ndarray:
        rows = []
        for part in images.split(16):
            maps = self.discriminator.features(part)[2:]
            pooled = [F.adaptive_avg_pool2d(m, 4).flatten(1) for m in maps]
            rows.append(torch.cat(pooled, 1).numpy())
        return np.concatenate(rows)

    def fit(self, images: Tensor, values: np.ndarray) -> FeatureRegression:
        """Fit to pictures (N, 3, R, R) in [-1, 1] and values (N,)."""
        features = self._features(images)
        self.mean, self.std = features.mean(0), features.std(0) + 1e-6
        self.ridge.fit((features - self.mean) / self.std, values)
        return self

    def __call__(self, images: Tensor) -> np.ndarray:
        """Values (N,)."""
        return self.ridge.predict((self._features(images) - self.mean) / self.std)


def mesh_probe(finder: FinderMeasures, column: str) -> Probe:
    """A probe that measures landmarks."""

    @torch.inference_mode()
    def probe(images: Tensor) -> np.ndarray:
        return np.concatenate([to_columns(finder(part))[column] for part in images.split(16)])

    return probe


def light_hair(images: Tensor) -> np.ndarray:
    """Brightness above the forehead, where hair is."""
    return to_columns(pixel_measures(resize(images, WORKING_SIZE)))["hair"]


def greyness(images: Tensor) -> np.ndarray:
    """1 for a picture without colour, falling with its mean chroma."""
    return (1 - (images.amax(1) - images.amin(1)).mean((1, 2)) / 2).double().numpy()


def head_probe(head: HeadNet, column: str) -> Probe:
    """A probe that measures the head's mask."""
    return lambda images: to_columns(head_measures(head, images))[column]


def simple_probes(finder: Path, head: HeadNet) -> dict[str, Probe]:
    """The probes that need no labels, by slider; `finder` is the face finder's file."""
    measures = FinderMeasures(finder)
    probes = {slider: mesh_probe(measures, column) for slider, column in MESH_SLIDERS.items()}
    probes |= {slider: head_probe(head, column) for slider, column in HEAD_SLIDERS.items()}
    return probes | {"hair": light_hair, "grey": greyness}
