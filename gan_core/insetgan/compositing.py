"""Putting the insets' pictures into the canvas's: for the reports of an optimisation, not for its losses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from torch import Tensor
from torch.nn import functional as F

from gan_core.insetgan.latents import Composite
from gan_core.insetgan.objective import patch_of
from gan_core.insetgan.placement import Placement, Size, put, take
from gan_core.insetgan.regions import Outline, Region, feathered, outline_of
from gan_core.insetgan.stray import without_stray_head
from gan_core.insetgan.tone import tone_step, toned

_ALIASES = 1.4  # reduction beyond which bilinear sampling would alias
_NARROW = 8  # a frame or a feather takes at most this part of the shorter side of a region


@dataclass(frozen=True)
class Pasting:
    """How insets are put into a canvas."""

    frame: int = 8
    feather: int = 8
    tone: bool = False
    """Whether the colours of an inset are brought to the canvas's: see `tone`."""
    enlarged: int = 1
    """Above 1, a picture so many times larger is made as well: the canvas plainly enlarged, the insets as sharp as they
    are."""
    head: Callable[[Tensor], Tensor] | None = None


def compose(
    pictures: Sequence[Tensor],  # (1, 3, H, W) in [-1, 1], the canvas's first
    regions: Sequence[Region],
    places: Sequence[Placement],
    codes: Sequence[Tensor],
    pasting: Pasting,
) -> Composite:
    """Paste all insets, in their order."""
    smooth = hard = pictures[0]
    canvas = _size(smooth)
    large = _enlarged(smooth, pasting.enlarged) if pasting.enlarged > 1 else None
    moved = []
    for region, place, picture in zip(regions, places, pictures[1:], strict=True):
        outline = outline_of(region, place.size, narrowed(pasting.frame, place.size), picture, pasting.head)
        step, own = None, patch_of(picture, region, place.size)
        if pasting.tone:
            step = tone_step(own, take(smooth, place.to_canvas(canvas).to(own), place.size), outline.inside)
            moved.append(float(step.abs().mean()))
        if region.outline == "cutout" and pasting.head is not None:
            own = own if step is None else toned(own, step)
            smooth = without_stray_head(smooth, place, own, outline.inside, pasting.head)
        hard = put(hard, _full(picture, region, place), outline.inside, _back(place, hard), cubic=True)
        smooth = _put(smooth, picture, region, place, outline, step, narrowed(pasting.feather, place.size))
        if large is not None:
            wide = place.scaled(pasting.enlarged)
            outline = outline_of(region, wide.size, narrowed(pasting.frame, wide.size), picture, pasting.head)
            if region.outline == "cutout" and pasting.head is not None:
                large = without_stray_head(large, wide, own, outline.inside, pasting.head)
            feather = pasting.enlarged * narrowed(pasting.feather, place.size)
            large = _put(large, picture, region, wide, outline, step, feather)
    first, *others = (_shown(picture) for picture in pictures)
    made = Composite(_shown(smooth), _shown(hard), first, tuple(others), tuple(places), tuple(codes))
    return replace(made, large=None if large is None else _shown(large), tone=moved[0] if moved else 0.0)


def narrowed(width: int, size: Size) -> int:
    """The width of a frame or a feather (pixels), reduced where the region of this size is small."""
    return min(width, max(2, min(size) // _NARROW)) if width else 0


def _put(
    canvas: Tensor, picture: Tensor, region: Region, place: Placement, outline: Outline, step: Tensor | None, width: int
) -> Tensor:
    patch = _full(picture, region, place)
    if step is not None:
        patch = toned(patch, step)
    return put(canvas, patch, feathered(outline, width), _back(place, canvas), cubic=True)


def _back(place: Placement, canvas: Tensor) -> Tensor:
    return place.from_canvas(_size(canvas)).to(canvas)


def _full(picture: Tensor, region: Region, place: Placement) -> Tensor:
    """The region of an inset's picture at its own size, or reduced to the placement's where sampling would alias."""
    x0, y0, x1, y1 = region.pixels(*_size(picture))
    own = (y1 - y0, x1 - x0)
    return patch_of(picture, region, place.size if own[0] > _ALIASES * place.size[0] else own)


def _enlarged(picture: Tensor, times: int) -> Tensor:
    height, width = _size(picture)
    size = (times * height, times * width)
    return F.interpolate(picture, size, mode="bicubic", align_corners=False).clamp(-1, 1)


def _size(picture: Tensor) -> Size:
    return picture.shape[-2], picture.shape[-1]


def _shown(picture: Tensor) -> Tensor:
    return picture.detach().float().clamp(-1, 1).cpu()
