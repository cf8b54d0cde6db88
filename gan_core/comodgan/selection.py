"""The thing under a click: its region in the photo, found by GrabCut (Rother et al. 2004) around the place clicked on.

How large the thing is is not known, so GrabCut looks for things of several sizes, for large ones in a smaller photo. Of
what it finds the region is taken whose outline follows edges of the photo best and stays clear of the search's limit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from gan_core.errors import BadValue, NotInstalled
from gan_core.images import resize_within

Mask = NDArray[np.bool_]  # (H, W)

SIDE = 512  # longer side of the photo in which things are searched, pixels
NOTHING_THERE = (
    "Nothing that stands out was found there. Click on another part of it, drag over it, or paint it with the brush."
)
_SMALL_SIDE, _LARGE = 256, 0.15  # things that go farther than _LARGE are first searched at _SMALL_SIDE
_REACHES = (0.05, 0.1, 0.18, 0.28)  # how far from the click a thing may go, share of the longer side
_LIMIT = 1.5  # beyond this many reaches all is background
_ROUNDS = 3  # of GrabCut
_BAND = 5  # pixels on both sides of the outline that are decided again at full size
_GROWN = 4  # pixels of the searched photo by which the region is enlarged, so that no rim of the thing is left
_LEAST, _MOST = 0.0008, 0.6  # share of the photo that a thing may have
_MOST_CUT = 0.2  # share of the outline that may lie at the search's limit
_EDGE, _LEAST_CLEAR = 12.0, 0.75  # step of colour (of 255) that is an edge, least share of the outline near one
_STEEP = 40.0  # of steps above this none is clearer than another


@dataclass(frozen=True)
class _View:
    """The photo at one size: (H, W, 3) uint8, blue first; steps of colour (H, W); distance (H, W) to the click."""

    pixels: NDArray[np.uint8]
    edges: NDArray[np.float32]
    away: NDArray[np.float64]

    @property
    def side(self) -> int:
        return max(self.away.shape)


@dataclass(frozen=True)
class _Found:
    region: Mask
    score: float


def thing_at(photo: Image.Image, place: Mask) -> Mask:
    """The region of the thing at a place in a photo, slightly enlarged: bool, of the place's size.

    place: (H, W) bool, of any size with the photo's proportions; True in a dot or a stroke on the thing. Raises
    BadValue if nothing is marked or nothing there stands out, NotInstalled without OpenCV.
    """
    if not place.any():
        raise BadValue(NOTHING_THERE)
    inside = ndimage.distance_transform_edt(np.pad(place, 1))[1:-1, 1:-1]
    line = inside >= 0.7 * inside.max()  # a thick brush may also have painted what is beside the thing
    full, small = _view(photo, line, SIDE), _view(photo, line, _SMALL_SIDE)
    found = [_search(view, reach * view.side) for reach in _REACHES for view in (small if reach > _LARGE else full,)]
    best = max((one for one in found if one is not None), key=lambda one: one.score, default=None)
    if best is None:
        raise BadValue(NOTHING_THERE)
    region = _resized(best.region, full.away.shape)
    if best.region.shape != region.shape:
        region = _refined(full, region)
    return _resized(ndimage.distance_transform_edt(~region) <= _GROWN, place.shape)


def _view(photo: Image.Image, line: Mask, side: int) -> _View:
    small = np.asarray(resize_within(photo, side).convert("RGB"))
    smooth = ndimage.gaussian_filter(small.astype(np.float32), (0.8, 0.8, 0))
    across, down = (np.abs(ndimage.sobel(smooth, axis)).max(-1) / 4 for axis in (1, 0))
    rows, columns = line.nonzero()
    height, width = small.shape[:2]
    seed = np.zeros((height, width), bool)
    seed[rows * height // line.shape[0], columns * width // line.shape[1]] = True
    away = np.maximum(ndimage.distance_transform_edt(~seed) - 1, 0)
    return _View(np.ascontiguousarray(small[..., ::-1]), np.hypot(across, down), away)


def _search(view: _View, reach: float) -> _Found | None:
    """The thing that goes about `reach` pixels from the click; None if there seems to be none."""
    cv2, away = _opencv(), view.away
    window = _window(away <= _LIMIT * reach + 4)
    near = away[window]
    labels = np.full(near.shape, cv2.GC_PR_BGD, np.uint8)
    labels[near <= reach] = cv2.GC_PR_FGD
    labels[near > _LIMIT * reach] = cv2.GC_BGD
    labels[near <= 1] = cv2.GC_FGD
    if not (labels == cv2.GC_BGD).any():
        return None
    region = np.zeros(away.shape, bool)
    region[window] = _joined(_grab_cut(view.pixels[window], labels, _ROUNDS), near <= 1)
    return _judged(view, region, reach)


def _judged(view: _View, region: Mask, reach: float) -> _Found | None:
    """A region with its score; None if it can hardly be a thing."""
    share, outline = float(region.mean()), _outline(region)
    if not _LEAST <= share <= _MOST or not outline.any():
        return None
    border = np.concatenate([region[0], region[-1], region[:, 0], region[:, -1]]).sum()
    # What touches much of the photo's border is its background.
    inward = float(outline.sum() / (outline.sum() + border))
    cut = float((view.away[outline] > _LIMIT * reach - 2).mean())
    # Straight cuts through something even are short beside a ragged outline, so they are looked for on a smooth one.
    even = _outline(ndimage.gaussian_filter(region.astype(np.float32), 0.012 * view.side) > 0.5)
    nearby = ndimage.maximum_filter(view.edges, 2 * round(0.01 * view.side) + 1)
    clear = float((nearby[even if even.any() else outline] > _EDGE).mean())
    if cut > _MOST_CUT or clear < _LEAST_CLEAR:
        return None
    step = float(ndimage.maximum_filter(view.edges, 3)[outline].mean())
    fits = float((view.away[region] <= 1.15 * reach).mean())
    return _Found(region, min(step, _STEEP) * clear**6 * (1 - cut) ** 3 * fits**2 * inward**3 * share**0.1)


def _refined(view: _View, region: Mask) -> Mask:
    """A region found in a smaller photo, decided again beside its outline."""
    cv2 = _opencv()
    depth = ndimage.distance_transform_edt(region) - ndimage.distance_transform_edt(~region)
    window = _window(depth > -3 * _BAND)
    deep = depth[window]
    labels = np.where(deep > 0, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    labels[deep > _BAND], labels[deep < -_BAND] = cv2.GC_FGD, cv2.GC_BGD
    refined = np.zeros(region.shape, bool)
    refined[window] = _joined(_grab_cut(view.pixels[window], labels, 1), deep > _BAND)
    return refined if refined.any() else region


def _grab_cut(pixels: NDArray[np.uint8], labels: NDArray[np.uint8], rounds: int) -> Mask:
    cv2 = _opencv()
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)  # its clusters start at random: the same click is to find the same thing
    cv2.grabCut(np.ascontiguousarray(pixels), labels, None, *models, rounds, cv2.GC_INIT_WITH_MASK)
    return (labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)


def _joined(region: Mask, seed: Mask) -> Mask:
    """The parts of a region, without threads and with their gaps filled, that have pixels of the seed."""
    labels, _ = ndimage.label(ndimage.binary_opening(region) | seed)
    return ndimage.binary_fill_holes(np.isin(labels, np.unique(labels[seed]))) if seed.any() else region


def _outline(region: Mask) -> Mask:
    """Its outermost pixels, but for those at the photo's border."""
    return region & ~ndimage.binary_erosion(region, border_value=1)


def _window(region: Mask) -> tuple[slice, slice]:
    rows, columns = np.flatnonzero(region.any(1)), np.flatnonzero(region.any(0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _resized(region: Mask, size: tuple[int, ...]) -> Mask:
    return np.asarray(Image.fromarray(region).resize((size[1], size[0]), Image.Resampling.NEAREST))


def _opencv() -> Any:
    try:
        import cv2
    except ImportError as error:
        raise NotInstalled("Selecting by a click needs OpenCV: pip install opencv-python-headless") from error
    return cv2
