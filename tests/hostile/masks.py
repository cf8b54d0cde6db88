"""Masks of a hole and painted layers: of every mode, size and opacity, and malformed ones."""

from __future__ import annotations

import zlib
from io import BytesIO

import numpy as np
from PIL import Image

from tests.hostile.cases import Case, collect, cut_short
from tests.hostile.rasters import Named, chunk, good_gif, good_png, header, png

PICTURE = (60, 40)
"""Width and height of the picture that masks are for."""


def _saved(picture: Image.Image, kind: str = "PNG", **options) -> bytes:
    stream = BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def _white(mode: str, size: tuple[int, int] = PICTURE) -> Image.Image:
    """Black with a white box."""
    array = np.zeros(size[::-1], np.uint8)
    array[size[1] // 4 : -(size[1] // 4) or None, size[0] // 4 : -(size[0] // 4) or None] = 255
    return Image.fromarray(array).convert(mode)


def _modes() -> Named:
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA"):
        yield f"mode {mode}", _saved(_white(mode))
    yield "16 bits", _saved(Image.fromarray(np.asarray(_white("L"), np.uint16) * 257))
    yield "CMYK in a JPEG", _saved(_white("CMYK"), "JPEG")
    yield "float in a TIFF", _saved(Image.fromarray(np.asarray(_white("L"), np.float32) / 255), "TIFF")
    palette = _white("P")
    palette.putpalette([0, 0, 0, 255, 255, 255] * 128)
    yield "a palette that says the opposite", _saved(palette)


def _values() -> Named:
    nothing = Image.new("L", PICTURE)
    for value in (0, 1, 127, 128, 254, 255):
        yield f"all of it {value}", _saved(nothing.point(lambda _, value=value: value))
    noise = np.random.default_rng(0).integers(0, 256, PICTURE[::-1], dtype=np.uint8)
    yield "noise", _saved(Image.fromarray(noise))
    for alpha in (0, 1, 127, 128, 255):
        yield f"white of opacity {alpha}", _saved(Image.new("RGBA", PICTURE, (255, 255, 255, alpha)))
    yield "opaque where the palette is clear", _saved(_white("P"), transparency=255)
    floats = np.full(PICTURE[::-1], np.nan, np.float32)
    yield "floats that are no numbers", _saved(Image.fromarray(floats), "TIFF")
    floats[:] = np.inf
    floats[0] = -1e38
    yield "infinite floats", _saved(Image.fromarray(floats), "TIFF")
    whole = np.full(PICTURE[::-1], -(2**31), np.int32)
    yield "negative whole numbers", _saved(Image.fromarray(whole, "I"), "TIFF")


def _sizes() -> Named:
    for size in ((1, 1), (60, 1), (1, 40), (40, 60), (61, 40), (30, 20), (600, 400), (6000, 4000), (16_001, 1)):
        yield f"{size[0]} x {size[1]}", _saved(Image.new("L", size, 255))
    bomb = zlib.compress(bytes(40_000_000), 9)
    yield (
        "a bomb of its proportions",
        png(header(width_4=15_000, height_4=10_000, colour_1=0), chunk(b"IDAT", bomb), chunk(b"IEND", b"")),
    )


def _broken() -> Named:
    yield "a picture of text", b"white where it is to be filled"
    yield "nothing", b""
    yield "GIF", good_gif()
    yield from cut_short(_saved(_white("L")), (8, 20, 33, 41, 60))
    yield from cut_short(_saved(_white("L"), "WEBP", lossless=True), (4, 12, 20, 30, 50))
    yield "several frames", _saved(_white("L"), "GIF", save_all=True, append_images=[_white("L", (600, 400))] * 3)
    yield "clear by a chunk of one byte", good_png().replace(b"IDAT", b"tRNS", 1)


def cases() -> list[Case]:
    """All of these, each as a mask and as a layer of the image editor."""
    found = []
    for kind in ("mask", "layer"):
        found.append(Case(kind, "as it should be", _saved(_white("L" if kind == "mask" else "RGBA")), ".png", True))
        for part in (_modes, _values, _sizes, _broken):
            found += collect(kind, part.__name__.strip("_"), "", part())
    return found
