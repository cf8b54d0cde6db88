"""Edit the face in a short video: find and steady it, edit each frame's crop, paste back, keep the sound."""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace
from PIL import Image

from gan_core.errors import BadValue, BadVideo, Cancelled, FaceTooSmall, NoFaceFound
from gan_core.faces.alignment import align
from gan_core.faces.paste import paste_back
from gan_core.faces.tracking import Finder, Tracker, face_at, presence

logger = logging.getLogger(__name__)

MAX_SECONDS = 20.0
MAX_SIDE = 4096  # pixels
MAX_FRAMES = 2400  # 20 seconds at 120 pictures a second
NOTE = "Edited: faces in this video were changed by a generative model (GAN Studio)."
# Containers that hold pictures and sound themselves; play lists, which name other files, are left out on
# purpose.
_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,flv,ogg,asf,gif,apng,h264,hevc,m4v,mjpeg,ivf"
)
_MP4_SOUND = frozenset({"aac", "mp3", "ac3", "eac3", "alac", "opus", "flac"})

Edit = Callable[[Image.Image, int], "Image.Image | tuple[Image.Image, Image.Image]"]
Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class VideoResult:
    """What was done: frames in all, frames with an edited face, seconds, size, whether there is sound."""

    frames: int
    edited: int
    seconds: float
    size: tuple[int, int]
    sound: bool


def edit_video(
    path_in: str | os.PathLike[str],
    path_out: str | os.PathLike[str],
    edit: Edit,
    *,
    size: int = 256,
    faces: int = 1,
    max_seconds: float = MAX_SECONDS,
    finder: Finder | None = None,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
    note: str = NOTE,
) -> VideoResult:
    """Edit up to `faces` faces of a video, the largest first, and write an MP4 (H.264) with the same sound.

    edit(crop, frame): gets the aligned size x size crop and the frame's number, returns the edited crop, or
    a pair (edited, reference) as `paste_back` takes it. Frames without a face pass unchanged. Rotation
    recorded by a phone is applied, uneven frame times are kept, sound is copied (or turned into AAC where
    MP4 cannot hold it). Nothing of the input's metadata comes along; `note` goes into the container's
    comment. progress(share 0..1, what), cancelled() -> True stops. The output appears only when it is
    whole. Raises BadVideo, NoFaceFound, FaceTooSmall, BadValue, Cancelled.
    """
    source, target = Path(path_in), Path(path_out)
    if target.suffix.lower() != ".mp4":
        raise BadValue("Edited videos are written as .mp4.")
    if finder is None:
        from gan_core.faces.finder import embedded_finder

        finder = embedded_finder()
    report, check = progress or (lambda share, what: None), _checker(cancelled)

    tracker, times, shape = Tracker(finder, faces), [], (0, 0)
    with _opened(source) as container:
        length = _length(container, max_seconds)
        for frame in _frames(container, max_seconds):
            check()
            picture = _upright(frame)
            shape = picture.size
            tracker.feed(picture, frame.time or 0.0)
            times.append(frame.time or 0.0)
            report(0.3 * _share(times, length), "Looking for faces")
    if not times:
        raise BadVideo("This video has no pictures in it.")
    tracks = tracker.steadied(times)
    if not tracks:
        raise NoFaceFound("No face was found in this video.")

    def render(picture: Image.Image, number: int) -> Image.Image | None:
        changed = None
        for track in tracks:
            face = face_at(track, number)
            if face is None:
                continue
            shown = presence(track, number, times[0], times[-1])
            with contextlib.suppress(
                FaceTooSmall, BadValue
            ):  # too small or cut off in this frame: leave it be
                changed = _edit_face(changed or picture, face, edit, number, size, shown)
        return changed

    handle, name = tempfile.mkstemp(dir=target.parent, prefix=".", suffix=".part.mp4")
    os.close(handle)
    try:
        with _opened(source) as container:
            edited, sound = _write(
                container,
                Path(name),
                render,
                note,
                max_seconds,
                check,
                lambda done: report(0.3 + 0.7 * done / len(times), "Editing"),
            )
        if edited == 0:
            raise FaceTooSmall("The face is too small in this video: at least 40 pixels of width are needed.")
        os.chmod(name, 0o644)
        os.replace(name, target)
    finally:
        Path(name).unlink(missing_ok=True)
    report(1.0, "Done")
    return VideoResult(len(times), edited, times[-1] - times[0], (shape[0] & ~1, shape[1] & ~1), sound)


def _edit_face(
    picture: Image.Image, face: Any, edit: Edit, number: int, size: int, shown: float
) -> Image.Image:
    aligned = align(picture, face, size)
    answer = edit(aligned.crop, number)
    edited, reference = answer if isinstance(answer, tuple) else (answer, aligned.crop)
    if shown < 1:
        reference = reference.convert("RGB").resize(edited.size)
        edited = Image.blend(reference, edited.convert("RGB"), shown)
    return paste_back(picture, aligned, edited, reference=reference)


def _checker(cancelled: Callable[[], bool] | None) -> Callable[[], None]:
    def check() -> None:
        if cancelled is not None and cancelled():
            raise Cancelled("The video was stopped.")

    return check


def _share(times: list[float], length: float) -> float:
    return min(1.0, (times[-1] - times[0]) / length) if length > 0 else 0.5


def _refuse(*_arguments: Any, **_named: Any) -> Any:
    raise BadVideo("This file points to other files instead of holding a video.")


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The container, closed at the end; every complaint of the decoder becomes BadVideo."""
    try:
        # Read through Python's own file and with a short list of formats: no demuxer may open anything else.
        with (
            path.open("rb") as file,
            av.open(
                file,
                "r",
                io_open=_refuse,
                metadata_errors="ignore",
                options={"format_whitelist": _FORMATS, "protocol_whitelist": ""},
            ) as container,
        ):
            yield container
    except FileNotFoundError as error:
        raise BadVideo("The video file is not there.") from error
    except (av.error.FFmpegError, OSError, ValueError, EOFError) as error:
        logger.info("video refused: %s", error)
        raise BadVideo("This file is not a video that can be read, or it is damaged.") from error


def _length(container: Any, max_seconds: float) -> float:
    """Seconds as the container states them (0 where it does not), checked against the limits."""
    if not container.streams.video:
        raise BadVideo("This file has no pictures in it, only sound or data.")
    stream = container.streams.video[0]
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


def _frames(
    container: Any, max_seconds: float, packets: Callable[[Any], None] | None = None
) -> Iterator[Any]:
    """Pictures in the order shown, each with a time; a damaged packet is skipped.

    packets: called with every sound packet on the way. Raises BadVideo where the video runs too long.
    """
    video = container.streams.video[0]
    video.thread_type = "AUTO"
    wanted = [video]
    if packets is not None and container.streams.audio:
        wanted.append(container.streams.audio[0])
    count, first, last = 0, None, None
    for packet in container.demux(*wanted):
        if packet.stream.type == "audio":
            if packets is not None:
                packets(packet)
            continue
        try:
            pictures = packet.decode()
        except (av.error.InvalidDataError, av.error.EOFError):
            continue
        for frame in pictures:
            if frame.pts is None:
                if last is None:
                    frame.pts = 0
                else:
                    rate = video.average_rate or Fraction(25)
                    frame.pts = last + max(1, round(1 / (rate * video.time_base)))
            if last is not None and frame.pts <= last:
                continue  # a broken clock: two pictures for one moment
            first = frame.pts if first is None else first
            last, count = frame.pts, count + 1
            if (last - first) * video.time_base > max_seconds + 0.5 or count > MAX_FRAMES:
                raise _too_long(max_seconds)
            yield frame


def _colour(frame: Any) -> tuple[Any, Any]:
    """The frame's colour matrix and range, with the usual guesses where it does not say."""
    known = {
        int(Colorspace.ITU709): Colorspace.ITU709,
        int(Colorspace.SMPTE170M): Colorspace.ITU601,
        int(Colorspace.ITU601): Colorspace.ITU601,
    }
    matrix = known.get(int(frame.colorspace), Colorspace.ITU709 if frame.height >= 720 else Colorspace.ITU601)
    full = int(frame.color_range) == int(ColorRange.JPEG) or "yuvj" in frame.format.name
    return matrix, ColorRange.JPEG if full else ColorRange.MPEG


def _upright(frame: Any) -> Image.Image:
    """RGB picture of a frame, turned as its recorded rotation says."""
    if max(frame.width, frame.height) > MAX_SIDE:
        raise BadVideo(f"The video's pictures must be between 16 and {MAX_SIDE} pixels wide and high.")
    matrix, span = _colour(frame)
    pixels = frame.reformat(
        format="rgb24", src_colorspace=matrix, src_color_range=span, dst_color_range=ColorRange.JPEG
    ).to_ndarray()
    quarter_turns = round(frame.rotation / 90) % 4  # counter-clockwise, as numpy turns
    return Image.fromarray(np.ascontiguousarray(np.rot90(pixels, quarter_turns)))


def _encoder(output: Any, width: int, height: int, video: Any) -> Any:
    name = "libx264" if "libx264" in av.codecs_available else "mpeg4"
    rate = video.average_rate or video.guessed_rate or Fraction(25)
    stream = output.add_stream(name, rate=min(max(rate, Fraction(1)), Fraction(240)))
    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
    stream.codec_context.time_base = video.time_base
    stream.codec_context.thread_count = 2
    if name == "libx264":
        stream.options = {"crf": "18", "preset": "veryfast"}
    else:
        stream.bit_rate = width * height * 8
    return stream


def _write(
    container: Any,
    path: Path,
    render: Callable[[Image.Image, int], Image.Image | None],
    note: str,
    max_seconds: float,
    check: Callable[[], None],
    report: Callable[[int], None],
) -> tuple[int, bool]:
    """Second pass: edit, encode, copy the sound. How many frames changed, and whether there is sound."""
    video, edited, stream = container.streams.video[0], 0, None
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as output:
        output.metadata["comment"] = note
        sound = Sound(container, output)
        number = -1
        waiting: list[Any] = []
        for number, frame in enumerate(_frames(container, max_seconds, waiting.append)):
            check()
            picture = _upright(frame)
            changed = render(picture, number)
            edited += changed is not None
            if stream is None:
                stream = _encoder(output, picture.width & ~1, picture.height & ~1, video)
                matrix, _ = _colour(frame)
                stream.codec_context.colorspace = 1 if matrix == Colorspace.ITU709 else 6
                stream.codec_context.color_range = 1
            for packet in _encoded(stream, frame, changed or picture, video):
                output.mux(packet)
            sound.copy(waiting)
            report(number + 1)
        if stream is None:
            raise BadVideo("This video has no pictures in it.")
        output.mux(stream.encode(None))
        sound.copy(waiting)
        sound.finish()
    return edited, sound.present


def _encoded(stream: Any, frame: Any, picture: Image.Image, video: Any) -> list[Any]:
    width, height = stream.width, stream.height
    if picture.size != (width, height):
        if abs(picture.width - width) > 1 or abs(picture.height - height) > 1:
            picture = picture.resize((width, height))  # the size changed in mid-video
        else:
            picture = picture.crop((0, 0, width, height))  # H.264 wants even sides
    matrix, _ = _colour(frame)
    fresh = av.VideoFrame.from_image(picture).reformat(
        format="yuv420p",
        dst_colorspace=matrix,
        src_color_range=ColorRange.JPEG,
        dst_color_range=ColorRange.MPEG,
    )
    fresh.pts, fresh.time_base = frame.pts, video.time_base
    return stream.encode(fresh)


class Sound:
    """The input's first sound track on its way into the output: copied, or encoded anew where it must be."""

    def __init__(self, container: Any, output: Any) -> None:
        self._output, self._stream, self._resampler = output, None, None
        source = container.streams.audio[0] if container.streams.audio else None
        self.present = source is not None and source.codec_context is not None
        if not self.present:
            return
        if source.codec_context.name in _MP4_SOUND:
            self._stream = output.add_stream_from_template(source)
            self._stream.metadata.clear()
        else:
            rate = (
                source.codec_context.sample_rate
                if source.codec_context.sample_rate in (44100, 48000)
                else 48000
            )
            self._stream = output.add_stream("aac", rate=rate, layout="stereo")
            self._resampler = av.AudioResampler(format="fltp", layout="stereo", rate=rate)

    def copy(self, packets: list[Any]) -> None:
        """Pass on what has come in, and empty the list."""
        for packet in packets:
            if self._resampler is None:
                if packet.dts is not None:
                    packet.stream = self._stream
                    self._output.mux(packet)
                continue
            try:
                frames = packet.decode()
            except (av.error.InvalidDataError, av.error.EOFError):
                continue
            for frame in frames:
                for piece in self._resampler.resample(frame):
                    self._output.mux(self._stream.encode(piece))
        packets.clear()

    def finish(self) -> None:
        """Flush an encoder, if there is one."""
        if self._resampler is not None:
            self._output.mux(self._stream.encode(None))
