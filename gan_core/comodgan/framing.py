"""Which square of a picture the network sees.

Networks of portraits know pictures framed in one way: the face's FFHQ square, or head and shoulders. Where the caller
knows the face, the square is put around it; otherwise it is as much of the picture as a square holds. Networks of any
scene get the hole with about as much picture around it. What lies beyond the picture's border counts as unknown.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gan_core.faces.geometry import BUST_MIDDLE, BUST_SIDE, Face, ffhq_quad

FRAMINGS = ("face", "bust", "any")
Box = tuple[int, int, int, int]  # left, top, right, bottom in pixels; right and bottom are outside

_CONTEXT = 1.25  # the square along the picture's longer side, in lengths of the hole, at least


@dataclass(frozen=True)
class SquareCrop:
    """A square of a picture, in pixels; it may reach beyond the picture."""

    left: int
    top: int
    side: int


def region_around(box: Box, size: tuple[int, int], *, framing: str, resolution: int) -> SquareCrop:
    """The square for a hole with bounding box `box` in a picture of `size` (height, width).

    It holds the whole hole, and where it can be it lies inside the picture. "any" framing takes twice the hole, but not
    less than the model's resolution; the others as much as fits.
    """
    height, width = size
    x0, y0, x1, y1 = box
    wide, high = x1 - x0, y1 - y0
    wanted = max(2 * max(wide, high), resolution) if framing == "any" else min(size)
    along = wide if width >= height else high
    side = max(min(wanted, *size), min(max(size), round(_CONTEXT * along)), wide, high)
    return SquareCrop(_placed((x0 + x1) / 2, side, width), _placed((y0 + y1) / 2, side, height), side)


def face_region(face: Face, *, framing: str) -> SquareCrop:
    """The square in which a network of portraits ("face" or "bust") knows this face, upright."""
    quad = ffhq_quad(face)
    side = float(np.hypot(*(quad[3] - quad[0])))
    centre, middle = quad.mean(0), (0.5, 0.5)
    if framing == "bust":
        side, middle = side / BUST_SIDE, BUST_MIDDLE
    left, top = np.rint(centre - side * np.array(middle)).astype(int)
    return SquareCrop(int(left), int(top), max(2, round(side)))


def grown(region: SquareCrop, box: Box) -> SquareCrop:
    """The region itself if it holds the box, else one that does: no larger, moved no further than it must."""
    x0, y0, x1, y1 = box
    side = max(region.side, x1 - x0, y1 - y0)
    slack = (side - region.side) // 2
    left = min(max(region.left - slack, x1 - side), x0)
    top = min(max(region.top - slack, y1 - side), y0)
    return SquareCrop(left, top, side)


def _placed(middle: float, side: int, length: int) -> int:
    """Where a side begins on an axis: around `middle`, inside [0, length] if it fits, else around the whole."""
    if side >= length:
        return (length - side) // 2
    return min(max(round(middle - side / 2), 0), length - side)
