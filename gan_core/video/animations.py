"""Animated pictures that repeat, of bounded size, which say in their metadata how they were made."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image

from gan_core.errors import BadValue
from gan_core.images import resize_within
from gan_core.marks import xmp

FORMATS = ("webp", "gif")
SIDES = (512, 384, 288, 216)
"""Pixels of the longer side: the largest at which the file is small enough is taken."""
MOST_BYTES = 8 << 20


def write_animation(
    frames: Sequence[Image.Image], path: Path, *, rate: float, note: str, most_bytes: int = MOST_BYTES
) -> Path:
    """Write pictures of one size as an animated WebP or GIF (by the path's ending) that is shown again and again.

    rate: frames a second. note: what was done to the pictures: in a WebP's XMP, which also has the IPTC digital source
    type, and in a GIF's comment, as GIF has no place for XMP that readers agree on. most_bytes: of the file; the last
    of `SIDES` is taken whatever that gives. Raises BadValue if there are no frames or the ending is another.
    """
    kind = path.suffix.lower().lstrip(".")
    if kind not in FORMATS:
        raise BadValue(f"An animation is written as one of: {', '.join(FORMATS)}.")
    if not frames:
        raise BadValue("An animation needs at least one frame.")
    encode: Callable[[Sequence[Image.Image], int, str], bytes] = _webp if kind == "webp" else _gif
    data, before = b"", (0, 0)
    for side in SIDES:
        small = [resize_within(one.convert("RGB"), side) for one in frames]
        if small[0].size == before:
            continue  # smaller than this side anyway
        before, data = small[0].size, encode(small, round(1000 / rate), note)
        if len(data) <= most_bytes:
            break
    half = path.with_suffix(".part")
    try:
        half.write_bytes(data)
        half.replace(path)
    finally:
        half.unlink(missing_ok=True)
    return path


def _webp(frames: Sequence[Image.Image], milliseconds: int, note: str) -> bytes:
    stream = io.BytesIO()
    first, *others = frames
    first.save(
        stream, "WEBP", save_all=True, append_images=others, duration=milliseconds, loop=0, quality=80, method=4,
        xmp=xmp(note).encode(),
    )  # fmt: skip
    return stream.getvalue()


def _gif(frames: Sequence[Image.Image], milliseconds: int, note: str) -> bytes:
    # One palette for all frames and no dithering: what keeps still is then the same in each, and takes no room.
    sample = Image.new("RGB", (frames[0].width, 3 * frames[0].height))
    for i, one in enumerate((frames[0], frames[len(frames) // 2], frames[-1])):
        sample.paste(one, (0, i * one.height))
    palette = sample.quantize(255, Image.Quantize.MEDIANCUT)
    first, *others = (one.quantize(palette=palette, dither=Image.Dither.NONE) for one in frames)
    stream = io.BytesIO()
    first.save(
        stream, "GIF", save_all=True, append_images=others, duration=milliseconds, loop=0, optimize=False,
        comment=note.encode("ascii", "replace"),
    )  # fmt: skip
    return stream.getvalue()
