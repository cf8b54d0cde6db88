"""Line drawings of pictures, which are the network's conditions.

Lines are an extended difference of Gaussians (Winnemoller et al. 2012, equations 3 to 7): where the picture is darker
than its surroundings a soft threshold makes a thin line. The computation is differentiable, so that one function draws
the conditions of training, the lines of a photo, and those of generated pictures in the loss.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from gan_core.blur import gaussian_blur


@dataclass(frozen=True)
class Pen:
    """How lines are drawn; lengths in pixels of a picture 256 pixels wide."""

    width: float = 1.2  # standard deviation of the inner Gaussian; the outer one is 1.6 times as wide
    smooth: float = 0.8  # of a blur before, which removes texture
    threshold: float = 0.25  # difference at which a line begins, in local standard deviations
    softness: float = 0.25  # over which it becomes black


PENS = (Pen(), Pen(1.8, 1.5, 0.3, 0.2), Pen(0.9, 0.5, 0.22, 0.3))
"""Three styles of drawing: medium, broad with few lines, fine with many."""
_WORKING_SIDE = 512  # pixels: photos are drawn at most this large, then enlarged
_SPECK = 3.0  # standard deviation, pixels, of the blur that tells lines from specks
_AROUND, _FLOOR = 16.0, 0.02  # of the local contrast: the blur's standard deviation, and the least grey level of 1


def lines(image: Tensor, pen: Pen = PENS[0]) -> Tensor:
    """A drawing (N, 1, H, W) in [0, 1], 1 = line, of pictures (N, 3, H, W) in about [-1, 1]."""
    return inked(darkness(image, pen), pen)


def darkness(image: Tensor, pen: Pen = PENS[0]) -> Tensor:
    """How much darker than around each pixel of pictures (N, 3, H, W) in about [-1, 1] is, (N, 1, H, W), in standard
    deviations of that difference nearby; negative where lighter."""
    scale = max(image.shape[-2:]) / 256
    image = image.float()
    grey = (0.299 * image[:, :1] + 0.587 * image[:, 1:2] + 0.114 * image[:, 2:3]) / 2
    smooth = gaussian_blur(grey, pen.smooth * scale)
    inner = gaussian_blur(smooth, pen.width * scale)
    difference = gaussian_blur(smooth, 1.6 * pen.width * scale) - inner
    local = gaussian_blur(difference.square(), _AROUND * scale)
    return difference / (local + (_FLOOR * 0.2) ** 2).sqrt()


def inked(dark: Tensor, pen: Pen = PENS[0]) -> Tensor:
    """The drawing (N, 1, H, W) in [0, 1], 1 = line, that a pen makes of its `darkness`."""
    drawn = ((dark - 2 * pen.threshold) / (4 * pen.softness)).clamp(0, 1)
    company = gaussian_blur(drawn, _SPECK * max(dark.shape[-2:]) / 256)  # a line has more of it nearby than a speck
    return drawn * ((company - 0.1) / 0.06).clamp(0, 1)


def edges_of(image: Tensor) -> Tensor:
    """A drawing (1, H, W) in [0, 1], 1 = line, of a photo (3, H, W) in [-1, 1], lines as wide as in training."""
    height, width = image.shape[-2:]
    scale = min(_WORKING_SIDE / max(height, width), 1)
    small = F.interpolate(
        image[None].float(),
        (max(round(height * scale), 1), max(round(width * scale), 1)),
        mode="bilinear",
        antialias=True,
        align_corners=False,
    )
    drawn = lines(small)
    return F.interpolate(drawn, (height, width), mode="bilinear", align_corners=False)[0].clamp(0, 1)
