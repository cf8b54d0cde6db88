"""What a judge is. A judge that is not installed says so once, in a sentence, and the others go on."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor


class IdentityJudge(Protocol):
    """Tells people apart."""

    name: str

    def describe(self, images: Tensor) -> Tensor:
        """Descriptors (N, D) of aligned pictures, uint8 (N, 3, R, R)."""
        ...


class MeasureJudge(Protocol):
    """Measures attributes of a face."""

    name: str
    measures: tuple[str, ...]  # what it measures: names of `UNITS`

    def measure(self, images: Tensor) -> dict[str, Tensor]:
        """{measure: (N,)} of aligned pictures, uint8 (N, 3, R, R); NaN where it finds no face."""
        ...


# What may be measured, with the unit and the digits that a table shows.
UNITS: dict[str, tuple[str, str, int]] = {
    "age": ("age", "years", 1),
    "male": ("man", "share", 2),
    "yaw_deg": ("yaw", "degrees", 1),
    "corner_lift": ("corner lift", "eye distances", 3),
    "mouth_open": ("mouth opening", "eye distances", 3),
    "eye_open": ("eye opening", "eye distances", 3),
}


def similarity(first: Tensor, second: Tensor) -> Tensor:
    """1 - half the squared distance of descriptors (..., D): the cosine, where they have unit length.

    1 for the same picture. dlib's author holds two pictures for one person's up to a distance of 0.6: 0.82 here.
    """
    return 1 - (first - second).square().sum(-1) / 2


def to_bytes(images: Tensor) -> Tensor:
    """Pictures (N, 3, R, R) in [-1, 1] as uint8 on the CPU, as a visitor gets them."""
    return images.clamp(-1, 1).add(1).mul(127.5).round().to("cpu", torch.uint8)
