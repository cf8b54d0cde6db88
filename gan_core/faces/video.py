"""Edit the face in a short video: find and steady it, edit each frame's crop, paste back, keep the sound."""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
from PIL import Image

from gan_core.errors import BadValue, BadVideo, Cancelled, FaceTooSmall, NoFaceFound
from gan_core.faces.alignment import AlignedFace, align
from gan_core.faces.paste import paste_back
from gan_core.faces.reference import reference_for
from gan_core.faces.tracking import Finder, Track, Tracker, face_at, presence
from gan_core.threads import available_cores
from gan_core.video.container import DAMAGED, frames, opened, stated_length, upright
from gan_core.video.stages import delayed, in_order, threads
from gan_core.video.writer import VideoWriter

logger = logging.getLogger(__name__)

MAX_SECONDS = 20.0
NOTE = "Edited: faces in this video were changed by a generative model (GAN Studio)."
_WAITING = 256 << 20  # bytes of frames that wait to be edited
_MOST_THREADS = 6


@dataclass(frozen=True)
class Shot:
    """Where a crop is from: which of the video's faces, which frame, and when that is shown, in seconds."""

    track: int
    frame: int
    time: float


Edit = Callable[[Image.Image, Shot], "Image.Image | tuple[Image.Image, Image.Image]"]
Read = Callable[[Image.Image, Shot], None]
Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class VideoResult:
    """Summary of an edited video: all frames, frames with an edited face, seconds, size, whether there is sound."""

    frames: int
    edited: int
    seconds: float
    size: tuple[int, int]
    sound: bool


@dataclass
class _Frame:
    """A frame on its way: as decoded, as a picture, its faces (where from, aligned, opacity of the edit); then what was
    drawn of each face, and the whole picture with that."""

    decoded: Any
    number: int
    time: float
    picture: Image.Image = field(default_factory=Image.Image)
    faces: Sequence[tuple[Shot, AlignedFace, float]] = ()
    drawn: Sequence[Any] = ()
    changed: Image.Image | None = None


def edit_video(
    path_in: str | os.PathLike[str],
    path_out: str | os.PathLike[str],
    edit: Edit,
    *,
    read: Read | None = None,
    ahead: float = 0.0,
    size: int = 256,
    faces: int = 1,
    max_seconds: float = MAX_SECONDS,
    side_by_side: bool = False,
    finder: Finder | None = None,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
    note: str = NOTE,
) -> VideoResult:
    """Edit up to `faces` faces of a video, the largest first, and write an MP4 (H.264) with the same sound.

    edit(crop, shot): is given the aligned size x size crop and where it is from, and returns the edited crop, or a pair
    (edited, unchanged): its reconstruction as well, with nothing edited, and then only the change reaches the frame.
    read(crop, shot): if given, hears of each crop before it is edited, in the order of frames; crops up to `ahead`
    seconds later (fewer of large frames) are read before one is edited.
    side_by_side: the result shows each frame as it was, too, left of the edited one.

    Frames without a face are unchanged. Rotation recorded by a phone is applied, uneven frame times are kept, sound is
    copied (or converted to AAC where MP4 does not support it). The input's metadata is dropped; `note` becomes the
    container's comment. progress(fraction 0..1, text) is told how far it is; when cancelled() returns True the work
    stops. path_out exists only once it is complete. Raises BadVideo, NoFaceFound, FaceTooSmall, BadValue, Cancelled.
    """
    source, target = Path(path_in), Path(path_out)
    if target.suffix.lower() != ".mp4":
        raise BadValue("Edited videos are written as .mp4.")
    if finder is None:
        from gan_core.faces.finder import embedded_finder

        finder = embedded_finder()
    report, check = progress or (lambda share, what: None), _checker(cancelled)
    times, shape, tracks = _followed(source, Tracker(finder, faces), max_seconds, check, report)
    fit = max(1, _WAITING // (5 * shape[0] * shape[1]))  # frames: RGB, and 12 bits a pixel as decoded
    done = edited = 0

    def told() -> None:  # of each frame when it is read, and when it is written: others may go first then
        nonlocal done
        done += 1
        report(0.3 + 0.7 * min(1.0, done / (2 * len(times))), "Editing")

    def cut(frame: _Frame) -> _Frame:
        frame.picture = upright(frame.decoded)
        frame.faces = list(_faces_of(frame, tracks, times, size))
        return frame

    def heard(frame: _Frame) -> _Frame:
        check()
        for shot, aligned, _ in frame.faces if read else ():
            read(aligned.crop, shot)  # type: ignore[misc]
        told()
        return frame

    def draw(frame: _Frame) -> _Frame:
        check()
        frame.drawn = [edit(aligned.crop, shot) for shot, aligned, _ in frame.faces]
        return frame

    handle, name = tempfile.mkstemp(dir=target.parent, prefix=".", suffix=".part.mp4")
    os.close(handle)
    try:
        with (
            opened(source) as container,
            VideoWriter(Path(name), container, note, side_by_side=side_by_side) as writer,
            threads(_threads()) as pool,
        ):
            pictures = enumerate(frames(container, max_seconds, writer.hear))
            decoded = (_Frame(one, number, one.time or 0.0) for number, one in pictures)
            read_ones = map(heard, in_order(pool, cut, decoded))
            drawn = map(draw, delayed(read_ones, ahead, lambda frame: frame.time, fit))

            def finish(frame: _Frame) -> tuple[bool, Any]:
                changed = _finished(frame).changed
                return changed is not None, writer.ready(frame.decoded, frame.picture, changed)

            for changed, ready in in_order(pool, finish, drawn):
                edited += changed
                writer.write(ready)
                told()
        if edited == 0:
            raise FaceTooSmall("The face is too small in this video: at least 40 pixels of width are needed.")
        os.chmod(name, 0o644)
        os.replace(name, target)
    except av.error.FFmpegError as error:
        if isinstance(error, OSError):  # the disk is full or the like: no fault of the video
            raise
        logger.info("video refused: %s", error)
        raise BadVideo(DAMAGED) from error
    finally:
        Path(name).unlink(missing_ok=True)
    report(1.0, "Done")
    return VideoResult(len(times), edited, times[-1] - times[0], (shape[0] & ~1, shape[1] & ~1), writer.sound)


def _followed(
    source: Path, tracker: Tracker, max_seconds: float, check: Callable[[], None], report: Progress
) -> tuple[list[float], tuple[int, int], list[Track]]:
    """First pass: when each frame is shown, the last one's size, and the faces' steadied tracks."""
    times: list[float] = []
    shape = (0, 0)
    with opened(source) as container, threads(_threads()) as pool:
        length = stated_length(container, max_seconds)
        for frame, picture in in_order(pool, lambda frame: (frame, upright(frame)), frames(container, max_seconds)):
            check()
            shape = picture.size
            tracker.feed(picture, frame.time or 0.0)
            times.append(frame.time or 0.0)
            report(0.3 * _share(times, length), "Looking for faces")
    if not times:
        raise BadVideo("This video has no pictures in it.")
    tracks = tracker.steadied(times)
    if not tracks:
        raise NoFaceFound("No face was found in this video.")
    return times, shape, tracks


def _faces_of(
    frame: _Frame, tracks: Sequence[Track], times: Sequence[float], size: int
) -> Iterator[tuple[Shot, AlignedFace, float]]:
    for number, track in enumerate(tracks):
        face = face_at(track, frame.number)
        if face is None:
            continue
        # Too small, or cut off, in this frame: the frame stays unchanged.
        with contextlib.suppress(FaceTooSmall, BadValue):
            aligned = align(frame.picture, face, size)
            shown = presence(track, frame.number, times[0], times[-1])
            yield Shot(number, frame.number, frame.time), aligned, shown


def _finished(frame: _Frame) -> _Frame:
    """Put what was drawn of its faces into a frame."""
    for (_, aligned, shown), answer in zip(frame.faces, frame.drawn, strict=True):
        edited, reference = answer, aligned.crop
        if isinstance(answer, tuple):
            edited, reference = answer[0], reference_for(aligned.crop, answer[1], answer[0])
        if shown < 1:
            reference = reference.convert("RGB").resize(edited.size)
            edited = Image.blend(reference, edited.convert("RGB"), shown)
        frame.changed = paste_back(frame.changed or frame.picture, aligned, edited, reference=reference)
    return frame


def _threads() -> int:
    """For what is done to frames beside the editing itself."""
    return min(_MOST_THREADS, available_cores() // 2)


def _checker(cancelled: Callable[[], bool] | None) -> Callable[[], None]:
    def check() -> None:
        if cancelled is not None and cancelled():
            raise Cancelled("The video was stopped.")

    return check


def _share(times: list[float], length: float) -> float:
    return min(1.0, (times[-1] - times[0]) / length) if length > 0 else 0.5
