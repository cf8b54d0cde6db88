"""Chooses the square of a picture that the network sees.

Networks of portraits were trained on one framing: the face's FFHQ square, or head and shoulders. Where the face is
given, the square is placed around it; otherwise it is the largest one in the picture. Networks of any scene are shown
the hole with about as much of the picture around it. Pixels outside the picture count as unknown.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gan_core.faces.geometry import BUST_MIDDLE, BUST_SIDE, Face, ffhq_quad

FRAMINGS = ("face", "bust", "any")
Box = tuple[int, int, int, int]  # left, top, right, bottom in pixels; right and bottom are outside

_CONTEXT = 1.25  # least side of the square in lengths of the hole


@dataclass(frozen=True)
class SquareCrop:
    """A square of a picture, in pixels; it may reach beyond the picture."""

    left: int
    top: int
    side: int


def region_around(box: Box, size: tuple[int, int], *, framing: str, resolution: int) -> SquareCrop:
    """The square for a hole with bounding box `box` in a picture of `size` (height, width).

    It contains the whole hole and lies inside the picture where it fits. With the framing "any" it has twice the hole's
    size, but at least the model's resolution; with the others it is as large as the picture allows.
    """
    height, width = size
    x0, y0, x1, y1 = box
    wide, high = x1 - x0, y1 - y0
    wanted = max(2 * max(wide, high), resolution) if framing == "any" else min(size)
    along = wide if width >= height else high
    side = max(min(wanted, *size), min(max(size), round(_CONTEXT * along)), wide, high)
    return SquareCrop(_placed((x0 + x1) / 2, side, width), _placed((y0 + y1) / 2, side, height), side)


def face_region(face: Face, *, framing: str) -> SquareCrop:
    """The upright square around a face as a network of portraits ("face" or "bust") was trained on it."""
    quad = ffhq_quad(face)
    side = float(np.hypot(*(quad[3] - quad[0])))
    centre, middle = quad.mean(0), (0.5, 0.5)
    if framing == "bust":
        side, middle = side / BUST_SIDE, BUST_MIDDLE
    left, top = np.rint(centre - side * np.array(middle)).astype(int)
    return SquareCrop(int(left), int(top), max(2, round(side)))


def grown(region: SquareCrop, box: Box) -> SquareCrop:
    """The smallest change of a region that makes it contain the box: moved, and enlarged only if needed."""
    x0, y0, x1, y1 = box
    side = max(region.side, x1 - x0, y1 - y0)
    slack = (side - region.side) // 2
    left = min(max(region.left - slack, x1 - side), x0)
    top = min(max(region.top - slack, y1 - side), y0)
    return SquareCrop(left, top, side)


def _placed(middle: float, side: int, length: int) -> int:
    """Begin of a side on an axis: centred at `middle`, shifted into [0, length] if it fits, else centred on that."""
    if side >= length:
        return (length - side) // 2
    return min(max(round(middle - side / 2), 0), length - side)
