"""Attributes of a face that nothing measures directly, read from ImageNet features by linear functions.

Glasses, age and man or woman are labelled in tables; where the pictures' own measures tell, as for a beard, the
pictures at both ends of such a measure are the labels. The readings are differentiable, so that directions can be
solved from them (`drawn.py`); they measure nothing that a card reports.
"""

from __future__ import annotations

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression, RidgeCV
from torch import Tensor, nn
from torch.nn import functional as F

from gan_core.features.efficientnet_lite0 import EfficientNetLite0

_EYES = (slice(88, 168), slice(56, 200))  # rows and columns of an aligned crop
_CLOSER = (160, 288)


class FaceFeatures:
    """Means of EfficientNet-Lite0's maps over a face and over a closer view of its eyes."""

    def __init__(self, network: EfficientNetLite0) -> None:
        self.network = network.eval().requires_grad_(False)

    def __call__(self, images: Tensor) -> Tensor:
        """(N, features) of aligned crops (N, 3, 256, 256) in [-1, 1]; differentiable."""
        images = images.float()
        closer = F.interpolate(images[:, :, _EYES[0], _EYES[1]], _CLOSER, mode="bilinear", align_corners=False)
        whole, eyes = self.network.maps(images)[1:], self.network.maps(closer)[1:]
        return torch.cat(
            [m.float().mean((2, 3)) for m in (*whole, *eyes)] + [m.float().std((2, 3)) for m in eyes[:2]], 1
        )

    @torch.inference_mode()
    def of_pictures(self, pictures: Tensor) -> np.ndarray:
        """(N, features) of uint8 pictures (N, 3, 256, 256)."""
        device = next(self.network.buffers()).device  # its weights are frozen
        parts = [self(part.to(device).float() / 127.5 - 1).cpu() for part in pictures.split(16)]
        return torch.cat(parts).numpy().astype(np.float64)


class Readers(nn.Module):
    """Linear readings of features: weights (features,) and an offset by name."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def forward(self, features: Tensor) -> dict[str, Tensor]:
        """Readings (N,) by name of features (N, features)."""
        return {name: features @ self.get_buffer(name) + self.get_buffer(f"{name}_offset") for name in self.names}

    def fit(self, name: str, features: np.ndarray, labels: np.ndarray, *, yes_or_no: bool) -> None:
        """Learn a reading: log odds of a label that is 0 or 1 (both kinds of pictures weigh the same), else its value.

        features: (N, features); labels: (N,), NaN where unknown.
        """
        known = np.isfinite(labels)
        middle, spread = features[known].mean(0), features[known].std(0) + 1e-6
        scaled = (features[known] - middle) / spread
        if yes_or_no:
            fitted = LogisticRegression(C=0.003, max_iter=3000, class_weight="balanced")
            fitted.fit(scaled, labels[known].round())
            weight, offset = fitted.coef_[0] / spread, float(fitted.intercept_[0])
        else:
            ridge = RidgeCV(alphas=[1e3, 3e3, 1e4]).fit(scaled, labels[known])
            weight, offset = ridge.coef_ / spread, float(ridge.intercept_)
        self.register_buffer(name, torch.from_numpy(weight).float())
        self.register_buffer(f"{name}_offset", torch.tensor(offset - float(weight @ middle)))
        self.names.append(name)


def extremes(values: np.ndarray, among: np.ndarray, low: float = 0.6, high: float = 0.93) -> np.ndarray:
    """Labels (N,) of what a measure (N,) surely tells: 1 above the quantile `high` of those `among` (N,) bool, 0 below
    `low`, NaN between and for all others."""
    bottom, top = np.quantile(values[among], [low, high])
    labels = np.where(values > top, 1.0, np.where(values < bottom, 0.0, np.nan))
    return np.where(among, labels, np.nan)
