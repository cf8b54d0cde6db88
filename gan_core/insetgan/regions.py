"""The part of an inset's picture that is used, and where it is placed on the canvas.

A region is a box in the inset's picture, as shares of its sides, and optionally an outline inside it. For faces cut out
the FFHQ way the eyes lie near (0.37, 0.47) and (0.63, 0.47), the mouth near (0.5, 0.75) and the chin near 0.9.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from gan_core.errors import BadValue
from gan_core.images import to_pil
from gan_core.insetgan.labels import REGION_LABELS
from gan_core.insetgan.placement import Placement, Points, placed

# Where FFHQ's alignment puts both eyes and the middle of the mouth, as shares of the crop.
FFHQ_POINTS: Points = ((0.375, 0.4722), (0.625, 0.4722), (0.5, 0.75))


@dataclass(frozen=True)
class Region:
    """A part of an inset's picture."""

    name: str
    label: str
    box: tuple[float, float, float, float]  # x0, y0, x1, y1, as shares of the picture's sides
    outline: str = "box"  # or "ellipse"; or of a head finder's mask "head", a bit larger than the head, or "cutout"
    upright: bool = False  # not rotated with the canvas's face

    def pixels(self, height: int, width: int) -> tuple[int, int, int, int]:
        """The box in whole pixels of a picture."""
        x0, y0, x1, y1 = self.box
        return round(x0 * width), round(y0 * height), round(x1 * width), round(y1 * height)


REGIONS: dict[str, Region] = {
    region.name: region
    for region in (
        Region("face", REGION_LABELS["face"], (0.16, 0.19, 0.84, 0.93)),
        Region("oval", REGION_LABELS["oval"], (0.2, 0.17, 0.8, 0.97), outline="ellipse"),
        Region("head", REGION_LABELS["head"], (0.06, 0.0, 0.94, 0.97)),
        Region("outline", REGION_LABELS["outline"], (0.04, 0.0, 0.96, 0.97), outline="head"),
        Region("hair", REGION_LABELS["hair"], (0.04, 0.0, 0.96, 0.97), outline="cutout"),
        Region("eyes", REGION_LABELS["eyes"], (0.22, 0.34, 0.78, 0.57)),
        Region("mouth", REGION_LABELS["mouth"], (0.28, 0.63, 0.72, 0.92)),
        Region("whole", REGION_LABELS["whole"], (0.0, 0.0, 1.0, 1.0), upright=True),
    )
}
BY_HEAD_FINDER = ("head", "cutout")
_SURE = 0.8  # probability from which a pixel is cut out: a backdrop beside it would be pasted, too

SQUARE = Region("square", "", (0.0, 0.0, 1.0, 1.0))
"""The whole picture of an inset, turned as the canvas's part is."""


class RegionFinder(Protocol):
    """Places an inset's region (its picture is (1, 3, h, w)) on a canvas (1, 3, H, W); None if there is no place."""

    def __call__(self, canvas: Tensor, inset: Tensor, region: Region) -> Placement | None: ...


def face_points(image: Tensor) -> Points | None:
    """Both eyes and the middle of the mouth of the largest face of (1, 3, H, W), pixels; None without a face."""
    from gan_core.faces.finder import embedded_finder

    faces = embedded_finder().find(to_pil(image))
    if not faces:
        return None
    left, right, _, mouth_left, mouth_right = faces[0].points.tolist()
    return (left, right, ((mouth_left[0] + mouth_right[0]) / 2, (mouth_left[1] + mouth_right[1]) / 2))


def find_by_face(canvas: Tensor, inset: Tensor, region: Region) -> Placement | None:
    """Place the region so that the eyes and mouths of the two faces coincide as well as possible.

    The inset's face is detected, too; if that fails, its points are those of FFHQ's alignment.
    """
    target = face_points(canvas)
    if target is None:
        return None
    height, width = inset.shape[-2:]
    source = face_points(inset) or tuple((x * width, y * height) for x, y in FFHQ_POINTS)
    return placed(region.pixels(height, width), source, target, upright=region.upright)


def at_box(box: tuple[float, float, float, float]) -> RegionFinder:
    """A finder that always returns the same place: `box` as shares of the canvas's sides."""

    def find(canvas: Tensor, inset: Tensor, region: Region) -> Placement | None:
        height, width = canvas.shape[-2:]
        x0, y0, x1, y1 = box
        return Placement.of_box((x0 * width, y0 * height, x1 * width, y1 * height))

    return find


@dataclass(frozen=True)
class Outline:
    """The part of a region that the inset covers, at the size of the comparison; both (1, 1, h, w) in [0, 1]."""

    inside: Tensor
    frame: Tensor  # the outer pixels, which must match the canvas


def outline_of(
    region: Region,
    size: tuple[int, int],
    frame: int,
    inset: Tensor,
    head: Callable[[Tensor], Tensor] | None = None,
) -> Outline:
    """The region's outline.

    size: height and width to compare at. frame: width of the frame, pixels of that size. inset: its picture
    (1, 3, h, w). head: gives (1, C, h, w) in [0, 1] of such a picture, channel 0 the head.
    Raises BadValue for an outline of the head without a head finder.
    """
    height, width = size
    if region.outline in BY_HEAD_FINDER:
        if head is None:
            raise BadValue("There is no head finder on this machine; choose a box instead.")
        x0, y0, x1, y1 = region.pixels(*inset.shape[-2:])
        soft = F.interpolate(head(inset)[:, :1, y0:y1, x0:x1].float(), size, mode="bilinear", align_corners=False)
        inside = (soft > _SURE if region.outline == "cutout" else _grown(soft, frame // 2) > 0.5).float()
    elif region.outline == "ellipse":
        y = torch.linspace(-1 + 1 / height, 1 - 1 / height, height, device=inset.device)
        x = torch.linspace(-1 + 1 / width, 1 - 1 / width, width, device=inset.device)
        inside = (x.square()[None] + y.square()[:, None] <= 1).float()[None, None]
    else:
        inside = torch.ones(1, 1, height, width, device=inset.device)
    # Pixels outside the picture count as canvas, so that a plain box has a frame, too.
    padded = F.pad(inside, (frame,) * 4)
    core = -F.max_pool2d(-padded, 2 * frame + 1, stride=1)
    return Outline(inside, inside - core)


def feathered(outline: Outline, width: int) -> Tensor:
    """Opacity of the inset, (1, 1, h, w): 1 inside, falling to 0 over the outer `width` pixels."""
    if width < 1:
        return outline.inside
    # Two box filters of this reach make a ramp with soft ends; the outline is eroded to the ramp's middle.
    half = max(1, width // 4)
    pad = width + 4 * half
    ramp = -F.max_pool2d(-F.pad(outline.inside, (pad,) * 4), 4 * half + 1, stride=1, padding=2 * half)
    for _ in range(2):
        ramp = F.avg_pool2d(ramp, 2 * half + 1, stride=1, padding=half)
    return ramp[..., pad:-pad, pad:-pad] * outline.inside


def _grown(mask: Tensor, by: int) -> Tensor:
    return F.max_pool2d(mask, 2 * by + 1, stride=1, padding=by) if by > 0 else mask
