"""Pictures out of focus, as close-ups and backdrops in photographs are: blurred by discs, not the same everywhere.

Panoramas are sharp everywhere. A network that has seen nothing else draws sharp twigs into a blurred backdrop.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

RADII = (0.0, 1.5, 3.0, 6.0, 12.0)  # of the discs, in pixels of a picture of 256
_AT = 256


def defocus(pictures: Tensor, radius: Tensor) -> Tensor:
    """Blur each pixel by a disc of its own radius.

    Between the radii of `RADII` results are interpolated; larger radii count as the largest. Colours are mixed as
    light (a gamma of 2.2), so that lamps become bright discs.

    Args:
        pictures: (N, 3, R, R) in [-1, 1].
        radius: (N, 1, R, R), in pixels of a picture of 256.

    Returns:
        (N, 3, R, R) in [-1, 1].
    """
    light = (pictures * 0.5 + 0.5).clamp_min(1e-5) ** 2.2
    result, lower = torch.zeros_like(light), light
    for low, high in zip(RADII[:-1], RADII[1:], strict=True):
        upper = _disc_blurred(light, high * pictures.shape[-1] / _AT)
        share = ((radius - low) / (high - low)).clamp(0, 1)
        if low == 0:
            result = lower
        result = result + (upper - lower) * share
        lower = upper
    return result.clamp(0, 1) ** (1 / 2.2) * 2 - 1


def random_radii(count: int, side: int, largest: float, device: torch.device | str) -> Tensor:
    """Radii (count, 1, side, side) for `defocus`, from 0 to `largest` pixels of a picture of 256.

    Four in ten pictures are out of focus as a whole. In the others the focus lies on a plane: along a line across the
    picture it is sharp, and the radius grows with the distance from there.
    """

    def uniform(low: float, high: float) -> Tensor:
        return torch.rand(count, 1, 1, 1, device=device) * (high - low) + low

    even = largest ** uniform(-0.3, 1)
    across = torch.linspace(-1, 1, side, device=device)
    angle = uniform(0, 2 * torch.pi)
    distance = torch.cos(angle) * across.view(1, 1, 1, -1) + torch.sin(angle) * across.view(1, 1, -1, 1)
    tilted = (distance - uniform(-1, 1)).abs() * uniform(0.3, 1.2) * largest
    whole = torch.rand(count, 1, 1, 1, device=device) < 0.4
    return torch.where(whole, even.expand_as(tilted), tilted.clamp_max(largest))


def _disc_blurred(x: Tensor, radius: float) -> Tensor:
    """Mean of (N, C, H, W) over discs, whose rim counts in part; the picture is mirrored at its edges."""
    reach = min(int(radius + 0.5), min(x.shape[2:]) - 1)
    place = torch.arange(-reach, reach + 1, device=x.device, dtype=x.dtype)
    disc = (radius + 0.5 - torch.hypot(place[:, None], place[None])).clamp(0, 1)
    kernel = (disc / disc.sum()).expand(x.shape[1], 1, -1, -1)
    return F.conv2d(F.pad(x, (reach,) * 4, mode="reflect"), kernel, groups=x.shape[1])
