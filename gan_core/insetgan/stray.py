"""Taking away what a canvas's own head shows beside an inset that was cut out: hair or a cheek that the inset lacks.

The optimisation makes both heads alike as far as the canvas's generator can. What is left in other colours than the
inset has near it is painted over with what is behind the person, continued smoothly from both sides: places are out of
focus and studios are plain. Hair that goes on as the inset's, and a neck below its jaw, stay.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from gan_core.faces.head import HEAD_SIZE, fill_in
from gan_core.insetgan.placement import Placement, put, resized, take

_HEAD, _BEHIND = 0.4, 0.25  # probability from which it is head, and of a person up to which it is what is behind
_LEAST = 0.04  # share of the region that must show what is behind
_CLOSE = 7  # cells beside the inset that belong to its own soft edge
_GROWN = 5  # cells by which what is taken away is larger: its edge is soft, too
_JAW = 0.25  # lowest share of the inset's height, below which is the neck, as wide as the jaw
_RIM = 9  # cells of the inset along its border whose colours tell what goes on as it does
_ALIKE = 0.3  # difference of colours, in a range of 2, at which about a third is still taken for the same
_FADING = 0.08  # share of the region over which taking away fades out towards its sides and its lower end


def without_stray_head(
    canvas: Tensor, place: Placement, patch: Tensor, inside: Tensor, masks: Callable[[Tensor], Tensor]
) -> Tensor:
    """The canvas (1, 3, H, W) without its own head beside an inset at `place`.

    patch: (1, 3, h, w), the inset's picture there. inside: (1, 1, h, w), what it covers of the place. masks: gives how
    much is head, and person, (1, 2, R, R) in [0, 1] of a head's region (1, 3, R, R).
    """
    size, cells = (canvas.shape[-2], canvas.shape[-1]), (HEAD_SIZE, HEAD_SIZE)
    region = take(canvas, place.to_canvas(size).to(canvas), cells)
    head, person = masks(region)[:, :2].to(canvas).split(1, 1)
    # What is behind is taken from farther away: the soft edge of hair would darken it.
    behind = 1 - _grown((person >= _BEHIND).to(canvas), _CLOSE)
    if behind.mean() < _LEAST:
        return canvas
    covered = _grown(resized(inside, cells), _CLOSE).round()
    own = (head > _HEAD).to(canvas) * (1 - covered) * (1 - _neck(covered))
    other = own * (1 - _goes_on(resized(patch, cells), resized(inside, cells), region))
    stray = _grown(other, _GROWN) * _allowed(canvas.device)
    soft = F.avg_pool2d(stray, 5, stride=1, padding=2)
    return put(canvas, fill_in(region * behind, behind), soft, place.from_canvas(size).to(canvas))


def _grown(mask: Tensor, cells: int) -> Tensor:
    """The largest value within `cells` // 2 cells of each."""
    return F.max_pool2d(mask, cells, stride=1, padding=cells // 2)


def _neck(covered: Tensor) -> Tensor:
    """1 below the jaw of an inset that covers (1, 1, R, R), 0 or 1; all 0 where it covers nothing."""
    rows = covered[0, 0].amax(1).nonzero()
    neck = torch.zeros_like(covered)
    if len(rows):
        top, bottom = int(rows[0]), int(rows[-1]) + 1
        jaw = bottom - max(round(_JAW * (bottom - top)), 1)
        neck[..., jaw:, :] = covered[..., jaw:, :].amax(2, keepdim=True)
    return neck


def _goes_on(patch: Tensor, inside: Tensor, region: Tensor) -> Tensor:
    """How likely the canvas in a region (1, 3, R, R) shows more of what the inset shows at its border, (1, 1, R, R)."""
    covered = inside.round()
    rim = covered * _grown(1 - covered, 2 * _RIM + 1)
    apart = (fill_in(patch * rim, rim) - region).abs().mean(1, keepdim=True)
    least = -_grown(-apart, 3)  # cells at its edge are mixed with what is behind
    return (-(least / _ALIKE).square()).exp()


def _allowed(device: torch.device) -> Tensor:
    """(1, 1, HEAD_SIZE, HEAD_SIZE): 1 where a head may be taken away, less towards the sides and the lower end."""
    at = (torch.arange(HEAD_SIZE, device=device) + 0.5) / HEAD_SIZE
    sides = (torch.minimum(at, 1 - at) / _FADING).clamp(max=1)[None]
    return (sides * ((1 - at) / _FADING).clamp(max=1)[:, None])[None, None]
