"""Losses of CoModGAN's training beside the adversarial one (Zhao et al., ICLR 2021).

They are this project's additions for small data; each has a weight in the settings. Pictures are in about [-1, 1]; a
hole is 1 where the picture is to be filled.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from gan_core.comodgan.edges import lines

BLOCK = 16  # pixels, a side, of the blocks whose colour is compared
_LOOSE_BLOCKS = 32  # along a side, in which the lines of a drawing by hand are compared
_ADDED_LINES = 0.25  # weight of an additional line, relative to a missing one


def hole_ratio(hole: Tensor) -> Tensor:
    """Share of each picture that is hole, (N, 1, 1, 1), of holes (N, 1, R, R)."""
    return hole.mean([1, 2, 3], keepdim=True)


def known_nearby(hole: Tensor) -> Tensor:
    """Of each block of holes (N, 1, R, R): the share of known pixels in it and next to it, (N, 1, B, B)."""
    known = F.avg_pool2d(1 - hole, BLOCK)
    return F.avg_pool2d(known, 3, stride=1, padding=1, count_include_pad=False)


def counted_pixels(hole: Tensor, small_hole: float) -> Tensor:
    """How much each pixel counts in the reconstruction loss, (N, 1, R, R), of holes of that shape.

    Known pixels count fully. Hidden ones count in holes of less than `small_hole` of the picture, where few contents
    fit, and the less the larger the hole is.
    """
    return 1 - hole * (hole_ratio(hole) / small_hole).clamp(max=1)


def reconstruction_loss(difference: Tensor, counted: Tensor) -> Tensor:
    """Mean absolute `difference` (N, 3, R, R) of raw pictures and originals, weighted by `counted` (N, 1, R, R)."""
    return (difference.abs() * counted).mean()


def colour_loss(difference: Tensor, hole: Tensor, near: Tensor) -> Tensor:
    """Mean absolute difference of the colours of blocks inside holes (N, 1, R, R).

    Tone and light of a hole follow from what is near; far from all that is known they are free. So blocks are weighted
    by `near`, the `known_nearby` of their hole, (N, 1, B, B). difference: as for `reconstruction_loss`.
    """
    return (F.avg_pool2d(difference * hole, BLOCK).abs() * near).mean()


def drawn_lines_loss(
    raw: Tensor, drawing: Tensor, counted: Tensor | None = None, loose: Tensor | None = None
) -> Tensor:
    """How far the lines of pictures (N, 3, R, R) are from drawings (N, 1, R, R), 1 = line, at half the resolution.

    Every line drawn is to be there; lines that were not drawn are cheaper, for people leave out many.

    counted: (N, 1, R, R), how much each pixel counts. loose: (N, 1, 1, 1) in [0, 1], how freely it was drawn: so much
    of the loss compares blocks of a thirty-second of the side instead, for where a line is meant to be is not known.
    """
    missing = drawing - lines(raw)
    if counted is not None:
        missing = missing * counted

    def compared(block: int) -> Tensor:
        return F.leaky_relu(F.avg_pool2d(missing, block), -_ADDED_LINES).mean([1, 2, 3], keepdim=True)

    fine = compared(2)
    if loose is None:
        return fine.mean()
    return torch.lerp(fine, compared(max(raw.shape[-1] // _LOOSE_BLOCKS, 2)), loose).mean()


def spread_of(first: Tensor, second: Tensor, hole: Tensor) -> Tensor:
    """How much two completions (N, 3, R, R) of each hole (N, 1, R, R) differ in it: mean absolute difference of blocks
    of 4 pixels, (N, 1, 1, 1), from 0 to 2."""
    difference = F.avg_pool2d((first - second) * hole, 4).abs().mean([1, 2, 3], keepdim=True)
    return difference / hole_ratio(hole).clamp_min(0.01)


def spread_loss(spread: Tensor, hole: Tensor, wanted: float) -> Tensor:
    """Hinge that asks for a spread of `wanted` (of the range, which is 2) in holes of 40 % of the picture and more, and
    for less in smaller ones down to 10 %. spread: of `spread_of`."""
    least = 2 * wanted * ((hole_ratio(hole) - 0.1) / 0.3).clamp(0, 1)
    return F.relu(least - spread).mean()
