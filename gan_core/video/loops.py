"""Short silent videos that repeat, from pictures."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

from gan_core.errors import BadValue


def there_and_back(frames: Sequence[Image.Image]) -> list[Image.Image]:
    """The frames forward, then backward without the two ends, so that the repeated video has no jump."""
    return [*frames, *frames[-2:0:-1]]


def write_loop(frames: Sequence[Image.Image], path: Path, *, rate: float, note: str) -> Path:
    """Write pictures of one size as H.264 in MP4, as browsers play it.

    rate: frames a second. note: what was done to the pictures; it goes into the file's metadata. Odd sides lose a row
    or column, which the format asks for. Raises BadValue if there are no frames.
    """
    if not frames:
        raise BadValue("A video needs at least one frame.")
    width, height = (side - side % 2 for side in frames[0].size)
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as output:
        output.metadata["comment"] = note
        stream = output.add_stream("libx264", rate=Fraction(rate).limit_denominator(1000))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"crf": "16", "preset": "veryfast"}
        for picture in frames:
            pixels = np.asarray(picture.convert("RGB"))[:height, :width]
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            output.mux(stream.encode(frame.reformat(format="yuv420p", threads=1)))  # see `container.upright`
        output.mux(stream.encode(None))
    return path
