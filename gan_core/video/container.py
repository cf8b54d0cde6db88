"""Video files: opened safely, and read picture by picture with their times."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace
from PIL import Image

from gan_core.errors import BadVideo

logger = logging.getLogger(__name__)

MAX_SIDE = 4096  # pixels
MAX_FRAMES = 2400  # 20 seconds at 120 pictures a second
DAMAGED = "This file is not a video that can be read, or it is damaged."
# Containers that hold pictures and sound themselves. Play lists name other files and are left out on purpose.
_FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,flv,ogg,asf,gif,apng,h264,hevc,m4v,mjpeg,ivf"

# until PyAV 19, whose metadata are read only when somebody asks for them
_LENIENT: dict[str, Any] = {"metadata_errors": "ignore"} if int(av.__version__.split(".")[0]) < 19 else {}


def _refuse(*_arguments: Any, **_named: Any) -> Any:
    raise BadVideo("This file points to other files instead of holding a video.")


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Any]:
    """The container, closed at the end. Raises BadVideo where there is no video to be read."""
    with contextlib.ExitStack() as stack:
        try:
            # Python opens the file and only formats of a short list are tried, so that no demuxer opens other files.
            file = stack.enter_context(path.open("rb"))
            options = {"format_whitelist": _FORMATS, "protocol_whitelist": ""}
            container = stack.enter_context(av.open(file, "r", io_open=_refuse, options=options, **_LENIENT))
        except FileNotFoundError as error:
            raise BadVideo("The video file is not there.") from error
        except (av.error.FFmpegError, OSError, ValueError, EOFError) as error:
            logger.info("video refused: %s", error)
            raise BadVideo(DAMAGED) from error
        yield container


def stated_length(container: Any, max_seconds: float) -> float:
    """Duration in seconds that the container states (0 if it states none), checked against the limits."""
    if not container.streams.video:
        raise BadVideo("This file has no pictures in it, only sound or data.")
    stream = container.streams.video[0]
    if stream.codec_context is None:  # of no codec that is known
        raise BadVideo(DAMAGED)
    if not min(stream.width or 0, stream.height or 0) >= 16 or max(stream.width, stream.height) > MAX_SIDE:
        raise BadVideo(f"The video's pictures must be between 16 and {MAX_SIDE} pixels wide and high.")
    length = 0.0
    if stream.duration is not None and stream.time_base is not None:
        length = float(stream.duration * stream.time_base)
    elif container.duration is not None:
        length = container.duration / av.time_base
    if length > max_seconds + 0.5:
        raise _too_long(max_seconds)
    return length


def _too_long(max_seconds: float) -> BadVideo:
    return BadVideo(f"This video is longer than {max_seconds:g} seconds: please cut it first.")


def _packets(container: Any, wanted: list[Any]) -> Iterator[Any]:
    source = iter(container.demux(*wanted))
    while True:
        try:
            packet = next(source)
        except (StopIteration, av.error.EOFError):
            return
        except av.error.FFmpegError as error:
            logger.info("video refused: %s", error)
            raise BadVideo(DAMAGED) from error
        yield packet


def frames(container: Any, max_seconds: float, packets: Callable[[Any], None] | None = None) -> Iterator[Any]:
    """Pictures in the order shown, each with a time; a damaged packet is skipped.

    packets: called with every sound packet on the way. Raises BadVideo where the video runs too long.
    """
    video = container.streams.video[0]
    video.thread_type = "AUTO"
    wanted = [video]
    if packets is not None and container.streams.audio:
        wanted.append(container.streams.audio[0])
    count, first, last = 0, None, None
    for packet in _packets(container, wanted):
        if packet.stream.type == "audio":
            if packets is not None:
                packets(packet)
            continue
        try:
            pictures = packet.decode()
        except av.error.FFmpegError:  # a damaged packet
            continue
        for frame in pictures:
            if frame.pts is None:
                if last is None:
                    frame.pts = 0
                else:
                    rate = video.average_rate or Fraction(25)
                    frame.pts = last + max(1, round(1 / (rate * video.time_base)))
            if last is not None and frame.pts <= last:
                continue  # invalid time stamps: two pictures at the same time
            first = frame.pts if first is None else first
            last, count = frame.pts, count + 1
            if (last - first) * video.time_base > max_seconds + 0.5 or count > MAX_FRAMES:
                raise _too_long(max_seconds)
            yield frame


def colour(frame: Any) -> tuple[Any, Any]:
    """The frame's colour matrix and range; where they are not stated, the usual defaults."""
    known = {
        int(Colorspace.ITU709): Colorspace.ITU709,
        int(Colorspace.SMPTE170M): Colorspace.ITU601,
        int(Colorspace.ITU601): Colorspace.ITU601,
    }
    matrix = known.get(int(frame.colorspace), Colorspace.ITU709 if frame.height >= 720 else Colorspace.ITU601)
    full = int(frame.color_range) == int(ColorRange.JPEG) or "yuvj" in frame.format.name
    return matrix, ColorRange.JPEG if full else ColorRange.MPEG


def upright(frame: Any) -> Image.Image:
    """RGB picture of a frame, turned as its recorded rotation says.

    By one thread: threads that PyAV keeps let a process that is forked later, as on ZeroGPU, wait for ever.
    """
    if max(frame.width, frame.height) > MAX_SIDE:
        raise BadVideo(f"The video's pictures must be between 16 and {MAX_SIDE} pixels wide and high.")
    matrix, span = colour(frame)
    pixels = frame.reformat(
        format="rgb24", src_colorspace=matrix, src_color_range=span, dst_color_range=ColorRange.JPEG, threads=1
    ).to_ndarray()
    quarter_turns = round(frame.rotation / 90) % 4  # counter-clockwise, as numpy turns
    return Image.fromarray(np.ascontiguousarray(np.rot90(pixels, quarter_turns)))
