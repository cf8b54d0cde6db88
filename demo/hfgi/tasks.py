"""GPU tasks of HFGI's tab on a photo: inverting an aligned face, refining that, drawing it for slider values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image

from demo import gpu
from demo.gpu import Done, Step, Steps, Worker
from gan_core.images import held_bytes, to_pil, to_pils, to_tensor

if TYPE_CHECKING:
    import torch

    from gan_core.hfgi.editing import FaceEdit
    from gan_core.hfgi.pipeline import HFGIPipeline, Inversion


@dataclass(frozen=True)
class InvertedFace:
    """An inverted face. The inversion is packed."""

    inversion: Inversion
    plain: Image.Image
    """The inversion by the basic encoder, without consultation."""
    consulted: Image.Image
    """The reconstruction with the consultation."""

    @property
    def size(self) -> int:
        """Bytes, about."""
        return self.inversion.size + held_bytes(self.plain, self.consulted)

    @property
    def refined(self) -> int:
        """Steps of refinement that it had."""
        return self.inversion.refined


@dataclass(frozen=True)
class RefinementPreview(Step):
    """A step with the face as it is inverted so far."""

    face: InvertedFace


@dataclass(frozen=True)
class SweepStep(Step):
    """A step with one more picture of a sweep."""

    picture: Image.Image


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
    return InvertedFace(inversion.packed(), to_pil(inversion.image), to_pil(consulted))


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
def warm_batches(worker: Worker, model: str, inversion: Inversion, attributes: Sequence[str]) -> Steps[None]:
    """Draw an edit by each of these attributes in batches of all sizes, so that no visitor waits while a GPU's kernels,
    plans and recordings for them are made. Does nothing where nothing is computed together."""
    from gan_core.graphs import ROWS
    from gan_core.hfgi.editing import FaceEdit

    for rows in ROWS if worker.collector else ():
        yield Step(rows / (ROWS[-1] + 1), "Preparing")

        def work(pipeline: HFGIPipeline, rows: int = rows) -> None:
            if rows <= pipeline.pictures_at_once:
                for name in attributes:
                    pipeline.edit_together(
                        [FaceEdit(inversion, {name: min(1.0, pipeline.attributes[name].high)})] * rows
                    )

        worker.run(model, work)
    yield Done(None)


@gpu.task(seconds=30)
def sweep(
    worker: Worker,
    model: str,
    inversion: Inversion,
    strengths: Sequence[Mapping[str, float]],
    offset: torch.Tensor | None = None,
) -> Steps[int]:
    """An inverted face, edited by each of the strengths, a `SweepStep` for each; their number."""
    for number, one in enumerate(strengths):

        def work(pipeline: HFGIPipeline, one: Mapping[str, float] = one) -> Image.Image:
            more = {} if offset is None else {"offset": offset}
            return to_pil(pipeline.edit(inversion.to(pipeline.device), one, **more))

        picture = worker.run(model, work)
        yield SweepStep((number + 1) / (len(strengths) + 1), f"Picture {number + 1} of {len(strengths)}", picture)
    yield Done(len(strengths))
