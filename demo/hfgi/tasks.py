"""GPU tasks of HFGI's tab: inverting an aligned face, refining that, drawing it for slider values, editing a video."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image

from demo import gpu
from demo.gpu import Done, Progress, Step, Steps, Worker
from gan_core.images import to_pil, to_pils, to_tensor

if TYPE_CHECKING:
    import torch

    from gan_core.hfgi.editing import FaceEdit
    from gan_core.hfgi.pipeline import HFGIPipeline, Inversion


@dataclass(frozen=True)
class InvertedFace:
    """An inverted face. The inversion's tensors are on the CPU."""

    inversion: Inversion
    plain: Image.Image
    """The inversion by the basic encoder, without consultation."""
    consulted: Image.Image
    """The reconstruction with the consultation."""

    @property
    def size(self) -> int:
        """Bytes, about."""
        return self.inversion.size + 6 * self.plain.width * self.plain.height

    @property
    def refined(self) -> int:
        """Steps of refinement that it had."""
        return self.inversion.refined


@dataclass(frozen=True)
class RefinementPreview(Step):
    """A step with the face as it is inverted so far."""

    face: InvertedFace


@dataclass(frozen=True)
class EditedFace:
    """The aligned face after an edit."""

    consulted: Image.Image
    plain: Image.Image | None
    """The same edit without the consultation, if requested."""


@gpu.task(seconds=20)
def invert(worker: Worker, model: str, crop: Image.Image) -> Steps[InvertedFace]:
    """The inversion of an aligned face of the model's resolution."""
    yield Step(0.3, "Reading the face")
    face = to_tensor(crop)

    yield Done(worker.run(model, lambda pipeline: _inverted(pipeline, pipeline.invert(face))))


@gpu.task(seconds=10)
def encode(worker: Worker, model: str, crop: Image.Image) -> Steps[torch.Tensor]:
    """The codes (1, num_ws, w_dim) of an aligned face, on the CPU."""
    yield Step(0.3, "Reading the face")
    face = to_tensor(crop)
    yield Done(worker.run(model, lambda pipeline: pipeline.codes_of(face).cpu()))


@gpu.task(seconds=10)
def random_faces(worker: Worker, model: str, seeds: Sequence[int]) -> Steps[list[tuple[torch.Tensor, Image.Image]]]:
    """Codes (1, num_ws, w_dim), on the CPU, and pictures of random faces."""
    found = []
    for i, seed in enumerate(seeds):
        yield Step(i / len(seeds), "Drawing faces")

        def work(pipeline: HFGIPipeline, seed: int = seed) -> tuple[torch.Tensor, Image.Image]:
            codes = pipeline.random_codes(seed)
            return codes.cpu(), to_pil(pipeline.decode(codes).clamp(-1, 1))

        found.append(worker.run(model, work))
    yield Done(found)


@gpu.task(seconds=15)
def refine(worker: Worker, model: str, inversion: Inversion) -> Steps[InvertedFace]:
    """An inversion brought closer to its photo, `RefinementPreview`s on the way. An inversion that any of these gave
    can be used, when the task is stopped."""
    yield Step(0.0, "Refining")

    def begin(pipeline: HFGIPipeline) -> Iterator[Step]:
        for report in pipeline.refine(inversion):
            fraction, text = report.step / report.steps, f"Refining: step {report.step} of {report.steps}"
            if report.inversion is None:
                yield Step(fraction, text)
            elif report.step:
                yield RefinementPreview(fraction, text, _inverted(pipeline, report.inversion))

    last: RefinementPreview | None = None
    with closing(worker.iterate(model, begin)) as steps:
        for step in steps:
            last = step if isinstance(step, RefinementPreview) else last
            yield step
    assert last is not None  # the last step is always drawn
    yield Done(last.face)


def _inverted(pipeline: HFGIPipeline, inversion: Inversion) -> InvertedFace:
    consulted = pipeline.edit(inversion, {})
    return InvertedFace(inversion.to("cpu"), to_pil(inversion.image), to_pil(consulted))


@gpu.task(seconds=10, together=True)
def edit(
    worker: Worker,
    model: str,
    inversion: Inversion,
    strengths: Mapping[str, float],
    with_plain: bool = False,
    offset: torch.Tensor | None = None,
) -> Steps[EditedFace]:
    """An inverted face, edited. strengths: by attribute. offset: added to its codes."""
    from gan_core.hfgi.editing import FaceEdit

    yield Step(0.6, "Drawing the edit")
    wanted = [FaceEdit(inversion, strengths, consult, offset) for consult in ((True, False) if with_plain else (True,))]
    consulted, *plain = worker.run_together(model, _edited, wanted, pictures=len(wanted))
    yield Done(EditedFace(consulted, plain[0] if plain else None))


def _edited(pipeline: HFGIPipeline, several: Sequence[Sequence[FaceEdit]]) -> list[list[Image.Image]]:
    """Pictures of what several visitors want, for each as many as they want."""
    import torch

    drawn = iter(to_pils(torch.cat(pipeline.edit_together([edit for edits in several for edit in edits]))))
    return [[next(drawn) for _ in edits] for edits in several]


@gpu.task(seconds=30)
def warm_batches(worker: Worker, model: str, inversion: Inversion, strengths: Mapping[str, float]) -> Steps[None]:
    """Draw an edit in batches of all sizes, so that no visitor waits while a GPU's kernels and recordings for them are
    made. Does nothing where nothing is computed together."""
    from gan_core.graphs import ROWS
    from gan_core.hfgi.editing import FaceEdit

    for rows in ROWS if worker.collector else ():
        yield Step(rows / (ROWS[-1] + 1), "Preparing")

        def work(pipeline: HFGIPipeline, rows: int = rows) -> None:
            if rows <= pipeline.pictures_at_once:
                pipeline.edit_together([FaceEdit(inversion, strengths)] * rows)

        worker.run(model, work)
    yield Done(None)


@gpu.task(seconds=90, reads=("source",), writes=("target",))
def video(
    worker: Worker,
    model: str,
    size: int,
    source: str,
    target: str,
    strengths: Mapping[str, float],
    max_seconds: float,
) -> Steps[str]:
    """Edit the largest face of a video.

    source: path of the uploaded file. target: path of the MP4 to write, which is the result; it exists only once it is
    complete. size: side of the aligned crops, the model's resolution. strengths: by attribute, for every frame.
    Raises BadVideo, NoFaceFound, FaceTooSmall or Cancelled.
    """

    def draw(crop: Image.Image, _frame: int) -> tuple[Image.Image, Image.Image]:
        from gan_core.faces.reference import reference_for

        face = to_tensor(crop)

        def work(pipeline: HFGIPipeline) -> tuple[Image.Image, Image.Image]:
            inversion = pipeline.invert(face)
            edited, unchanged = (to_pil(pipeline.edit(inversion, values)) for values in (strengths, {}))
            return edited, reference_for(crop, unchanged, edited)

        return worker.run(model, work)

    def run(tell: Progress, cancelled: Callable[[], bool]) -> None:
        from gan_core.faces.video import edit_video

        edit_video(source, target, draw, size=size, max_seconds=max_seconds, progress=tell, cancelled=cancelled)

    yield Step(0.0, "Reading the video")
    yield from _in_steps(run)
    yield Done(target)


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
