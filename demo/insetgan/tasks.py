"""GPU tasks of InsetGAN's tab: drawing seeds, inverting real pictures, and composing step by step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from PIL import Image

from demo import gpu
from demo.gpu import Done, Step, Steps, Worker
from gan_core.errors import OutOfMemory
from gan_core.images import held_bytes, to_pil, to_tensor

if TYPE_CHECKING:
    import torch

    from gan_core.e4e.encoding import HasEncoder
    from gan_core.insetgan.latents import Composite, Report
    from gan_core.insetgan.pipeline import CompositionRequest, InsetGANPipeline
    from gan_core.insetgan.project import Projection
    from gan_core.insetgan.sources import LatentSource


@dataclass(frozen=True)
class FoundLatent:
    """A picture drawn by a generator, and its codes."""

    image: Image.Image
    codes: torch.Tensor
    """(1, num_ws, w_dim), on the CPU."""
    restored: bool = False
    """Whether the picture has more of a photo than its codes."""
    remark: str = ""
    """A sentence for a person about how it was found, or ""."""

    @property
    def size(self) -> int:
        """Bytes, about."""
        return 4 * self.codes.numel() + held_bytes(self.image)


@dataclass(frozen=True)
class Composed:
    """State of a composition after a step."""

    step: int
    steps: int
    image: Image.Image = field(repr=False)
    """The best composite so far."""
    pasted: Image.Image = field(repr=False)
    """The plain paste, before any optimisation."""
    body: Image.Image = field(repr=False)
    """The canvas generator's own picture."""
    faces: tuple[Image.Image, ...] = field(repr=False)
    losses: tuple[dict[str, float], ...] = field(repr=False)
    """Values by name, for each step so far."""
    boxes: tuple[tuple[tuple[float, float], ...], ...]
    """Corners of each inset's box on the canvas."""
    notes: tuple[str, ...]
    distance: str
    """Name of the perceptual distance that is used."""
    large: Image.Image | None = field(default=None, repr=False)
    """The composite enlarged, with the faces as sharp as they are, where the model makes one."""
    tone: float = 0.0
    """Mean change of the faces' colours towards the body's light, in levels of 255."""
    remarks: tuple[str, ...] = ()
    """Sentences for a person about the photos."""

    @property
    def size(self) -> int:
        """Bytes of its pictures, about."""
        large = () if self.large is None else (self.large,)
        return held_bytes(self.image, self.pasted, self.body, *self.faces, *large)

    @property
    def done(self) -> bool:
        """Whether all steps are done."""
        return self.step >= self.steps


@dataclass(frozen=True)
class CompositionPreview(Step):
    """A step with something to show."""

    composed: Composed


@gpu.task(seconds=lambda model, kind, sources: 5 + len(sources) // 2)
def draw(worker: Worker, model: str, kind: str, sources: Sequence[LatentSource]) -> Steps[list[FoundLatent]]:
    """A `FoundLatent` for each source."""
    pictures = []
    for i, source in enumerate(sources):
        yield Step((i + 0.5) / len(sources), f"Drawing {i + 1} of {len(sources)}")

        def work(pipeline: InsetGANPipeline, source: LatentSource = source) -> FoundLatent:
            drawn = pipeline.draw(kind, source)
            return FoundLatent(to_pil(drawn.image), drawn.codes)

        pictures.append(worker.run(model, work))
    yield Done(pictures)


@gpu.task(seconds=20)
def read(worker: Worker, encoder: str, crop: Image.Image) -> Steps[FoundLatent]:
    """A real face, inverted by the encoder of another model. encoder: that model's registry name.

    An editor that restores what its codes lose of a photo gives the restored picture.
    """
    yield Step(0.3, "Reading the face")
    face = to_tensor(crop)

    def work(editor: HasEncoder) -> FoundLatent:
        import torch

        from gan_core.e4e.encoding import Restores, encode_with

        with torch.inference_mode():
            codes = encode_with(editor)(face)
            if isinstance(editor, Restores):
                return FoundLatent(to_pil(editor.restore(face, codes)), codes.cpu(), restored=True)
            return FoundLatent(to_pil(editor.decode(codes)), codes.cpu())

    yield Done(worker.run(encoder, work))


@gpu.task(seconds=40)
def find(
    worker: Worker,
    model: str,
    kind: str,
    picture: Image.Image,
    known: Image.Image | None = None,
    steps: int = 120,
) -> Steps[FoundLatent]:
    """A real picture, inverted by optimisation. known: mode L, 0 where a body's picture does not count."""
    yield Step(0.0, f"Finding the {kind} in the generator")

    def begin(pipeline: InsetGANPipeline) -> Iterator[Projection]:
        target = to_tensor(picture)
        if kind != "body":
            return pipeline.project_face(target, steps=steps)
        counts = None if known is None else (to_tensor(known.convert("RGB"))[:, :1] > 0).float()
        return pipeline.project_body(target, steps=steps, known=counts)

    last: Projection | None = None
    with closing(worker.iterate(model, begin)) as reports:
        for last in reports:
            yield Step(last.step / last.steps, f"Finding the {kind}: step {last.step} of {last.steps}")
    assert last is not None  # there is always a first report
    yield Done(FoundLatent(to_pil(last.image), last.codes))


@gpu.task(seconds=lambda model, request: 15 + request.schedule.steps // 5)
def compose(worker: Worker, model: str, request: CompositionRequest) -> Steps[Composed]:
    """Previews, and at last a `Composed`. If memory runs out, it starts once more after other models were evicted."""
    yield Step(0.0, "Pasting")
    for last_try in (False, True):
        try:
            yield from _composing(worker, model, request)
            return
        except OutOfMemory:
            if last_try:
                raise
        yield Step(0.0, "Memory ran out; other models are unloaded and it starts again")


def _composing(worker: Worker, model: str, request: CompositionRequest) -> Steps[Composed]:
    def begin(pipeline: InsetGANPipeline) -> Iterator[Step]:
        drawn: Composite | None = None
        for report in pipeline.compose(request):
            text = f"Step {report.step} of {report.steps}" if report.step else "Pasted; now both are optimised"
            fraction = report.step / report.steps
            if report.best is drawn:
                yield Step(fraction, text)
            else:
                yield CompositionPreview(fraction, text, _composed(report, pipeline.distance))
            drawn = report.best

    last: CompositionPreview | None = None
    with closing(worker.iterate(model, begin)) as steps:
        for step in steps:
            last = step if isinstance(step, CompositionPreview) else last
            yield step
    assert last is not None  # the paste is always reported, and the last step
    yield Done(last.composed)


def _composed(report: Report, distance: str) -> Composed:
    from gan_core.insetgan.objective import TERMS

    best: Composite = report.best
    rows: Any = report.losses.tolist()
    return Composed(
        step=report.step,
        steps=report.steps,
        image=to_pil(best.image),
        pasted=to_pil(report.pasted.hard),
        body=to_pil(best.canvas),
        faces=tuple(to_pil(face) for face in best.insets),
        losses=tuple(dict(zip(TERMS, row, strict=True)) for row in rows),
        boxes=tuple(tuple(place.corners()) for place in best.placements),
        notes=report.notes,
        distance=distance,
        large=None if best.large is None else to_pil(best.large),
        tone=127.5 * best.tone,
    )
