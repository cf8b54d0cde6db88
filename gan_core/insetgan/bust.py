"""Crops of people in photos with the framing that the canvas generators were trained on."""

from __future__ import annotations

import numpy as np
from PIL import Image

from gan_core.faces.geometry import BUST_MIDDLE, BUST_SIDE, Face, ffhq_quad


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


def fit(photo: Image.Image, width: int, height: int) -> Image.Image:
    """The largest part of the photo's middle with this aspect ratio, at width x height."""
    scale = max(width / photo.width, height / photo.height)
    size = max(width, round(photo.width * scale)), max(height, round(photo.height * scale))
    large = photo.convert("RGB").resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    return large.crop((left, top, left + width, top + height))
