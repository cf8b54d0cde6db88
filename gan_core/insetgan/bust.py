"""Crops of people in photos with the framing that the canvas generators were trained on."""

from __future__ import annotations

import numpy as np
from PIL import Image

from gan_core.errors import BadValue
from gan_core.faces.geometry import BUST_MIDDLE, BUST_SIDE, Face, ffhq_quad

BODY_HEIGHT = 7.5
"""Height of a whole body's picture in sides of the face's FFHQ square, as the rendered people have it on average."""
BODY_FACE = (0.5, 0.114)
"""Middle of that square, as shares of the picture's width and height."""
LEAST_BODY = 0.5
"""Share of the picture's height that a photo must show: head to hips."""


def cut_bust(photo: Image.Image, face: Face, size: int) -> Image.Image:
    """Head and shoulders, size x size; mirrored outside the photo."""
    quad = ffhq_quad(face)
    side = float(np.hypot(*(quad[3] - quad[0]))) / BUST_SIDE
    x0, y0 = quad.mean(0) - side * np.array(BUST_MIDDLE)
    left, top = int(np.floor(x0)), int(np.floor(y0))
    length = max(2, round(side))
    box = (left, top, left + length, top + length)
    inside = (max(left, 0), max(top, 0), min(box[2], photo.width), min(box[3], photo.height))
    pixels = np.asarray(photo.convert("RGB").crop(inside))
    pad = ((inside[1] - top, box[3] - inside[3]), (inside[0] - left, box[2] - inside[2]), (0, 0))
    return Image.fromarray(np.pad(pixels, pad, mode="reflect")).resize((size, size), Image.Resampling.LANCZOS)


def cut_body(photo: Image.Image, face: Face, width: int, height: int) -> tuple[Image.Image, Image.Image]:
    """A whole standing body, width x height, and where the photo shows it: a picture of that size in mode L, 0 where
    the frame leaves the photo, which is filled with what is nearest.

    Raises BadValue if the photo shows too little of the body.
    """
    quad = ffhq_quad(face)
    frame = BODY_HEIGHT * float(np.hypot(*(quad[3] - quad[0])))  # height in pixels of the photo
    x, y = quad.mean(0)
    left, top = x - BODY_FACE[0] * frame * width / height, y - BODY_FACE[1] * frame
    inside = (
        max(0.0, left),
        max(0.0, top),
        min(photo.width, left + frame * width / height),
        min(photo.height, top + frame),
    )
    if inside[3] - inside[1] < LEAST_BODY * frame:
        raise BadValue(
            "Too little of the body is in this picture. Please take one that shows it at least from head to hips."
        )
    scale = height / frame
    x0, y0, x1, y1 = (round(scale * (edge - start)) for edge, start in zip(inside, (left, top, left, top), strict=True))
    small = photo.convert("RGB").resize((x1 - x0, y1 - y0), Image.Resampling.LANCZOS, box=inside, reducing_gap=3.0)
    pad = ((y0, height - y1), (x0, width - x1))
    known = np.pad(np.full((y1 - y0, x1 - x0), 255, np.uint8), pad)
    return Image.fromarray(np.pad(np.asarray(small), (*pad, (0, 0)), mode="edge")), Image.fromarray(known)


def fit(photo: Image.Image, width: int, height: int) -> Image.Image:
    """The largest part of the photo's middle with this aspect ratio, at width x height."""
    scale = max(width / photo.width, height / photo.height)
    size = max(width, round(photo.width * scale)), max(height, round(photo.height * scale))
    large = photo.convert("RGB").resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    return large.crop((left, top, left + width, top + height))
