"""Pictures of one size in rows, as one picture: strips and grids."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

Rows = Sequence[Sequence[Image.Image]]
_BAND = 30  # pixels above a captioned row
_TEXT = 18


def image_grid(rows: Rows, side: int, gap: int = 2) -> Image.Image:
    """The rows under each other, every picture fitted to `side` x `side` pixels, on white."""
    width, height = (len(line) * side + (len(line) - 1) * gap for line in (rows[0], rows))
    whole = Image.new("RGB", (width, height), "white")
    for y, row in enumerate(rows):
        for x, picture in enumerate(row):
            small = picture if picture.size == (side, side) else picture.resize((side, side), Image.Resampling.LANCZOS)
            whole.paste(small, (x * (side + gap), y * (side + gap)))
    return whole


def captioned(parts: Sequence[tuple[str, Image.Image]]) -> Image.Image:
    """Pictures under each other, each with a line of text above it, on white."""
    width = max(picture.width for _, picture in parts)
    whole = Image.new("RGB", (width, sum(picture.height + _BAND for _, picture in parts)), "white")
    pen, font, y = ImageDraw.Draw(whole), ImageFont.load_default(_TEXT), 0
    for text, picture in parts:
        pen.text((6, y + (_BAND - _TEXT) // 2 - 2), text, fill="#334155", font=font)
        whole.paste(picture, (0, y + _BAND))
        y += picture.height + _BAND
    return whole


def cell_at(point: Sequence[float], side: int, gap: int = 2) -> tuple[int, int]:
    """Row and column of a `image_grid` that a point (x, y) of it lies in."""
    x, y = point
    return int(y // (side + gap)), int(x // (side + gap))
