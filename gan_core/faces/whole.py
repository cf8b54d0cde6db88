"""The square that a model of objects takes of a photo, in the terms of a face that was cut out."""

from __future__ import annotations

import numpy as np
from PIL import Image

from gan_core.errors import FaceTooSmall
from gan_core.faces.alignment import SMALLEST_QUAD, AlignedFace

WIDE_ROWS = (0.125, 0.875)
"""Where, of the height of a square, a picture of 4 to 3 lies; what is above and below is black (LSUN's cars)."""


def whole_square(image: Image.Image, size: int = 256, *, wide: bool = False) -> AlignedFace:
    """The middle of a photo as a size x size RGB picture: its largest square, or, `wide`, its largest part of 4 to 3
    between black bars. Raises FaceTooSmall for a photo that is far too small."""
    photo = image if image.mode == "RGB" else image.convert("RGB")
    width, height = photo.size
    side = min(width, height * 4 / 3) if wide else min(width, height)
    tall = side * 0.75 if wide else side
    if min(side, tall) < SMALLEST_QUAD:
        raise FaceTooSmall("This picture is too small: use one that is at least 40 pixels high and wide.")
    left, top = (width - side) / 2, (height - side) / 2  # of the square, which may leave the photo
    box = (left, (height - tall) / 2, left + side, (height + tall) / 2)
    first, last = (round(size * share) for share in WIDE_ROWS) if wide else (0, size)
    shown = photo.resize((size, last - first), Image.Resampling.LANCZOS, box=box)
    crop = Image.new("RGB", (size, size))
    crop.paste(shown, (0, first))
    quad = np.array([[left, top], [left, top + side], [left + side, top + side], [left + side, top]])
    scale = size / side
    to_crop = np.array([[scale, 0.0, -left * scale], [0.0, scale, -top * scale]])
    return AlignedFace(crop=crop, quad=quad, to_crop=to_crop, photo_size=photo.size)
