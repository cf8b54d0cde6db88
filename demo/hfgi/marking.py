"""Marking a face by hand: three clicks on the picture."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw

Point = tuple[float, float]

_NAMES = ("first eye", "second eye", "mouth")
_COLOUR = "#4f46e5"


def hint(done: int) -> str:
    """What to click next, as Markdown."""
    return f"Click the **{_NAMES[done]}** in the picture below ({done + 1} of {len(_NAMES)})."


def dotted(picture: Image.Image, points: Sequence[Point]) -> Image.Image:
    """A copy with a dot at each point."""
    picture = picture.copy()
    pen = ImageDraw.Draw(picture)
    radius = max(4, max(picture.size) // 120)
    for x, y in points:
        box = (x - radius, y - radius, x + radius, y + radius)
        pen.ellipse(box, fill=_COLOUR, outline="white", width=2)
    return picture
