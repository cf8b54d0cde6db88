"""The sweep: a photo's face with one slider moved from end to end and back, as an animated picture.

Independent of the page, as `demo.hfgi.editor`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from demo import gpu
from demo.gpu import Done, Progress, Step, Steps
from demo.hfgi import tasks
from demo.hfgi.editor import Editor
from demo.hfgi.strengths import checked_strengths
from demo.hfgi.work import Work
from demo.parts.results import sign_result
from demo.session import Session
from gan_core.errors import BadValue
from gan_core.images import resize_within

if TYPE_CHECKING:
    from gan_core.own_direction import OwnDirection

FRAMES = 25  # from one end to the other
_RATE = 15.0  # frames a second
_SIDE = 512  # longer side of what is animated, pixels


def sweep(
    editor: Editor,
    session: Session,
    work: Work,
    model: str,
    attribute: str,
    strengths: Mapping[str, float],
    *,
    refined: bool = False,
    own: tuple[OwnDirection, float] | None = None,
    formats: tuple[str, ...] = ("webp", "gif"),
    progress: Progress | None = None,
) -> Steps[list[Path]]:
    """Steps, and at last the files, one of each format. strengths: of the other attributes, by name.

    Raises NoFaceFound, FaceTooSmall, UnknownName, BadValue.
    """
    from gan_core.video.animations import FORMATS, write_animation
    from gan_core.video.loops import there_and_back

    unknown = [kind for kind in formats if kind not in FORMATS]
    if unknown:
        raise BadValue(f"A sweep is written as one of: {', '.join(FORMATS)}, not {unknown[0]!r}.")
    choice = editor.model(model)
    checked_strengths(choice, {**strengths, attribute: 0.0})
    slider = next(one for one in choice.sliders if one.name == attribute)
    ways = [slider.low + (slider.high - slider.low) * i / (FRAMES - 1) for i in range(FRAMES)]
    inverted = editor.invert(session, work, choice, progress)
    if refined:
        inverted = work.refined.get(choice.model, inverted)
    offset = None if own is None else own[0].offset(own[1])
    call = tasks.sweep(choice.model, inverted.inversion, [{**strengths, attribute: at} for at in ways], offset)
    frames: list[Image.Image] = []
    with contextlib.closing(gpu.stream(call, progress)) as steps:
        for step in steps:
            if isinstance(step, tasks.SweepStep):
                frames.append(editor.pasted(work, choice, inverted, step.picture, resize_within(work.preview, _SIDE)))
            if isinstance(step, Step):
                yield step
    others = {name: value for name, value in strengths.items() if name != attribute}
    note = editor.note(choice, others, inverted.refined, own)
    note += f"; {attribute} from {slider.low:+g} to {slider.high:+g} and back"
    written = []
    for kind in formats:
        yield Step(0.95, f"Writing the {kind} file")
        path = write_animation(there_and_back(frames), session.new_file("sweep", f".{kind}"), rate=_RATE, note=note)
        sign_result(path, note)
        written.append(path)
    yield Done(written)
