"""Losses of InsetGAN (Fruehstueck et al., CVPR 2022), section 3, without their perceptual parts.

They are those of StyleGAN-Human's release (`Paper`). The authors' own release computes other terms under the same
names; those are in tests/parity_insetgan.py, for its fixture.

Images are (N, 3, H, W) in about [-1, 1]; a box is (x0, y0, x1, y1) in pixels, ends excluded; every loss is a scalar.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional as F

Box = tuple[int, int, int, int]
COARSE_SIZE = 64  # side of the pictures that the coarse loss compares
FRAME = 8  # width of the frame that the border loss compares, in pixels


def crop(image: Tensor, box: Sequence[int]) -> Tensor:
    """The part of `image` inside `box`; without the part of the box that is outside the picture."""
    x0, y0, x1, y1 = box
    return image[..., y0:y1, x0:x1]


def enlarge(box: Sequence[int], margin: int) -> Box:
    """`box` grown by `margin` pixels on every side, not beyond the picture's upper and left edge."""
    x0, y0, x1, y1 = box
    return max(x0 - margin, 0), max(y0 - margin, 0), x1 + margin, y1 + margin


def inside(image: Tensor, box: Sequence[int]) -> Tensor:
    """A mask (H, W) of `image`'s size and dtype that is 1 inside `box`."""
    mask = image.new_zeros(image.shape[-2:])
    crop(mask, box).fill_(1)
    return mask


def area(image: Tensor, size: Sequence[int]) -> Tensor:
    """`image` resized to `size` (height, width), each pixel the mean of the area that it covers."""
    return F.interpolate(image, tuple(size), mode="area")


def paste(canvas: Tensor, inset: Tensor, box: Sequence[int]) -> Tensor:
    """The canvas with the inset, resized by area to the box, put into it; no blending."""
    pasted = canvas.clone()
    region = crop(pasted, box)
    region.copy_(area(inset, region.shape[-2:]))
    return pasted


class Paper:
    """The paper's terms as StyleGAN-Human released them: L1 parts times their weights, masked pixels count as zero."""

    COARSE, BORDER, BODY, FACE, MEAN = 500.0, 2500.0, 9000.0, 5000.0, 25000.0
    BODY_MARGIN = 20  # around the box: its height divided by this
    FACE_MARGIN = 4  # pixels

    @classmethod
    def coarse(cls, canvas: Tensor, inset: Tensor, box: Sequence[int]) -> Tensor:
        """L_coarse: the inset and its region of the canvas agree at 64x64."""
        region = crop(canvas, box)
        size = (COARSE_SIZE, COARSE_SIZE)
        return cls.COARSE * (area(area(inset, region.shape[-2:]), size) - area(region, size)).abs().mean()

    @classmethod
    def border(cls, canvas: Tensor, inset: Tensor, box: Sequence[int], width: int = FRAME) -> Tensor:
        """L_border: they agree on the region's outer pixels at full resolution."""
        region = crop(canvas, box)
        height, breadth = region.shape[-2:]
        frame = 1 - inside(region, (width, width, breadth - width, height - width))
        return cls.BORDER * ((area(inset, (height, breadth)) - region).abs() * frame).mean()

    @classmethod
    def body(cls, canvas: Tensor, reference: Tensor, box: Sequence[int]) -> Tensor:
        """Body term: outside of the box and a margin around it the canvas stays like `reference`."""
        margin = (box[3] - box[1]) // cls.BODY_MARGIN
        outside = 1 - inside(canvas, enlarge(box, margin))
        return cls.BODY * ((canvas - reference).abs() * outside).mean()

    @classmethod
    def face(cls, inset: Tensor, reference: Tensor, box: Sequence[int]) -> Tensor:
        """Face term: inside the face's box (in the inset's pixels) the inset stays like `reference`."""
        mask = inside(inset, enlarge(box, cls.FACE_MARGIN))
        return cls.FACE * ((inset - reference).abs() * mask).mean()

    @classmethod
    def regulariser(cls, w: Tensor, mean: Tensor, offsets: Tensor | None = None, offset_weight: float = 0.0) -> Tensor:
        """L_reg: w (N, w_dim) stays near the mean w, and w+'s offsets from it (N, num_ws, w_dim) near zero."""
        loss = cls.MEAN * (w - mean).square().mean()
        return loss if offsets is None else loss + offset_weight * offsets.square().mean()
