"""FFHQ alignment: cut the oriented square around a face out of a photo (Karras et al. 2019, appendix A)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from gan_core.errors import BadValue, FaceTooSmall
from gan_core.faces.geometry import Face, ffhq_quad, similarity_between

# In a smaller FFHQ square the eyes are less than 10 pixels apart, which is too little to be edited.
SMALLEST_QUAD = 40.0


@dataclass(frozen=True)
class Square:
    """A face's FFHQ square in a photo. quad and to_crop as of an `AlignedFace`; size: side of the crop, pixels."""

    quad: np.ndarray = field(repr=False)
    to_crop: np.ndarray = field(repr=False)
    size: int

    @property
    def side(self) -> float:
        """Side of the square in photo pixels."""
        return float(np.hypot(*(self.quad[3] - self.quad[0])))


@dataclass(frozen=True)
class AlignedFace:
    """A face cut out of a photo.

    crop: size x size RGB. quad: (4, 2) corners in the photo, top left, bottom left, bottom right, top right.
    to_crop: 2x3 similarity from photo pixels to crop pixels. photo_size: (width, height).
    """

    crop: Image.Image
    quad: np.ndarray = field(repr=False)
    to_crop: np.ndarray = field(repr=False)
    photo_size: tuple[int, int]
    face: Face | None = None

    @property
    def quad_side(self) -> float:
        """Side of the square in photo pixels."""
        return float(np.hypot(*(self.quad[3] - self.quad[0])))


def warp_affine(image: Image.Image, to_source: np.ndarray, size: tuple[int, int]) -> Image.Image:
    """Warp a picture, bicubic: the point p of the result, of `size` (w, h), shows the point `to_source` (2x3) of p of
    the source.

    For enlargement and for reduction down to about one half; points outside the source come out black.
    """
    # Pillow evaluates the map at pixel centres (x + 0.5) itself, so continuous coordinates pass unchanged.
    return image.transform(
        size,
        Image.Transform.AFFINE,
        tuple(np.asarray(to_source, np.float64).ravel()),
        resample=Image.Resampling.BICUBIC,
    )


def _cut_out(photo: Image.Image, quad: np.ndarray, margin: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixels of the quad's bounding box with a margin, reflected outside the photo, and the box's top left corner."""
    low = np.floor(quad.min(0)).astype(int) - margin
    high = np.ceil(quad.max(0)).astype(int) + margin
    width, height = photo.size
    inside = (max(low[0], 0), max(low[1], 0), min(high[0], width), min(high[1], height))
    if inside[2] - inside[0] < 2 or inside[3] - inside[1] < 2:
        raise BadValue("The face lies outside the photo.")
    pixels = np.asarray(photo.crop(inside))
    pad = [(inside[1] - low[1], high[1] - inside[3]), (inside[0] - low[0], high[0] - inside[2])]
    if max(max(p) for p in pad) <= margin:  # only the margin leaves the photo
        return np.pad(pixels, [*pad, (0, 0)], mode="reflect"), low
    return _blur_padding(np.pad(pixels, [*pad, (0, 0)], mode="reflect"), pad, np.hypot(*(quad[3] - quad[0]))), low


def _blur_padding(pixels: np.ndarray, pad: list[tuple[int, int]], side: float) -> np.ndarray:
    """Blur the reflected border, more with the distance from the photo, and fade it to the median colour."""
    (top, bottom), (left, right) = pad
    height, width = pixels.shape[:2]
    y, x = np.ogrid[:height, :width]

    def depth(position: np.ndarray, before: int, after: int, length: int) -> np.ndarray:
        into = np.maximum(before - position, position - (length - 1 - after)) / max(before, after, 1)
        return np.clip(into, 0, 1) if max(before, after) else np.zeros_like(position, dtype=float)

    outside = np.maximum(depth(y, top, bottom, height), depth(x, left, right, width))[..., None]
    picture = pixels.astype(np.float32)
    sigma = side * 0.02
    # A wide blur is as good on a reduced picture, and much cheaper on a large photo.
    step = max(1, int(sigma / 3))
    small = np.stack([gaussian_filter(picture[::step, ::step, c], sigma / step) for c in range(3)], -1)
    blurred = np.stack(
        [
            np.asarray(Image.fromarray(small[..., c]).resize((width, height), Image.Resampling.BILINEAR))
            for c in range(3)
        ],
        -1,
    )
    picture += (blurred - picture) * np.clip(outside * 3 + 0.0, 0, 1)
    picture += (np.median(picture[::step, ::step], axis=(0, 1)) - picture) * np.clip(outside - 0.5, 0, 1)
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def square_of(face: Face, photo_size: tuple[int, int], size: int = 256) -> Square:
    """The face's square in a photo of that size, for crops of size x size pixels.

    Raises FaceTooSmall (square under 40 pixels) and BadValue (square far outside the photo, degenerate points).
    """
    quad = ffhq_quad(face)
    side = float(np.hypot(*(quad[3] - quad[0])))
    if side < SMALLEST_QUAD:
        raise FaceTooSmall("The face is too small in this picture: use one where it is at least 40 pixels wide.")
    if side > 6 * max(photo_size):
        raise BadValue("The marked face is far larger than the photo: please mark the eyes and the mouth again.")
    return Square(quad, similarity_between(quad, _corners(size)), size)


def _corners(size: int) -> np.ndarray:
    return np.array([[0, 0], [0, size], [size, size], [size, 0]], np.float64)


def align(image: Image.Image, face: Face, size: int = 256) -> AlignedFace:
    """Cut out the face's FFHQ square, upright, as a size x size RGB picture.

    Where the square leaves the photo it is filled by reflection with a blurred border. The warp samples the
    photo finely enough (an exact integer reduction first for large faces, bicubic sampling at two to four
    times the target, then an antialiasing reduction) that neither aliasing nor needless blur is added.
    Raises FaceTooSmall (square under 40 pixels) and BadValue (square far outside the photo, degenerate
    points).
    """
    photo = image if image.mode == "RGB" else image.convert("RGB")
    square = square_of(face, photo.size, size)
    quad, to_crop, side = square.quad, square.to_crop, square.side
    to_photo = similarity_between(_corners(size), quad)

    shrink = max(1, int(side / size / 3))
    pixels, origin = _cut_out(photo, quad, margin=4 + 4 * shrink)
    region = Image.fromarray(pixels)
    if shrink > 1:
        region = region.reduce(shrink)
    # Reduction keeps continuous coordinates: point p of the photo is (p - origin) / shrink of the region.
    scale = side / shrink / size
    over = 1 if scale < 0.75 else min(4, int(np.ceil(scale)) + 1)
    to_region = np.concatenate(
        [to_photo[:, :2] / (shrink * over), ((to_photo[:, 2] - origin) / shrink)[:, None]], axis=1
    )
    crop = warp_affine(region, to_region, (size * over, size * over))
    if over > 1:
        crop = crop.resize((size, size), Image.Resampling.LANCZOS)
    return AlignedFace(crop=crop, quad=quad, to_crop=to_crop, photo_size=photo.size, face=face)
