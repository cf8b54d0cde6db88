"""The steps from an uploaded video to an edited one. Independent of the page, as `demo.hfgi.editor`."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from demo import gpu
from demo.gpu import Done, Progress, Steps
from demo.hfgi import film_tasks
from demo.hfgi.editor import Editor
from demo.hfgi.strengths import checked_strengths
from demo.parts.results import sign_result
from demo.session import Session
from gan_core.errors import BadValue, Busy

if TYPE_CHECKING:
    from gan_core.own_direction import OwnDirection

MAX_SECONDS = 20  # of video
MAX_WORK_SECONDS = 1800  # of work on one video


def edited_video(
    editor: Editor,
    session: Session,
    path: str,
    model: str,
    strengths: Mapping[str, float],
    *,
    own: tuple[OwnDirection, float] | None = None,
    side_by_side: bool = False,
    progress: Progress | None = None,
) -> Steps[Path]:
    """Steps, and at last the MP4. path: of an upload. strengths: by attribute, for every frame.

    Raises BadVideo, NoFaceFound, FaceTooSmall, UnknownName, BadValue, Busy or Cancelled.
    """
    session.own_upload(path)
    choice = editor.model(model)
    if choice.alignment != "face":
        raise BadValue("Videos are edited with models of faces. Please choose other weights.")
    values = checked_strengths(choice, strengths)
    target = session.new_file("video", ".mp4")
    call = film_tasks.video(
        choice.model,
        size=choice.resolution,
        source=path,
        target=str(target),
        strengths=values,
        max_seconds=MAX_SECONDS,
        offset=None if own is None else own[0].offset(own[1]),
        side_by_side=side_by_side,
    )
    deadline = time.monotonic() + MAX_WORK_SECONDS
    with contextlib.closing(gpu.stream(call, progress)) as steps:
        for step in steps:
            if time.monotonic() > deadline:
                raise Busy("This video takes too long on this machine. Please send a shorter one.")
            if isinstance(step, Done):
                sign_result(target, editor.note(choice, values, own=own))
                yield Done(target)
            else:
                yield step
