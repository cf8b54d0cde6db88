"""Where the insets lie on a canvas of whole bodies: found by the body reader instead of by a face detector.

A whole body's face is too small for the detector, and the reader gives the FFHQ square itself, also of a turned head.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gan_core.faces.geometry import ffhq_quad
from gan_core.images import to_pil
from gan_core.insetgan.body_reader import HEIGHT, JOINTS, BodyReader
from gan_core.insetgan.feet import feet_box
from gan_core.insetgan.placement import Placement, Points, placed
from gan_core.insetgan.regions import Region

SIDES = (30.0, 130.0)
"""The least and the greatest side of a face's square, in pixels of a body 512 high, that is believed."""
_ANKLES = [JOINTS.index(name) for name in ("ankle_r", "ankle_l")]


@dataclass(frozen=True)
class FaceOfBody:
    """A `RegionFinder`: lays the FFHQ square of the inset's face on that of the canvas's."""

    reader: BodyReader

    def __call__(self, canvas: Tensor, inset: Tensor, region: Region) -> Placement | None:
        """None where the reader's square is no face's."""
        scale = canvas.shape[-2] / HEIGHT
        quad = self.reader.read(canvas).quad[0]
        side = float((quad[3] - quad[0]).norm())
        middle = quad.mean(0) * scale
        inside = bool((middle > 0).all()) and middle[0] < canvas.shape[-1] and middle[1] < canvas.shape[-2] / 2
        if not (inside and SIDES[0] <= side <= SIDES[1]):  # also refuses NaN
            return None
        height, width = inset.shape[-2:]
        return placed(region.pixels(height, width), _square_of(inset), (quad * scale).tolist(), upright=region.upright)


@dataclass(frozen=True)
class FeetOfBody:
    """A `RegionFinder`: a region of the square around both ankles that a generator of feet draws."""

    reader: BodyReader

    def __call__(self, canvas: Tensor, inset: Tensor, region: Region) -> Placement | None:
        """None where the reader finds no ankles."""
        height, width = canvas.shape[-2:]
        ankles = self.reader.read(canvas).joints[0, _ANKLES].double().cpu().numpy()
        if not np.isfinite(ankles).all():
            return None
        box = feet_box(ankles, (width * HEIGHT // height, HEIGHT))
        left, top, side = box[0], box[1], box[2] - box[0]
        x0, y0, x1, y1 = (side * share for share in region.box)
        corners = (left + x0, top + y0, left + x1, top + y1)
        return Placement.of_box([corner * height / HEIGHT for corner in corners])


def _square_of(inset: Tensor) -> Points:
    """Corners of the FFHQ square of an inset's face, in its pixels: of the detected face, or the whole picture."""
    from gan_core.faces.finder import embedded_finder

    height, width = inset.shape[-2:]
    faces = embedded_finder().find(to_pil(inset))
    if not faces:
        return ((0.0, 0.0), (0.0, height), (width, height), (width, 0.0))
    return torch.as_tensor(ffhq_quad(faces[0])).tolist()
