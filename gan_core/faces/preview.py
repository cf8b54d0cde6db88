"""Geometry of a cut-out face in a smaller copy of its photo, for fast previews."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gan_core.faces.alignment import AlignedFace


def at_size(aligned: AlignedFace, photo_size: tuple[int, int]) -> AlignedFace:
    """`aligned` with its geometry in a copy of the photo resized to `photo_size` (width, height) pixels.

    The crop stays the one cut from the full photo.
    """
    scale = np.array(photo_size, np.float64) / np.array(aligned.photo_size, np.float64)
    to_crop = np.concatenate([aligned.to_crop[:, :2] / scale, aligned.to_crop[:, 2:]], axis=1)
    return replace(aligned, quad=aligned.quad * scale, to_crop=to_crop, photo_size=photo_size, face=None)
