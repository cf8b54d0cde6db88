"""FID, and the paired and unpaired inception discriminative scores (Zhao et al., ICLR 2021, section 4).

P-IDS and U-IDS are based on a linear classifier of real and completed pictures in a feature space: U-IDS is its error
rate (0.5 at best), P-IDS the share of completions that it scores as more real than the original pictures. All three
take features (N, D) of any network; numbers are comparable with published ones only for the published Inception
network.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from gan_core.errors import BadValue


@dataclass(frozen=True)
class Discriminability:
    """Shares in [0, 1]: `paired` (P-IDS) is at best about 0.5, `unpaired` (U-IDS) at best 0.5; higher is better."""

    paired: float
    unpaired: float


def to_8_bits(images: Tensor) -> Tensor:
    """Images in about [-1, 1] as uint8, clamped and rounded to the nearest of 256 levels, as in the paper's protocol.

    Both the real and the completed pictures are rounded before their features are taken.
    """
    return (images.float() * 127.5 + 128).clamp(0, 255).to(torch.uint8)


def discriminative_scores(real: ArrayLike, fake: ArrayLike) -> Discriminability:
    """P-IDS and U-IDS of features (N, D); row i of `fake` is the completion of the picture of row i of `real`.

    The classifier is a linear support vector machine (squared hinge loss, C = 1, intercept regularised) on the raw
    features, scored on the rows that it was fitted to.

    Raises:
        BadValue: the two sets are not of one shape, or are empty.
    """
    from sklearn.svm import LinearSVC  # not on machines that only train

    real, fake = _features(real), _features(fake)
    if real.shape != fake.shape:
        raise BadValue(f"P-IDS compares pairs, but there are {len(real)} real and {len(fake)} completed pictures.")
    labels = np.concatenate([np.ones(len(real)), np.zeros(len(fake))])
    both = np.concatenate([real, fake])
    classifier = LinearSVC(dual=False).fit(both, labels)
    paired = np.mean(classifier.decision_function(fake) > classifier.decision_function(real))
    return Discriminability(float(paired), float(1 - classifier.score(both, labels)))


@dataclass(frozen=True)
class Moments:
    """Mean (D,) and covariance (D, D) of a set of features, in float64."""

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]

    @classmethod
    def of(cls, features: ArrayLike) -> Moments:
        """Of features (N, D), N at least 2; the covariance's denominator is N - 1. Raises BadValue for fewer."""
        rows = _features(features)
        if len(rows) < 2:
            raise BadValue("The Frechet distance needs at least two pictures in each set.")
        return cls(rows.mean(0), np.atleast_2d(np.cov(rows, rowvar=False)))


def frechet_distance(real: ArrayLike | Moments, fake: ArrayLike | Moments) -> float:
    """Frechet distance of two sets of features (N, D) taken as Gaussian (FID, Heusel et al. 2017).

        |m1 - m2|^2 + trace(C1 + C2 - 2 (C1 C2)^(1/2))

    Raises:
        BadValue: fewer than two rows, or features of two widths.
    """
    a = real if isinstance(real, Moments) else Moments.of(real)
    b = fake if isinstance(fake, Moments) else Moments.of(fake)
    if a.mean.shape != b.mean.shape:
        raise BadValue(f"The features are of two networks: {len(a.mean)} and {len(b.mean)} numbers a picture.")
    # (C1 C2)^(1/2) has the eigenvalues of (C1^(1/2) C2 C1^(1/2))^(1/2), which is symmetric and stays real.
    values, vectors = np.linalg.eigh(a.covariance)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    shared = np.sqrt(np.linalg.eigvalsh(root @ b.covariance @ root).clip(0)).sum()
    means = np.square(a.mean - b.mean).sum()
    return float(means + np.trace(a.covariance) + np.trace(b.covariance) - 2 * shared)


def _features(values: ArrayLike) -> NDArray[np.float64]:
    rows = np.asarray(values, dtype=np.float64)
    if rows.ndim != 2 or not rows.size:
        raise BadValue("Features are a table: one row a picture, one column a number.")
    return rows
