"""The objective of the joint optimisation: the paper's losses (section 3.2) over turned boxes, and over outlines.

The L1 parts and the regularisers are those of `losses.Paper`, whose values they have for an upright box at whole
pixels. The perceptual distance, and masks for regions that are no box, are added. All shapes are fixed and everything
depends on tensors only, so that a step can be recorded as a CUDA graph.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from gan_core.faces.head import HEAD_SIZE
from gan_core.insetgan.losses import COARSE_SIZE, Paper, area
from gan_core.insetgan.placement import Size, put, resized, take
from gan_core.insetgan.regions import Region
from gan_core.perceptual import Perceptual

_CHIN = 0.85  # share of a head's region above which the canvas needs no neck
TERMS = ("coarse", "border", "perceptual", "body", "face", "latents")


@dataclass(frozen=True)
class Weights:
    """Weight of each term, relative to StyleGAN-Human's release of the paper's losses."""

    coarse: float = 1.0  # L1 of the region at 64x64
    border: float = 4.0  # L1 of the frame at full resolution
    coarse_perceptual: float = 60.0  # of the region at 64x64
    border_perceptual: float = 60.0  # of the frame at full resolution
    body: float = 0.35  # keeps the canvas outside the region near its initial picture
    face: float = 0.25  # keeps the inset inside the region near its initial picture
    mean: float = 0.004  # keeps w near the mean w
    offsets: float = 60.0  # keeps the offsets of w+ near zero; an absolute weight
    stray: float = 3000.0  # of the canvas's head beside an inset that is cut out; an absolute weight


@dataclass
class Geometry:
    """The placement of an inset as tensors."""

    to_canvas: Tensor  # (2, 3)
    from_canvas: Tensor  # (2, 3)
    inside: Tensor  # (1, 1, h, w), the part of the region that the inset covers
    frame: Tensor  # (1, 1, h, w), its outer pixels

    def tensors(self) -> tuple[Tensor, ...]:
        """All tensors, in order."""
        return self.to_canvas, self.from_canvas, self.inside, self.frame


def patch_of(picture: Tensor, region: Region, size: Size) -> Tensor:
    """The region of an inset's picture (1, 3, h, w), at `size` (height, width)."""
    x0, y0, x1, y1 = region.pixels(*picture.shape[-2:])
    return resized(picture[..., y0:y1, x0:x1], size)


def composition_terms(
    pictures: Sequence[Tensor],  # the canvas's (1, 3, H, W), then each inset's
    references: Sequence[Tensor],  # the same pictures before the optimisation
    geometry: Sequence[Geometry],
    outside: Tensor,  # (1, 1, H, W), 1 where the canvas is to be kept
    regions: Sequence[Region],
    features: Perceptual,
    weights: Weights,
    *,
    inner: Sequence[float] | None = None,  # `Inset.inner` of each inset; 1 where it is not given
    optimised: Sequence[bool],  # which pictures may change; terms that keep the others are not computed
    silhouette: Callable[[Tensor], Tensor] | None = None,  # see `stray_head`
) -> list[Tensor]:
    """The terms of the pictures, scalars in the order of TERMS, without the last one, which depends on the latents.

    An inset is compared with the canvas under it, into which the previous insets have been pasted.
    """
    canvas = pictures[0]
    zero = canvas.new_zeros(())
    coarse, border, perceptual, face = zero, zero, zero, zero
    under = canvas
    for i, (picture, place, region) in enumerate(zip(pictures[1:], geometry, regions, strict=True)):
        size = (place.inside.shape[-2], place.inside.shape[-1])
        whole = (0, 0, size[1], size[0])
        patch, below = patch_of(picture, region, size), take(under, place.to_canvas, size)
        share = 1.0 if inner is None else inner[i]
        coarse = coarse + share * weights.coarse * Paper.coarse(below * place.inside, patch * place.inside, whole)
        border = border + weights.border * Paper.BORDER * ((patch - below).abs() * place.frame).mean()
        if weights.coarse_perceptual:
            small = (COARSE_SIZE, COARSE_SIZE)
            a, b = (features.maps(area(picture, small)) for picture in (below, patch))
            mask = area(place.inside, small)
            perceptual = perceptual + share * weights.coarse_perceptual * features.distance(a, b, mask)
        if weights.border_perceptual:
            a, b = features.maps(below), features.maps(patch)
            perceptual = perceptual + weights.border_perceptual * features.distance(a, b, place.frame)
        if optimised[i + 1] and weights.face:
            box = region.pixels(*picture.shape[-2:])
            face = face + share * weights.face * Paper.face(picture, references[i + 1], box)
        if silhouette is not None and optimised[0] and region.outline == "cutout":
            border = border + weights.stray * stray_head(below, place.inside, silhouette)
        if i + 2 < len(pictures):
            under = put(under, patch, place.inside, place.from_canvas)
    body = zero
    if optimised[0] and weights.body:
        body = weights.body * Paper.BODY * ((canvas - references[0]).abs() * outside).mean()
    return [coarse, border, perceptual, body, face]


def stray_head(below: Tensor, inside: Tensor, silhouette: Callable[[Tensor], Tensor]) -> Tensor:
    """How much head or hair the canvas has beside the inset, above the chin: a mean over the region, from 0 to 1.

    below: the region of the canvas (1, 3, h, w). inside: (1, 1, h, w), what the inset covers. silhouette: gives the
    probability of head (1, C, HEAD_SIZE, HEAD_SIZE), channel 0, of such a picture at that size.
    """
    size = (HEAD_SIZE, HEAD_SIZE)
    head = silhouette(F.interpolate(below, size, mode="bilinear", align_corners=False))[:, :1]
    covered = F.max_pool2d(F.interpolate(inside, size, mode="bilinear", align_corners=False), 5, stride=1, padding=2)
    return (head * (1 - covered))[..., : round(_CHIN * HEAD_SIZE), :].mean()


def latent_regulariser(
    shift: Tensor, offsets: Tensor, start: Tensor, mean: Tensor, spread: Tensor, weights: Weights, anchored: bool
) -> Tensor:
    """L_reg of one generator: its w near the mean w, its w+ offsets near zero, both in units of w's spread.

    shift (1, w_dim) and offsets (1, num_ws, w_dim) are added to `start` (1, num_ws, w_dim). anchored: `start` are codes
    of a real picture and no sample of the generator; then w is kept near them instead of the mean.
    """
    w = shift if anchored else start.mean(1) + shift - mean
    scale = weights.mean * Paper.MEAN / spread.square()
    loss = scale * w.square().mean()
    return loss + weights.offsets * (offsets / spread).square().mean()


def outside_of(canvas: Size, placements: Sequence[Tensor], device: torch.device, margin: float) -> Tensor:
    """(1, 1, H, W): 1 where no inset lies, each grown by `margin` (a share of its sides) on every side.

    placements: `Placement.from_canvas` of each.
    """
    stays = torch.ones(1, 1, *canvas, device=device)
    for matrix in placements:
        at = F.affine_grid(matrix.to(device)[None], [1, 1, *canvas], align_corners=False)
        stays = stays * (at.abs() > 1 + 2 * margin).any(-1)
    return stays
