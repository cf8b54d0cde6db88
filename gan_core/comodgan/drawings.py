"""What a person draws, scans or uploads, as lines like those that the network was trained on.

Ink may have any colour on paper of any colour, be painted on a transparent layer, photographed on unevenly lit paper,
far thicker or thinner than a trained line. A picture that is no drawing (its "ink" covers too much) is traced.
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

_SIDE = 512  # pixels that a drawing is read at, at most
_LINE = 2.0  # width of a trained line, in pixels of a picture 256 pixels wide
_THICK, _THIN = 2.2, 0.75  # times that, beyond which lines are thinned or thickened
_COVERED = 0.3  # share of ink from which on a picture is no drawing
_FAINT = 0.06  # difference from the paper, of the range, that is no ink


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
    # The paper is what is left when strokes are closed (or opened, on dark paper), and may be lit unevenly.
    reach = max(round(0.06 * max(picture.size)), 3)
    close = ndimage.grey_closing if np.median(pixels) > 0.5 else ndimage.grey_opening
    paper = np.stack(
        [ndimage.gaussian_filter(close(channel, reach), reach / 2) for channel in pixels.transpose(2, 0, 1)]
    )
    away = np.abs(pixels - paper.transpose(1, 2, 0)).max(2)
    strongest = max(float(np.quantile(away, 0.995)), 3 * _FAINT)
    return ((away - _FAINT) / (0.6 * strongest - _FAINT)).clip(0, 1)


def _of_one_width(ink: NDArray[np.floating]) -> NDArray[np.floating]:
    """The lines, thinned or thickened where they are far from a trained line's width."""
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
