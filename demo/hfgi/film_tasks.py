"""GPU tasks of HFGI's tab on moving pictures: editing a video, and a camera's frames."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from PIL import Image

from demo import gpu
from demo.gpu import Done, Progress, Step, Steps, Worker

if TYPE_CHECKING:
    import torch

    from gan_core.hfgi.live import LiveFaceEditor, LiveFrame, LiveSliders


@gpu.task(seconds=90, reads=("source",), writes=("target",))
def video(
    worker: Worker,
    model: str,
    size: int,
    source: str,
    target: str,
    strengths: Mapping[str, float],
    max_seconds: float,
    offset: torch.Tensor | None = None,
    side_by_side: bool = False,
) -> Steps[str]:
    """Edit the largest face of a video.

    source: path of the uploaded file. target: path of the MP4 to write, which is the result; it exists only once it is
    complete. size: side of the aligned crops, the model's resolution. strengths: by attribute, for every frame; offset:
    added to the codes as well. side_by_side: beside the frames as they were. Raises BadVideo, NoFaceFound, FaceTooSmall
    or Cancelled.
    """

    def run(tell: Progress, cancelled: Callable[[], bool]) -> None:
        from gan_core.faces.video import Shot, edit_video
        from gan_core.hfgi.steady import SteadyEditor

        editor = SteadyEditor(strengths, offset)

        def read(crop: Image.Image, shot: Shot) -> None:
            worker.run(model, lambda pipeline: editor.read(pipeline, shot.track, crop, shot.time))

        def draw(_crop: Image.Image, shot: Shot) -> tuple[Image.Image, Image.Image]:
            return worker.run(model, lambda pipeline: editor.edit(pipeline, shot.track, shot.time))

        edit_video(
            source, target, draw, read=read, ahead=editor.ahead, size=size, max_seconds=max_seconds,
            side_by_side=side_by_side, progress=tell, cancelled=cancelled,
        )  # fmt: skip

    yield Step(0.0, "Reading the video")
    yield from _in_steps(run)
    yield Done(target)


@gpu.task(seconds=2, often=True)
def live_frame(
    worker: Worker, model: str, editor: LiveFaceEditor, picture: Image.Image, time: float, sliders: LiveSliders
) -> Steps[tuple[LiveFaceEditor, LiveFrame]]:
    """The next frame of a camera, taken at `time` seconds, with its largest face edited; and the editor for the frame
    after it."""
    from gan_core.faces.finder import embedded_finder

    yield Done(
        (editor, worker.run(model, lambda pipeline: editor.frame(pipeline, embedded_finder(), picture, time, sliders)))
    )


def _in_steps(work: Callable[[Progress, Callable[[], bool]], None]) -> Iterator[Step]:
    """Run work(progress, cancelled) in a thread and yield its reports; closing the iterator cancels it.

    The thread goes on only while the next report is waited for: between two of them others may compute.
    """
    reports: queue.SimpleQueue[Step | BaseException | None] = queue.SimpleQueue()
    wanted, stop = threading.Semaphore(0), threading.Event()

    def tell(fraction: float, text: str) -> None:
        reports.put(Step(fraction, text))
        if not stop.is_set():
            wanted.acquire()

    def run() -> None:
        try:
            wanted.acquire()
            work(tell, stop.is_set)
            reports.put(None)
        except BaseException as error:  # raised again in the waiting thread
            reports.put(error)

    thread = threading.Thread(target=run, name="video", daemon=True)
    thread.start()
    try:
        wanted.release()
        while (report := reports.get()) is not None:
            if isinstance(report, BaseException):
                raise report
            yield report
            wanted.release()
    finally:
        stop.set()
        wanted.release()
        thread.join()
