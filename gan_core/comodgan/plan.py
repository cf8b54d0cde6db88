"""Which network fills which hole of a picture, and which square of it the network is shown.

A network of faces or portraits is shown the square around a face if the hole is on it; a network of any photo is shown
each of several holes with its own surroundings (holes.py). The automatic choice takes the network of faces for the
holes on a face, those of one face together, and the network of any photo for the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gan_core.comodgan.framing import Box, SquareCrop, face_region, grown, region_around
from gan_core.comodgan.holes import Hole, connected_parts, separate_holes
from gan_core.comodgan.models import AUTOMATIC, PLACES, CoModGANModel, choice_of_faces
from gan_core.errors import BadValue
from gan_core.faces.geometry import Face

Mask = NDArray[np.bool_]

NOTHING = "Nothing is marked yet. Paint over what should be filled, or take a ready-made mask."
_ALMOST_WHOLE = 0.8  # a face's square of more than this share of a square picture is replaced by the whole picture
_MOST = 0.5  # a hole is on a face if more than this share of it is in the face's square
_MAIN = 0.25  # or if it hides the face, and the face's square has at least this share of the picture
_OF_PORTRAITS = ("face", "bust")

_MENU = "(to change that: Variety and weights)"
_ON_FACE = f"The hole is on a face, so the network for faces filled it {_MENU}."
_OFF_FACE = f"The hole is not on a face, so the network for any photo filled it {_MENU}."
_FACELESS = f"There is no face here, so the network for any photo filled the hole {_MENU}."
_BOTH = f"The network for faces filled the holes on a face, the network for any photo the others {_MENU}."
_NO_FACE = "No face was found in this picture, and these weights know portraits only."
_BESIDE_IT = "Most of the hole is not on the face, and these weights know portraits only."
_NOT_PORTRAITS = "The hole is on a face, and these weights know faces less well than those of faces."


@dataclass(frozen=True)
class FillPart:
    """A hole, the choice of weights that fills it, and the square that its network is shown."""

    hole: Hole
    choice: CoModGANModel
    region: SquareCrop


@dataclass(frozen=True)
class FillPlan:
    """What fills a mask: parts that together have its pixels, each once."""

    parts: tuple[FillPart, ...]
    remark: str
    """For a person: which networks were chosen and why, or what may make results poor; "" if there is nothing to say.
    """


def plan(
    mask: Mask,
    choice: CoModGANModel,
    models: Mapping[str, CoModGANModel],
    find_faces: Callable[[], Sequence[Face]],
) -> FillPlan:
    """How the pixels of a mask, (H, W) bool, are filled.

    choice: the one that was asked for; with the alignment AUTOMATIC two of `models` are used, that of faces and PLACES.
    find_faces: the picture's faces, largest first; called only where they matter. Raises BadValue if nothing is marked.
    """
    box, of_faces = bounds(mask), choice_of_faces(models)
    if choice.alignment == AUTOMATIC and of_faces is not None:
        return _automatic(mask, box, of_faces, models[PLACES], find_faces())
    if choice.alignment in _OF_PORTRAITS:
        return _of_portraits(mask, box, choice, find_faces())
    remark = ""
    if choice.name == PLACES and of_faces is not None:
        on_faces = _faces_under(mask, box, find_faces(), of_faces.alignment) >= 0
        remark = _NOT_PORTRAITS if on_faces.any() else ""
    return FillPlan(tuple(_apart(mask, separate_holes(mask, choice.resolution), choice)), remark)


def bounds(mask: Mask) -> Box:
    """The smallest box that holds the marked pixels of (H, W). Raises BadValue if there are none."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        raise BadValue(NOTHING)
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _automatic(mask: Mask, box: Box, own: CoModGANModel, places: CoModGANModel, faces: Sequence[Face]) -> FillPlan:
    under = _faces_under(mask, box, faces, own.alignment)
    rest = under == -1
    parts: list[FillPart] = []
    for number in np.unique(under[under >= 0]):
        on_it = under == number
        parts += _of_portraits(on_it, bounds(on_it), own, [faces[number]]).parts
    remark = _ON_FACE if parts else _OFF_FACE if faces else _FACELESS
    if rest.any():
        remark = _BOTH if parts else remark
        parts += _apart(rest, separate_holes(rest, places.resolution), places)
    return FillPlan(tuple(parts), remark)


def _of_portraits(mask: Mask, box: Box, choice: CoModGANModel, faces: Sequence[Face]) -> FillPlan:
    """One part: the square of the face that the hole is on, else as much of the picture as a square holds."""
    height, width = mask.shape
    hole = Hole(box, mask[_slices(box)])
    regions = [face_region(face, framing=choice.alignment) for face in faces]
    if regions and _fills(regions[0], mask.shape):
        return FillPlan((FillPart(hole, choice, grown(SquareCrop(0, 0, width), box)),), "")
    shares = [_share_in(hole, region) for region in regions]
    if shares and max(shares) > _MOST:
        region = regions[int(np.argmax(shares))]
        return FillPlan((FillPart(hole, choice, grown(region, box)),), "")
    region = region_around(box, (height, width), framing=choice.alignment, resolution=choice.resolution)
    return FillPlan((FillPart(hole, choice, region),), _BESIDE_IT if faces else _NO_FACE)


def _apart(mask: Mask, holes: Sequence[Hole], choice: CoModGANModel) -> list[FillPart]:
    """A part for each hole, with its own surroundings."""
    height, width = mask.shape
    size, resolution = (height, width), choice.resolution
    return [
        FillPart(hole, choice, region_around(hole.box, size, framing="any", resolution=resolution)) for hole in holes
    ]


def _faces_under(mask: Mask, box: Box, faces: Sequence[Face], framing: str) -> NDArray[np.int16]:
    """For each pixel (H, W) the number of the face that its part of the mask is on, -1 in parts that are on none, and
    -2 where the mask is False. A part is a connected one (`holes.connected_parts`)."""
    under = np.full(mask.shape, -2, np.int16)
    if not faces:
        under[mask] = -1
        return under
    regions = [face_region(face, framing=framing) for face in faces]
    if _fills(regions[0], mask.shape):
        under[mask] = 0
        return under
    marked = mask[_slices(box)]
    labels = np.where(marked, connected_parts(marked)[0], 0)
    totals = np.bincount(labels.ravel()).clip(min=1)

    def within(left: int, top: int, right: int, bottom: int) -> NDArray[np.int64]:
        """Pixels of each part inside a box of the picture."""
        x0, y0, x1, y1 = (max(a - b, 0) for a, b in zip((left, top, right, bottom), 2 * box[:2], strict=True))
        return np.bincount(labels[y0:y1, x0:x1].ravel(), minlength=len(totals))

    sides = [(one.left, one.top, one.left + one.side, one.top + one.side) for one in regions]
    shares = np.array([within(*side) for side in sides]) / totals
    number = np.where(shares.max(0) > _MOST, shares.argmax(0), -1)
    for i, (face, region) in enumerate(zip(faces, regions, strict=True)):
        x0, y0, x1, y1 = (round(x) for x in face.box)
        if region.side**2 >= _MAIN * mask.size:
            hides = within(x0, y0, x1, y1) > _MOST * max((x1 - x0) * (y1 - y0), 1)
            number[hides & (number == -1)] = i
    number[0] = -2
    under[_slices(box)] = number[labels]
    return under


def _fills(region: SquareCrop, size: tuple[int, ...]) -> bool:
    """Whether the picture, of `size` (height, width), is hardly more than the face's square."""
    height, width = size
    return width == height and region.side > _ALMOST_WHOLE * width


def _share_in(hole: Hole, region: SquareCrop) -> float:
    """The share of a hole's pixels that are in a square."""
    left, top = region.left - hole.box[0], region.top - hole.box[1]
    rows, columns = slice(max(top, 0), max(top + region.side, 0)), slice(max(left, 0), max(left + region.side, 0))
    return float(hole.mask[rows, columns].sum() / hole.mask.sum())


def _slices(box: Box) -> tuple[slice, slice]:
    return slice(box[1], box[3]), slice(box[0], box[2])
