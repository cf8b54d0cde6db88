"""Taking away what a canvas's own head shows beside an inset that was cut out: hair or a cheek that the inset lacks.

The optimisation makes both heads alike as far as the canvas's generator can. What is left is painted over with what is
behind the person, continued smoothly from both sides: places are out of focus and studios are plain.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from gan_core.faces.head import HEAD_SIZE, fill_in
from gan_core.insetgan.placement import Placement, put, take

_HEAD, _BEHIND = 0.4, 0.25  # probability from which it is head, and of a person up to which it is what is behind
_LEAST = 0.04  # share of the region that must show what is behind
_CLOSE = 7  # cells beside the inset that belong to its own soft edge
_GROWN = 5  # cells by which what is taken away is larger: its edge is soft, too
_NECK = (0.22, 0.86)  # half width and upper end of the neck, shares of the region; it stays
_FADING = 0.08  # share of the region over which taking away fades out towards its sides and its lower end


def without_stray_head(canvas: Tensor, place: Placement, inside: Tensor, masks: Callable[[Tensor], Tensor]) -> Tensor:
    """The canvas (1, 3, H, W) without its own head beside an inset at `place`.

    inside: (1, 1, h, w), what the inset covers of the place. masks: gives how much is head, and person, (1, 2, R, R) in
    [0, 1] of a head's region (1, 3, R, R).
    """
    size, cells = (canvas.shape[-2], canvas.shape[-1]), (HEAD_SIZE, HEAD_SIZE)
    region = take(canvas, place.to_canvas(size).to(canvas), cells)
    head, person = masks(region)[:, :2].to(canvas).split(1, 1)
    behind = (person < _BEHIND).to(canvas)
    if behind.mean() < _LEAST:
        return canvas
    covered = F.max_pool2d(
        F.interpolate(inside, cells, mode="bilinear", align_corners=False), _CLOSE, stride=1, padding=_CLOSE // 2
    )
    stray = (head > _HEAD).to(canvas) * (1 - covered.round())
    stray = F.max_pool2d(stray, _GROWN, stride=1, padding=_GROWN // 2) * _allowed(canvas.device)
    soft = F.avg_pool2d(stray, 5, stride=1, padding=2)
    return put(canvas, fill_in(region * behind, behind), soft, place.from_canvas(size).to(canvas))


def _allowed(device: torch.device) -> Tensor:
    """(1, 1, HEAD_SIZE, HEAD_SIZE): 1 where a head may be taken away, 0 over the neck and at the lower end."""
    at = (torch.arange(HEAD_SIZE, device=device) + 0.5) / HEAD_SIZE
    neck = ((at - 0.5).abs() < _NECK[0])[None] & (at > _NECK[1])[:, None]
    sides = (torch.minimum(at, 1 - at) / _FADING).clamp(max=1)[None]
    return ((~neck).float() * sides * ((1 - at) / _FADING).clamp(max=1)[:, None])[None, None]
