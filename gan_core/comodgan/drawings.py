"""Converts drawings that people paint, scan or photograph to lines like those that the network was trained on.

Ink and paper may have any colour, the drawing may be on a transparent layer or on unevenly lit paper, and its lines may
be much thicker or thinner than in training. If "ink" covers too much of a picture, it is taken for a photo, of which
the edges are drawn.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from torch import Tensor

from gan_core.comodgan.edges import edges_of
from gan_core.images import resize_within

_SIDE = 512  # longer side, pixels, to which a drawing is reduced
_LINE = 2.0  # width of a trained line, in pixels of a picture 256 pixels wide
_THICK, _THIN = 2.2, 0.75  # times that, beyond which lines are thinned or thickened
_COVERED = 0.3  # least share of ink at which a picture is taken for a photo
_FAINT = 0.06  # difference from the paper, share of the range, that is not yet ink


def drawing_of(picture: Image.Image) -> Tensor:
    """Lines (1, H, W) in [0, 1], 1 = line, of a drawing of any mode (or of a photo), at most 512 pixels a side."""
    picture = resize_within(picture, _SIDE)
    ink = _ink(picture)
    if ink.mean() > _COVERED:
        pixels = torch.from_numpy(np.array(_on_white(picture), np.float32)).permute(2, 0, 1)
        return edges_of(pixels / 127.5 - 1)
    return torch.from_numpy(_of_one_width(ink).astype(np.float32))[None]


def _on_white(picture: Image.Image) -> Image.Image:
    layer = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")


def _ink(picture: Image.Image) -> NDArray[np.floating]:
    """How much each pixel (H, W) is ink, 0 to 1."""
    alpha = np.asarray(picture.convert("RGBA").getchannel("A"), float) / 255
    if (alpha < 0.5).mean() > 0.1:  # a layer without paper
        return alpha
    pixels = np.asarray(_on_white(picture), float) / 255
    # Morphological closing (opening on dark paper) removes the strokes and leaves the paper, also if lit unevenly.
    reach = max(round(0.06 * max(picture.size)), 3)
    close = ndimage.grey_closing if np.median(pixels) > 0.5 else ndimage.grey_opening
    paper = np.stack(
        [ndimage.gaussian_filter(close(channel, reach), reach / 2) for channel in pixels.transpose(2, 0, 1)]
    )
    away = np.abs(pixels - paper.transpose(1, 2, 0)).max(2)
    strongest = max(float(np.quantile(away, 0.995)), 3 * _FAINT)
    return ((away - _FAINT) / (0.6 * strongest - _FAINT)).clip(0, 1)


def _of_one_width(ink: NDArray[np.floating]) -> NDArray[np.floating]:
    """The lines, thinned or thickened where their width differs much from that in training."""
    line = _LINE * max(ink.shape) / 256
    solid = ink > 0.5
    if not solid.any():
        return ink
    depth = ndimage.distance_transform_edt(solid)
    middle = solid & (depth >= ndimage.maximum_filter(depth, 3))
    width = 2 * float(np.mean(depth[middle])) - 1 if middle.any() else line
    if width > _THICK * line:
        spread = ndimage.distance_transform_edt(~middle)
        return (1 + line / 2 - spread).clip(0, 1)
    if width < _THIN * line:
        return ndimage.maximum_filter(ink, max(round(line - width) + 1, 1))
    return ink
