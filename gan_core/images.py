"""Conversion of pictures between files, Pillow and tensors; the only place where uploaded pictures are opened.

Uploads are untrusted: only formats of a short list are read, the size is read from the header before anything is
decoded, and any error of a decoder becomes a `BadImage` with a sentence for a person.
"""

from __future__ import annotations

import io
import logging
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageCms, PngImagePlugin, features

from gan_core.errors import BadImage
from gan_core.marks import SOFTWARE, xmp

if TYPE_CHECKING:  # the page must answer before torch is imported
    import torch

logger = logging.getLogger(__name__)

MAX_PIXELS = 40_000_000  # what is decoded: larger JPEGs are read at a reduced scale, others are refused
MIN_SIDE = 32  # pixels
MAX_SIDE = 16_000  # pixels; browsers and WebP show no more
_HEADER_PIXELS = 160_000_000  # beyond this not even a reduced JPEG is read

# Formats with a plain raster decoder. Left out on purpose: EPS (runs Ghostscript), PSD, WMF, FITS, ...
_FORMATS = ["JPEG", "MPO", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF", "HEIF"]
_HEIC_BRANDS = (b"heic", b"heix", b"hevc", b"mif1", b"msf1")


def open_image(
    source: str | os.PathLike[str] | bytes | Image.Image,
    *,
    max_pixels: int = MAX_PIXELS,
    min_side: int = MIN_SIDE,
    backdrop: str = "white",
) -> Image.Image:
    """Open a picture as upright 8-bit sRGB without metadata.

    Rotation by EXIF is applied; CMYK, 16-bit, float, grey and palette pictures are converted, an embedded
    colour profile is converted to sRGB, transparency is laid on `backdrop`, an animation gives its first frame.

    source: a path, the file's bytes, or a Pillow picture (never changed).
    max_pixels: width x height to decode at most; a JPEG above it is read at 1/2, 1/4 or 1/8 of its size.
    min_side: smallest width and height in pixels.
    Raises BadImage with a sentence for a person.
    """
    if isinstance(source, Image.Image):
        _check_size(source.size, max_pixels, min_side)
        return _to_rgb(source.copy(), backdrop)
    if not isinstance(source, bytes):
        try:
            # Not by its name: Pillow would map the file into memory, and one that is cut short then ends the process.
            source = Path(source).read_bytes()
        except OSError as error:
            raise BadImage("The picture is not there any more. Please upload it again.") from error
    try:
        picture = Image.open(io.BytesIO(source), formats=_known_formats())
    except Image.DecompressionBombError as error:
        raise BadImage(_too_large(max_pixels)) from error
    except Exception as error:  # any decoder may fail on a hostile header in its own way
        logger.info("not an image: %s", error)
        raise BadImage(_why_not_an_image(source)) from error
    with picture:
        size = _reduce_jpeg(picture, max_pixels)
        _check_size(size, max_pixels, min_side)
        try:
            picture.load()
            return _to_rgb(picture, backdrop)
        except Exception as error:
            logger.info("image does not decode: %s", error)
            raise BadImage("The picture is damaged or cut short. Please try another file.") from error


def to_tensor(picture: Image.Image) -> torch.Tensor:
    """Pillow picture -> float32 (1, 3, H, W) in [-1, 1]."""
    import torch

    pixels = np.array(picture.convert("RGB"), dtype=np.float32)  # [HWC], 0 to 255
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].contiguous() / 127.5 - 1


def to_pil(tensor: torch.Tensor) -> Image.Image:
    """(3, H, W) or (1, 3, H, W) in [-1, 1], any device and float type; values outside are clamped."""
    if tensor.dim() == 4:
        if tensor.shape[0] != 1:
            raise ValueError(f"one picture at a time, got a batch of {tensor.shape[0]}")
        tensor = tensor[0]
    return to_pils(tensor[None])[0]


def to_pils(tensor: torch.Tensor) -> list[Image.Image]:
    """Pictures of a batch (N, 3, H, W), as `to_pil` makes them; copied from the device at once."""
    import torch

    pixels = tensor.detach().float().clamp(-1, 1).add(1).mul(127.5).round().to(torch.uint8)
    return [Image.fromarray(picture) for picture in pixels.permute(0, 2, 3, 1).contiguous().cpu().numpy()]


def held_bytes(*pictures: Image.Image) -> int:
    """Bytes of memory that pictures take; one that is given twice counts once. Pillow keeps four bytes for each pixel
    in colour, three of them used."""
    different = {id(picture): picture for picture in pictures}.values()
    return sum((1 if one.mode in ("L", "P") else 4) * one.width * one.height for one in different)


def resize_within(picture: Image.Image, side: int) -> Image.Image:
    """The picture itself, or a copy whose longer side is `side` pixels when it is longer than that."""
    longest = max(picture.size)
    if longest <= side:
        return picture
    width, height = (max(1, round(length * side / longest)) for length in picture.size)
    return picture.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=3.0)


def save_png(picture: Image.Image, path: str | os.PathLike[str], edited_note: str) -> Path:
    """Write a PNG that says it was edited, without the input's metadata. A write that fails leaves no file.

    edited_note: what was done ("edited with ..."); it goes into the PNG's text chunks and its XMP packet,
    which also carries the IPTC digital source type for pictures changed by a trained model.
    """
    path = Path(path)
    text = PngImagePlugin.PngInfo()
    text.add_text("Software", SOFTWARE)
    text.add_itxt("Description", edited_note)
    text.add_itxt("XML:com.adobe.xmp", xmp(edited_note))
    clean = picture.convert("RGB") if picture.mode != "RGB" else picture.copy()
    clean.info = {}
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as stream:
            # Level 3 is a third of the default's time for about 5 % more bytes.
            clean.save(stream, format="PNG", pnginfo=text, compress_level=3)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return path


def _known_formats() -> list[str]:
    Image.init()
    return [name for name in _FORMATS if name in Image.OPEN]


def _check_size(size: tuple[int, int], max_pixels: int, min_side: int) -> None:
    width, height = size
    if min(size) < min_side:
        raise BadImage(f"The picture is only {width} x {height} pixels; each side must have at least {min_side}.")
    if width * height > max_pixels or max(size) > MAX_SIDE:
        raise BadImage(_too_large(max_pixels, size))


def _too_large(max_pixels: int, size: tuple[int, int] | None = None) -> str:
    found = f" ({size[0]} x {size[1]} pixels)" if size else ""
    limit = f"{max_pixels / 1e6:.0f} megapixels"
    return f"The picture is too large{found}. Please send one of at most {limit} and {MAX_SIDE} pixels a side."


def _reduce_jpeg(picture: Image.Image, max_pixels: int) -> tuple[int, int]:
    """Have the JPEG decoder read a picture at a reduced scale if it is too large; returns the size it will have.

    A progressive file is left as it is: its decoder keeps all coefficients in memory at any scale.
    """
    width, height = picture.size
    jpeg = picture.format in ("JPEG", "MPO") and "progressive" not in picture.info
    if jpeg and max_pixels < width * height <= _HEADER_PIXELS:
        for divisor in (2, 4, 8):
            wanted = (-(-width // divisor), -(-height // divisor))
            if wanted[0] * wanted[1] <= max_pixels and max(wanted) <= MAX_SIDE:
                picture.draft(None, wanted)
                break
    return picture.size


def _why_not_an_image(source: bytes) -> str:
    head = source[:16]
    if not head:
        return "The file is empty. Please choose a picture."
    if head[4:8] == b"ftyp" and head[8:12] in _HEIC_BRANDS:
        return "HEIC pictures cannot be read here. Please save it as JPEG or PNG first."
    if head[4:8] == b"ftyp" and head[8:12] == b"avif" and not features.check("avif"):
        return "AVIF pictures cannot be read here. Please save it as JPEG or PNG first."
    return "The file is not a picture that can be read. Please send a JPEG, PNG, WebP or TIFF."


def _to_rgb(picture: Image.Image, backdrop: str) -> Image.Image:
    """A loaded picture of any mode -> upright RGB in sRGB, transparency laid on `backdrop`, without metadata."""
    profile = picture.info.get("icc_profile")
    orientation = _orientation(picture)
    if picture.mode.startswith("I") or picture.mode == "F":
        picture, profile = _eight_bit(picture), None
    if picture.mode in ("P", "PA"):
        picture = picture.convert("RGBA" if "transparency" in picture.info or picture.mode == "PA" else "RGB")
    if picture.mode == "RGBX":
        picture = picture.convert("RGB")
    if picture.mode in ("LA", "La", "RGBa") or (picture.mode != "RGBA" and "transparency" in picture.info):
        picture = picture.convert("RGBA")
    if picture.mode == "RGBA":
        behind = Image.new("RGBA", picture.size, backdrop)
        picture = Image.alpha_composite(behind, picture).convert("RGB")
    picture = _to_srgb(picture, profile) if profile else picture
    rgb = picture.convert("RGB")
    if orientation is not None:
        rgb = rgb.transpose(orientation)
    rgb = rgb.copy() if rgb is picture else rgb
    rgb.info = {}
    return rgb


def _orientation(picture: Image.Image) -> Image.Transpose | None:
    method = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
    try:
        return method.get(picture.getexif().get(274, 1))
    except Exception as error:  # a broken EXIF block must not cost the person the picture
        logger.info("EXIF could not be read, taken as upright: %s", error)
        return None


def _eight_bit(picture: Image.Image) -> Image.Image:
    """16-bit, 32-bit and float grey -> 8-bit grey; the range is that of the mode, or of the values."""
    values = np.nan_to_num(np.asarray(picture, dtype=np.float64), posinf=0.0, neginf=0.0)
    top = values.max(initial=0.0)
    if picture.mode.startswith("I;16") or (picture.mode == "I" and 255 < top <= 65535):
        scale = 255 / 65535
    elif picture.mode == "F" and top <= 1:
        scale = 255.0
    elif top <= 255:
        scale = 1.0
    else:
        scale = 255 / top
    return Image.fromarray((values * scale).round().clip(0, 255).astype(np.uint8))


def _to_srgb(picture: Image.Image, profile: bytes) -> Image.Image:
    """Convert from an embedded colour profile to sRGB: wide-gamut and CMYK pictures look wrong without it."""
    if picture.mode not in ("RGB", "CMYK", "L"):
        return picture
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        converted = ImageCms.profileToProfile(picture, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError) as error:
        logger.info("colour profile could not be used: %s", error)
        return picture
    return converted if converted is not None else picture
