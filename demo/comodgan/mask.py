"""Masks uploaded with a picture, and masks from a picture's transparent pixels."""

from __future__ import annotations

import numpy as np
from PIL import Image

from demo.parts.uploads import MAX_PIXELS
from gan_core.errors import BadImage, BadValue
from gan_core.images import open_image

_ASPECT = 0.02  # by which the aspect ratios of picture and mask may differ
_HALF = 127


def sent_mask(data: bytes, size: tuple[int, int]) -> np.ndarray:
    """A mask picture as (H, W) bool at `size` (width, height): True where it is white (brighter than half).

    Transparent pixels are not filled. A mask of another size with the picture's aspect ratio is scaled.
    Raises BadImage or BadValue.
    """
    try:
        mask = open_image(data, max_pixels=MAX_PIXELS, min_side=1, backdrop="black").convert("L")
    except BadImage as error:
        raise BadImage(f"The mask: {error}") from error
    if abs(np.log(mask.width * size[1] / (mask.height * size[0]))) > _ASPECT and mask.size != size:
        raise BadValue(
            f"The mask is {mask.width} x {mask.height} pixels and the picture {size[0]} x {size[1]}: their proportions "
            "differ. Send a mask of the picture's size."
        )
    if mask.size != size:
        mask = mask.resize(size, Image.Resampling.BILINEAR, reducing_gap=3.0)
    marked = np.asarray(mask) > _HALF
    if not marked.any():
        raise BadValue("The mask has no white in it, so there is nothing to fill. White is filled, black is kept.")
    return marked


def transparent(data: bytes, opened: Image.Image) -> np.ndarray | None:
    """The pixels that are more transparent than opaque, (H, W) bool; None if there are none.

    data: the picture's file; opened: the same, opened by `open_image`.
    """
    if data[:2] == b"\xff\xd8":  # a JPEG has no transparency
        return None
    with_black = open_image(data, max_pixels=MAX_PIXELS, min_side=1, backdrop="black")
    # The difference between a white and a black backdrop is the transparency.
    through = np.asarray(opened, np.int16)[..., 1] - np.asarray(with_black, np.int16)[..., 1]
    clear = through > _HALF
    return clear if clear.any() else None
