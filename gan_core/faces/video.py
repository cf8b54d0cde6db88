"""Edit the face in a short video: find and steady it, edit each frame's crop, paste back, keep the sound."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
from av.video.reformatter import Colorspace
from PIL import Image

from gan_core.errors import BadValue, BadVideo, Cancelled, FaceTooSmall, NoFaceFound
from gan_core.faces.alignment import AlignedFace, align
from gan_core.faces.paste import paste_back
from gan_core.faces.tracking import Finder, Tracker, face_at, presence
from gan_core.video.container import DAMAGED, Sound, colour, encoded, encoder, frames, opened, stated_length, upright

logger = logging.getLogger(__name__)

MAX_SECONDS = 20.0
NOTE = "Edited: faces in this video were changed by a generative model (GAN Studio)."
Edit = Callable[[Image.Image, int], "Image.Image | tuple[Image.Image, Image.Image]"]
Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class VideoResult:
    """Summary of an edited video: all frames, frames with an edited face, seconds, size, whether there is sound."""

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

    edit(crop, frame): is given the aligned size x size crop and the frame's number and returns the edited crop, or a
    pair (edited, reference) as `paste_back` takes it. Frames without a face are unchanged. Rotation recorded by a phone
    is applied, uneven frame times are kept, sound is copied (or converted to AAC where MP4 does not support it). The
    input's metadata is dropped; `note` becomes the container's comment. progress(fraction 0..1, text) is told how far
    it is; when cancelled() returns True the work stops. path_out exists only once it is complete. Raises BadVideo,
    NoFaceFound, FaceTooSmall, BadValue, Cancelled.
    """
    source, target = Path(path_in), Path(path_out)
    if target.suffix.lower() != ".mp4":
        raise BadValue("Edited videos are written as .mp4.")
    if finder is None:
        from gan_core.faces.finder import embedded_finder

        finder = embedded_finder()
    report, check = progress or (lambda share, what: None), _checker(cancelled)

    tracker, times, shape = Tracker(finder, faces), [], (0, 0)
    with opened(source) as container:
        length = stated_length(container, max_seconds)
        for frame in frames(container, max_seconds):
            check()
            picture = upright(frame)
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
            try:
                aligned = align(changed or picture, face, size)
            except (FaceTooSmall, BadValue):  # too small or cut off in this frame: the frame stays unchanged
                continue
            changed = _edit_face(changed or picture, aligned, edit, number, shown)
        return changed

    handle, name = tempfile.mkstemp(dir=target.parent, prefix=".", suffix=".part.mp4")
    os.close(handle)
    try:
        with opened(source) as container:
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
    except av.error.FFmpegError as error:
        if isinstance(error, OSError):  # the disk is full or the like: no fault of the video
            raise
        logger.info("video refused: %s", error)
        raise BadVideo(DAMAGED) from error
    finally:
        Path(name).unlink(missing_ok=True)
    report(1.0, "Done")
    return VideoResult(len(times), edited, times[-1] - times[0], (shape[0] & ~1, shape[1] & ~1), sound)


def _edit_face(picture: Image.Image, aligned: AlignedFace, edit: Edit, number: int, shown: float) -> Image.Image:
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
        for number, frame in enumerate(frames(container, max_seconds, waiting.append)):
            check()
            picture = upright(frame)
            changed = render(picture, number)
            edited += changed is not None
            if stream is None:
                stream = encoder(output, picture.width & ~1, picture.height & ~1, video)
                matrix, _ = colour(frame)
                stream.codec_context.colorspace = 1 if matrix == Colorspace.ITU709 else 6
                stream.codec_context.color_range = 1
            for packet in encoded(stream, frame, changed or picture, video):
                output.mux(packet)
            sound.copy(waiting)
            report(number + 1)
        if stream is None:
            raise BadVideo("This video has no pictures in it.")
        output.mux(stream.encode(None))
        sound.copy(waiting)
        sound.finish()
    return edited, sound.present
