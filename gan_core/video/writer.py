"""Writing edited videos: H.264 in MP4, with the times and the sound of the video that they were made from."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.video.reformatter import ColorRange, Colorspace
from PIL import Image

from gan_core.errors import BadVideo
from gan_core.video.container import colour

_MP4_SOUND = frozenset({"aac", "mp3", "ac3", "eac3", "alac", "opus", "flac"})
_WIDEST = 2048  # pixels of each half of a picture with two: not every browser shows more than 4096


class VideoWriter:
    """Writes an MP4 of the pictures that a video's frames became, for the block; complete when that ends.

    source: the video's open container. note: what was done to the pictures, for the file's metadata.
    side_by_side: each picture is written beside its frame. Odd sides lose a row or column, which the format asks for.
    Raises BadVideo at the end where no frame came.
    """

    def __init__(self, path: Path, source: Any, note: str, *, side_by_side: bool = False) -> None:
        self._path, self._source, self._note, self._beside = path, source, note, side_by_side
        self._video = source.streams.video[0]
        self._stream: Any = None
        self._heard: list[Any] = []

    def __enter__(self) -> VideoWriter:
        self._output: Any = av.open(str(self._path), "w", format="mp4", options={"movflags": "+faststart"})
        self._output.metadata["comment"] = self._note
        self._sound = _Sound(self._source, self._output)
        return self

    def __exit__(self, kind: Any, *_error: Any) -> None:
        with self._output:
            if kind is None:
                self._finish()

    @property
    def sound(self) -> bool:
        """Whether there is any."""
        return self._sound.present

    def hear(self, packet: Any) -> None:
        """A packet of the source's sound (`container.frames`)."""
        self._heard.append(packet)

    def ready(self, frame: Any, before: Image.Image, after: Image.Image | None) -> Any:
        """The next frame of the source, its picture, and what that became (None: it stays) as a frame for `write`. May
        be called in other threads, of several frames at once: converting a large one takes as long as encoding it."""
        picture = after or before
        if self._beside:
            picture = _beside(before, picture)
        width, height = picture.width & ~1, picture.height & ~1  # H.264 needs even sides
        if picture.size != (width, height):
            picture = picture.crop((0, 0, width, height))
        matrix, _ = colour(frame)
        fresh = av.VideoFrame.from_image(picture).reformat(
            format="yuv420p",
            dst_colorspace=matrix,
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.MPEG,
            threads=1,  # see `upright`
        )
        fresh.pts, fresh.time_base = frame.pts, self._video.time_base
        return fresh

    def write(self, fresh: Any) -> None:
        """Encode the next frame that `ready` gave."""
        if self._stream is None:
            self._begin(fresh)
        if (fresh.width, fresh.height) != (self._stream.width, self._stream.height):
            fresh = self._resized(fresh)  # the size changed within the video
        for packet in self._stream.encode(fresh):
            self._output.mux(packet)
        self._sound.copy(self._heard)

    def _resized(self, fresh: Any) -> Any:
        result = fresh.reformat(self._stream.width, self._stream.height, threads=1)
        result.pts, result.time_base = fresh.pts, fresh.time_base
        return result

    def _begin(self, fresh: Any) -> None:
        name = "libx264" if "libx264" in av.codecs_available else "mpeg4"
        rate = self._video.average_rate or self._video.guessed_rate or Fraction(25)
        stream = self._output.add_stream(name, rate=min(max(rate, Fraction(1)), Fraction(240)))
        stream.width, stream.height, stream.pix_fmt = fresh.width, fresh.height, "yuv420p"
        stream.codec_context.time_base = self._video.time_base
        stream.codec_context.thread_count = 2
        if name == "libx264":
            stream.options = {"crf": "18", "preset": "veryfast"}
        else:
            stream.bit_rate = fresh.width * fresh.height * 8
        stream.codec_context.colorspace = 1 if fresh.colorspace == Colorspace.ITU709 else 6
        stream.codec_context.color_range = 1
        self._stream = stream

    def _finish(self) -> None:
        if self._stream is None:
            raise BadVideo("This video has no pictures in it.")
        self._output.mux(self._stream.encode(None))
        self._sound.copy(self._heard)
        self._sound.finish()


def _beside(before: Image.Image, after: Image.Image) -> Image.Image:
    """Both in one picture, reduced where that would be wider than browsers show."""
    scale = min(1.0, _WIDEST / before.width)
    size = max(1, round(before.width * scale)), max(1, round(before.height * scale))
    both = Image.new("RGB", (2 * size[0], size[1]))
    for place, picture in enumerate((before, after)):
        both.paste(picture if picture.size == size else picture.resize(size), (place * size[0], 0))
    return both


class _Sound:
    """Transfers the input's first sound track to the output: copied, or encoded again where MP4 needs it."""

    def __init__(self, container: Any, output: Any) -> None:
        self._output = output
        self._stream: Any = None
        self._resampler: Any = None
        source: Any = container.streams.audio[0] if container.streams.audio else None
        self.present = source is not None and source.codec_context is not None
        if not self.present:
            return
        if source.codec_context.name in _MP4_SOUND:
            self._stream = output.add_stream_from_template(source)
            self._stream.metadata.clear()
        else:
            rate = source.codec_context.sample_rate if source.codec_context.sample_rate in (44100, 48000) else 48000
            self._stream = output.add_stream("aac", rate=rate, layout="stereo")
            self._resampler = av.AudioResampler(format="fltp", layout="stereo", rate=rate)

    def copy(self, packets: list[Any]) -> None:
        """Write the packets to the output and empty the list."""
        for packet in packets if self.present else ():
            if self._resampler is None:
                if packet.dts is not None:
                    packet.stream = self._stream
                    self._output.mux(packet)
                continue
            try:
                frames = packet.decode()
            except av.error.FFmpegError:  # a damaged packet
                continue
            for frame in frames:
                for piece in self._resampler.resample(frame):
                    self._output.mux(self._stream.encode(piece))
        packets.clear()

    def finish(self) -> None:
        """Flush an encoder, if there is one."""
        if self._resampler is not None:
            self._output.mux(self._stream.encode(None))
