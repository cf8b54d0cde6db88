"""What a picture is read into, and how codes are mixed: the plain values that the pipeline takes and gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

KINDS = ("texture", "structure")
REGION_KINDS = ("texture", "structure", "both")
MAX_STRENGTH = 3.0


@dataclass(frozen=True)
class Direction:
    """Something to add to a code: a domain vector, or a principal direction of the structure code."""

    name: str
    label: str  # what the slider says
    vector: Tensor  # (texture_dim,), or (structure_dim, h, w) to be resized to a picture's structure code
    kind: str = "texture"
    low: float = -2.0
    high: float = 2.0
    note: str = ""


@dataclass(frozen=True)
class Codes:
    """The codes of a picture."""

    structure: Tensor  # (1, structure_dim, h, w)
    texture: Tensor  # (1, texture_dim)
    size: tuple[int, int]  # height and width of the picture; the codes may be of a slightly larger one
    picture: Tensor | None = None  # (1, 3, *size) uint8, the picture itself, for its detail

    def to(self, device: torch.device | str) -> Codes:
        """The same on another device."""
        picture = None if self.picture is None else self.picture.to(device)
        return Codes(self.structure.to(device), self.texture.to(device), self.size, picture)


@dataclass(frozen=True)
class Mixture:
    """How to mix the codes of a first picture with those of others."""

    amount: float = 1.0  # of the others' texture, 0 to 1
    weights: Sequence[float] = (1.0,)  # of the others' textures, none negative; only their ratios count
    strengths: Mapping[str, float] = field(default_factory=dict)  # of the model's directions, by name
    vectors: Sequence[tuple[Tensor, float]] = ()  # texture vectors (texture_dim,) of a person's own, and strengths
    mask: Tensor | None = None  # (H, W) from 0 to 1: where the change applies; None for everywhere
    region: str = "texture"  # what the mask is for; "structure" and "both" also take the first other's structure there
    detail: float = 0.0  # share of the first picture's own fine detail, 0 to 1 (see detail.py; not in the paper)
    feather: float = 0.04  # standard deviation of the mask's soft border, as a share of the picture's longer side
