"""Put an edited crop back into the whole photo without a seam.

Only the *difference* between the edited crop and a reference (the crop as it was cut out, or its plain reconstruction)
is enlarged to the photo's resolution and added to the photo.
 - Where nothing is edited the photo comes back bit for bit, at any resolution, without a resampling loss.
 - Detail finer than the crop (skin, hair, a sharp background) remains the photo's own where the edit did not move
   anything. Where it did, that detail belongs to what was there before, and it fades with the size of the change.
 - The difference is blended in two bands (Burt & Adelson 1983): its smooth part (light, colour) fades over a wide
   border and its fine part over a narrow one, so that neither a step in tone nor a doubled edge is visible.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from gan_core.errors import BadValue
from gan_core.faces.alignment import AlignedFace, Square

WIDE, NARROW = 0.16, 0.05  # fading borders, fractions of the crop's side
SMOOTH = 0.03  # standard deviation that separates the two bands, fraction of the side
CHANGED = (0.05, 0.16)  # local size of a change, 0..1 grey, where fine detail begins to fade and is gone


def smoothstep(value: np.ndarray, low: float, high: float) -> np.ndarray:
    """0 below low, 1 above high, a smooth cubic between."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def feather(size: int, border: float) -> np.ndarray:
    """(size, size) mask with rounded corners: exactly 0 in the outermost pixels, 1 further inside than `border` x
    size."""
    # One pixel and a half is kept clear so that bicubic enlargement cannot reach past the crop.
    d = np.clip((np.minimum(np.arange(size), np.arange(size)[::-1]) - 1.5) / (border * size), 0, 1)
    corner = 1 - np.hypot(1 - d[:, None], 1 - d[None])
    return smoothstep(corner, 0.0, 1.0)


def _blur(picture: np.ndarray, sigma: float) -> np.ndarray:
    return gaussian_filter(picture, (sigma, sigma, 0), mode="nearest")


@dataclass(frozen=True)
class Change:
    """What an edit changes in a crop, in the crop's pixels and faded at its border: what is added (S, S, 3), grey
    levels, and how much fine detail is to be dropped (S, S), 0..1."""

    added: np.ndarray
    dropped: np.ndarray

    def towards(self, other: Change, share: float) -> Change:
        """Between this change (share 0) and another one (1)."""
        return Change(
            self.added + share * (other.added - self.added), self.dropped + share * (other.dropped - self.dropped)
        )


def change_of(edited: Image.Image, reference: Image.Image) -> Change:
    """The two-band faded difference of two crops. Raises BadValue where the edited one is not square."""
    edited = edited.convert("RGB")
    if edited.width != edited.height:
        raise BadValue("The edited crop must be square.")
    size = edited.width
    reference = reference.convert("RGB")
    if reference.size != edited.size:
        reference = reference.resize(edited.size, Image.Resampling.BICUBIC)
    difference = np.asarray(edited, np.float32) - np.asarray(reference, np.float32)
    smooth = _blur(difference, SMOOTH * size)
    faded = smooth * feather(size, WIDE)[..., None] + (difference - smooth) * feather(size, NARROW)[..., None]
    change = np.sqrt(gaussian_filter((difference**2).mean(-1), 0.012 * size)) / 255
    return Change(faded, smoothstep(change, *CHANGED) * feather(size, NARROW))


def _warp(plane: np.ndarray, to_source: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    image = Image.fromarray(np.ascontiguousarray(plane, dtype=np.float32))
    return np.asarray(
        image.transform(size, Image.Transform.AFFINE, tuple(to_source.ravel()), resample=Image.Resampling.BICUBIC)
    )


def paste_back(
    photo: Image.Image, aligned: AlignedFace, edited: Image.Image, *, reference: Image.Image | None = None
) -> Image.Image:
    """The whole photo with the edit in it; RGB, the photo's size.

    edited: the aligned crop after editing, square, of any size. reference: the picture that is subtracted from it; by
    default the aligned crop itself. With the pipeline's reconstruction without any edit, only the wanted change reaches
    the photo. Every pixel outside the face's square is the photo's, bit for bit, and so is the whole photo where edited
    and reference agree. Raises BadValue where the pictures do not belong together.
    """
    if photo.size != aligned.photo_size:
        raise BadValue("This crop was cut from another photo.")
    change = change_of(edited, aligned.crop if reference is None else reference)
    return add_change(photo, Square(aligned.quad, aligned.to_crop, aligned.crop.width), change)


def add_change(photo: Image.Image, square: Square, change: Change, opacity: float = 1.0) -> Image.Image:
    """The whole photo with a change in it, at the place of a face's square; RGB, the photo's size."""
    photo = photo if photo.mode == "RGB" else photo.convert("RGB")
    if not np.any(change.added):
        return photo.copy()
    size = len(change.added)
    low = np.maximum(np.floor(square.quad.min(0)).astype(int), 0)
    high = np.minimum(np.ceil(square.quad.max(0)).astype(int), photo.size)
    width, height = (int(v) for v in high - low)
    to_crop = square.to_crop * (size / square.size)
    # A large crop pasted small would alias: reduce it first.
    shrink = max(1, int(size / square.side + 0.25))
    to_planes = to_crop / shrink
    planes = [_reduce(change.added[..., c], shrink) for c in range(3)] + [_reduce(change.dropped, shrink)]
    to_source = np.concatenate([to_planes[:, :2], (to_planes @ np.array([low[0], low[1], 1.0]))[:, None]], axis=1)
    *delta, drop = (_warp(plane, to_source, (width, height)) for plane in planes)
    box = (int(low[0]), int(low[1]), int(high[0]), int(high[1]))
    region = np.asarray(photo.crop(box), np.float32)
    added = np.stack(delta, -1)
    if square.side > 1.15 * size and drop.max() > 0:
        added -= np.clip(drop, 0, 1)[..., None] * _fine_detail(region, square.side / size)
    result = photo.copy()
    # The change is rounded, not the sum, so that a pixel without change stays exactly as it was.
    result.paste(Image.fromarray(np.clip(region + np.rint(opacity * added), 0, 255).astype(np.uint8)), box[:2])
    return result


def _reduce(plane: np.ndarray, factor: int) -> np.ndarray:
    """Mean over factor x factor blocks, the last ones over what is left; factor 1 changes nothing."""
    if factor == 1:
        return plane
    return np.asarray(Image.fromarray(np.ascontiguousarray(plane, np.float32)).reduce(factor))


def _fine_detail(region: np.ndarray, scale: float) -> np.ndarray:
    """The detail of the photo that is lost in a crop `scale` times coarser."""
    return region - _blur(region, 0.5 * scale)


def quad_mask(aligned: AlignedFace) -> np.ndarray:
    """(H, W) boolean: pixels of the photo whose centre lies inside the face's square."""
    width, height = aligned.photo_size
    y, x = np.mgrid[:height, :width] + 0.5
    m, size = aligned.to_crop, aligned.crop.width
    u, v = m[0, 0] * x + m[0, 1] * y + m[0, 2], m[1, 0] * x + m[1, 1] * y + m[1, 2]
    return (u >= 0) & (u <= size) & (v >= 0) & (v <= size)
