"""Attributes measured from an aligned 256-pixel crop: by its pixels, or by the landmarks of the face finder.

Crops are FFHQ-aligned, so the eyes are at the same place in all of them, within about a pixel. Boxes below are centres
and half sides in pixels of the crop.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

if TYPE_CHECKING:
    from gan_core.faces.head import HeadNet

SIZE = 256
_BRIDGE = (128, 120, 7, 9)  # between the eyes: the bridge of a pair of glasses is an edge there
_RIMS = ((97, 142, 12, 7), (159, 142, 12, 7))  # below the eyes: their lower rims
_CHEEKS = ((85, 158, 8, 8), (171, 158, 8, 8))
_HAIR = (128, 38, 22, 8)
_FACE = (130, 140, 70, 80)
_LIPS = ((128, 181, 13, 3), (128, 194, 13, 4))
_BEARD = ((128, 214, 16, 7), (90, 205, 8, 8), (166, 205, 8, 8), (128, 170, 14, 4))  # chin, jaws, upper lip


def _box(maps: Tensor, box: tuple[int, int, int, int]) -> Tensor:
    x, y, half_width, half_height = box
    return maps[:, y - half_height : y + half_height, x - half_width : x + half_width]


def pixel_measures(images: Tensor) -> dict[str, Tensor]:
    """Measures (N,) of crops (N, 3, 256, 256) in [-1, 1]; differentiable.

    "glasses": strength of horizontal edges on the nose's bridge and under the eyes, relative to the face's
    contrast, log scale. "hair": brightness above the forehead, "light": brightness of the cheeks,
    both in log scale.
    """
    grey = (images.float().mean(1) + 1) / 2
    edges = grey.diff(dim=1).abs()
    contrast = _box(grey, _FACE).std((1, 2))
    bridge = _box(edges, _BRIDGE).mean((1, 2)) / contrast
    rims = torch.stack([_box(edges, rim).mean((1, 2)) for rim in _RIMS]).amin(0) / contrast
    cheeks = torch.stack([_box(grey, cheek).mean((1, 2)) for cheek in _CHEEKS]).mean(0)
    return {
        "glasses": (bridge + 1e-4).log() + (rims + 1e-4).log(),
        "hair": (_box(grey, _HAIR).mean((1, 2)).clamp_min(0) + 0.02).log(),
        "light": (cheeks.clamp_min(0) + 0.02).log(),
    }


def colour_measures(images: Tensor) -> dict[str, Tensor]:
    """Measures (N,) of crops (N, 3, 256, 256) in [-1, 1] that compare parts of the face, log scale; differentiable.

    "lips": how much redder the lips are than the cheeks; "shade": how much darker chin, jaws and upper lip are, as with
    a beard; "red" and "blue": the cheeks' colour against their green.
    """
    images = (images.float() + 1) / 2

    def mean(*boxes: tuple[int, int, int, int]) -> Tensor:  # (N, 3) in log scale
        means = [_box(images.flatten(0, 1), box).mean((1, 2)).view(-1, 3) for box in boxes]
        return (torch.stack(means).mean(0).clamp_min(0) + 0.02).log()

    cheeks, lips = mean(*_CHEEKS), mean(*_LIPS)
    return {
        "lips": (lips[:, 0] - lips[:, 1]) - (cheeks[:, 0] - cheeks[:, 1]),
        "shade": cheeks.mean(1) - torch.stack([mean(box).mean(1) for box in _BEARD]).mean(0),
        "red": cheeks[:, 0] - cheeks[:, 1],
        "blue": cheeks[:, 2] - cheeks[:, 1],
    }


def mesh_measures(points: dict[int, Tensor]) -> dict[str, Tensor]:
    """The labels' measures from face-mesh points: {mesh index: (N, 2) pixels}; differentiable.

    Units as in the labels: yaw in degrees (positive: turned to the image's right), the others in distances
    between the eyes; "nod" is the height of the nose's tip between eyes (0) and mouth (1).
    """
    left, right = (points[33] + points[133]) / 2, (points[362] + points[263]) / 2
    between = (right - left).norm(dim=1)
    lips = (points[13] + points[14]) / 2
    corners = (points[61] + points[291]) / 2
    cheeks = (points[234] + points[454]) / 2
    width = (points[454] - points[234]).norm(dim=1)
    pairs = ((160, 144), (158, 153), (385, 380), (387, 373))
    lids = torch.stack([(points[a] - points[b]).norm(dim=1) for a, b in pairs])
    eyes = (left + right) / 2
    return {
        "yaw_deg": 66.6 * (points[1] - cheeks)[:, 0] / width,  # fitted to the labels, correlation 0.99
        "corner_lift": (lips - corners)[:, 1] / between,
        "mouth_open": (points[13] - points[14]).norm(dim=1) / between,
        "eye_open": lids.mean(0) / between,
        "nod": (points[1] - eyes)[:, 1] / (corners - eyes)[:, 1],
    }


def head_measures(head: HeadNet, images: Tensor) -> dict[str, Tensor]:
    """Measures (N,) of aligned crops (N, 3, R, R) in [-1, 1] from the head's mask; not differentiable.

    "hair_length": share of the crop that is head below the mouth and beside the neck, where only long hair is;
    "hair_volume": share that is head above and beside the face.
    """
    size = images.shape[-1]
    at = (torch.arange(size, device=images.device) + 0.5) / size
    x, y = at[None], at[:, None]
    heads = torch.cat([head.masks(part)[:, 0] for part in images.split(32)])
    low = ((x - 0.5).abs() > 0.2) & (y > 0.7)
    high = (y < 0.7) & (((x - 0.5) / 0.28) ** 2 + ((y - 0.52) / 0.34) ** 2 > 1)
    return {"hair_length": (heads * low).mean((1, 2)), "hair_volume": (heads * high).mean((1, 2))}


def to_columns(measures: dict[str, Tensor]) -> dict[str, np.ndarray]:
    """Measures as float64 arrays."""
    return {name: value.detach().cpu().double().numpy() for name, value in measures.items()}


class FinderMeasures:
    """`mesh_measures` of pictures, by the landmark network of this project's own face finder."""

    def __init__(self, weights: Path, device: str | torch.device = "cpu") -> None:
        from gan_core.faces.finder import FaceFinder

        self.device = torch.device(device)
        self.refiner = FaceFinder.load(weights, device=str(device)).refiner

    def __call__(self, images: Tensor) -> dict[str, Tensor]:
        """Measures (N,) of aligned crops (N, 3, 256, 256) in [-1, 1]; differentiable."""
        from gan_core.faces.networks import LANDMARKS, REFINER_DROP, REFINER_SIZE, REFINER_ZOOM

        side = REFINER_ZOOM * SIZE
        centre = (SIZE / 2, SIZE * (0.5 + REFINER_DROP))
        shift = torch.tensor([2 * centre[0] / SIZE - 1, 2 * centre[1] / SIZE - 1])
        maps = torch.cat([torch.eye(2) * REFINER_ZOOM, shift[:, None]], 1).expand(len(images), -1, -1)
        size = [len(images), 3, REFINER_SIZE, REFINER_SIZE]
        grid = F.affine_grid(maps, size, align_corners=False).to(self.device)
        crops = F.grid_sample(images.to(self.device).float(), grid, padding_mode="border", align_corners=False)
        corner = torch.tensor(centre, device=self.device) - side / 2
        found = self.refiner(crops)[0] * side + corner
        return mesh_measures({index: found[:, i] for i, index in enumerate(LANDMARKS)})
