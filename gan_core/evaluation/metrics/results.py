"""Results of scoring completions, and the interface of the feature networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

NAMES = ("FID", "P-IDS", "U-IDS")
"""Names of the scores, in the order of `Scores`' fields."""


class Features(Protocol):
    """A feature network: pictures (N, 3, H, W) in [-1, 1] to (N, D) on the CPU."""

    title: str
    """Description of the features."""
    prefix: str
    """Prefix of the scores' names; "" only for the published features."""

    def __call__(self, images: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class Scores:
    """The scores of a set of pairs."""

    fid: float
    """Frechet distance; lower is better."""
    paired: float
    """P-IDS, share from 0 to about 0.5; higher is better."""
    unpaired: float
    """U-IDS, share from 0 to 0.5; higher is better."""


@dataclass(frozen=True)
class BinScore:
    """The scores of the pairs whose hole's share of the picture lies in [low, high) (the last bin includes 1)."""

    low: float
    high: float
    count: int
    scores: Scores | None
    """None where there are too few pairs."""
