"""GPU tasks of the Self-Conditioned GAN's tab: drawing and inverting a face, edits, strips and grids."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from PIL import Image

from demo import gpu
from demo.gpu import Done, Step, Steps, Worker
from gan_core.images import held_bytes, to_pil, to_pils, to_tensor

if TYPE_CHECKING:
    import torch

    from gan_core.self_conditioned.pipeline import Code, InversionReport, SelfConditionedPipeline

_Wanted: TypeAlias = "tuple[Code, Mapping[str, float], torch.Tensor | None]"  # what `edit` takes
Measures = Mapping[str, float]  # by attribute, in the predictor's units


@dataclass(frozen=True)
class EncodedFace:
    """The latents of a face and what the model estimates of it."""

    code: Code = field(repr=False)
    """Its tensors are on the CPU."""
    values: Mapping[str, float]
    """The model's estimate of the attributes, in [0, 1]."""
    picture: Image.Image = field(repr=False)
    """Drawn by this method at these values."""
    measures: Measures = field(default_factory=dict)
    identity: torch.Tensor | None = field(default=None, repr=False)
    """The identity embeddings before any edit, by this method and by the plain direction: (2, D), of
    unit length."""

    @property
    def size(self) -> int:
        """Bytes, about."""
        return self.code.size + held_bytes(self.picture)


@dataclass(frozen=True)
class InversionPreview(Step):
    """A step of inverting a picture, with the face so far."""

    face: EncodedFace
    step: int
    steps: int
    error: float
    """Mean squared error against the picture, both in [-1, 1]."""


@dataclass(frozen=True)
class EditResult:
    """An edited picture and the predictor's measures of it."""

    picture: Image.Image = field(repr=False)
    measures: Measures = field(default_factory=dict)
    similarity: float | None = None
    """Cosine of the identities before and after."""


@gpu.task(seconds=5)
def random_face(worker: Worker, model: str, seed: int, psi: float) -> Steps[EncodedFace]:
    """A random `EncodedFace`."""
    yield Step(0.3, "Drawing the face")

    def work(pipeline: SelfConditionedPipeline) -> EncodedFace:
        code = pipeline.random_face(seed, psi)
        images = _both(pipeline.edit(code, {}), pipeline.edit_plain(code, {}))
        return _encoded_face(pipeline, code, images[:1], *_look(pipeline, images))

    yield Done(worker.run(model, work))


@gpu.task(seconds=10)
def encode(worker: Worker, model: str, crop: Image.Image) -> Steps[torch.Tensor]:
    """The encoder's latents (1, num_ws, w_dim) of an aligned picture, on the CPU."""
    yield Step(0.3, "Reading the face")
    picture = to_tensor(crop)
    yield Done(worker.run(model, lambda pipeline: pipeline.encoded(picture)))


@gpu.task(seconds=10)
def random_codes(worker: Worker, model: str, seeds: Sequence[int]) -> Steps[list[tuple[torch.Tensor, Image.Image]]]:
    """Latents (1, num_ws, w_dim), on the CPU, and pictures of random faces."""
    found = []
    for i, seed in enumerate(seeds):
        yield Step(i / len(seeds), "Drawing faces")

        def work(pipeline: SelfConditionedPipeline, seed: int = seed) -> tuple[torch.Tensor, Image.Image]:
            code = pipeline.random_face(seed)
            return code.w_plus, to_pil(pipeline.edit(code, {}))

        found.append(worker.run(model, work))
    yield Done(found)


@gpu.task(seconds=20)
def invert(worker: Worker, model: str, crop: Image.Image) -> Steps[EncodedFace]:
    """Previews, and at last the `EncodedFace` of an aligned picture."""
    yield Step(0.0, "Reading the face")
    picture = to_tensor(crop)
    yield from _reading(worker, model, lambda pipeline: pipeline.invert(picture), picture, "Reading the face")


@gpu.task(seconds=lambda model, code, crop, steps: 15 + steps)
def refine(worker: Worker, model: str, code: Code, crop: Image.Image, steps: int) -> Steps[EncodedFace]:
    """Previews, and at last the `EncodedFace` with generators tuned to the picture."""
    yield Step(0.0, "Refining")
    picture = to_tensor(crop)

    def begin(pipeline: SelfConditionedPipeline) -> Iterator[InversionReport]:
        return pipeline.refine(code, picture, steps=steps)

    yield from _reading(worker, model, begin, picture, "Refining")


@gpu.task(seconds=5, together=True)
def edit(
    worker: Worker,
    model: str,
    code: Code,
    values: Mapping[str, float],
    identity: torch.Tensor | None = None,
) -> Steps[tuple[EditResult, EditResult]]:
    """`EditResult` by this method, and by the plain direction."""
    yield Step(0.6, "Drawing the edit")
    yield Done(worker.run_together(model, _edited, (code, values, identity), pictures=2))


def _edited(pipeline: SelfConditionedPipeline, several: Sequence[_Wanted]) -> list[tuple[EditResult, EditResult]]:
    """Both edits of what several visitors want."""
    import torch

    pairs = pipeline.edit_together([(code, values) for code, values, _ in several])
    images = torch.cat([image for pair in pairs for image in pair])
    now, measures = _look(pipeline, images)
    pictures, results = to_pils(images), []
    for i, (_, _, identity) in enumerate(several):
        mine = slice(2 * i, 2 * i + 2)
        similarities = [None, None] if identity is None or now is None else (identity * now[mine]).sum(1).tolist()
        own, plain = map(EditResult, pictures[mine], measures[mine], similarities)
        results.append((own, plain))
    return results


@gpu.task(seconds=10)
def strip(
    worker: Worker,
    model: str,
    code: Code,
    attribute: str,
    count: int,
    values: Mapping[str, float],
    plain: bool,
) -> Steps[list[Image.Image]]:
    """Pictures over the range of an attribute."""
    yield Step(0.1, "Drawing the strip")

    def work(pipeline: SelfConditionedPipeline) -> list[Image.Image]:
        return [to_pil(one) for one in pipeline.filmstrip(code, attribute, count, values=values, plain=plain)]

    yield Done(worker.run(model, work))


@gpu.task(seconds=lambda model, code, down, across, count, values, plain: 5 + count**2 // 2)
def grid(
    worker: Worker,
    model: str,
    code: Code,
    down: str,
    across: str,
    count: int,
    values: Mapping[str, float],
    plain: bool,
) -> Steps[list[list[Image.Image]]]:
    """Rows of pictures: `down` rises from row to row, `across` within each row. It can be stopped between rows."""
    rows = []
    for i in range(count):
        yield Step(i / count, f"Drawing row {i + 1} of {count}")
        wanted = {**values, down: i / (count - 1)}

        def work(pipeline: SelfConditionedPipeline, wanted: Mapping[str, float] = wanted) -> list[Image.Image]:
            return [to_pil(one) for one in pipeline.filmstrip(code, across, count, values=wanted, plain=plain)]

        rows.append(worker.run(model, work))
    yield Done(rows)


def _reading(
    worker: Worker,
    model: str,
    begin: Callable[[SelfConditionedPipeline], Iterator[InversionReport]],
    picture: torch.Tensor,
    what: str,
) -> Steps[EncodedFace]:
    """Previews while a picture (1, 3, R, R) is inverted; both edits of it are later compared with the picture
    itself."""

    def previews(pipeline: SelfConditionedPipeline) -> Iterator[InversionPreview]:
        identity, measures = _look(pipeline, picture)
        identity = None if identity is None else identity.expand(2, -1)
        for report in begin(pipeline):
            face = _encoded_face(pipeline, report.code, report.image, identity, measures)
            text = f"{what}: step {report.step} of {report.steps}"
            fraction = report.step / max(1, report.steps)
            yield InversionPreview(fraction, text, face, report.step, report.steps, report.error)

    last: InversionPreview | None = None
    with closing(worker.iterate(model, previews)) as steps:
        for last in steps:
            yield last
    assert last is not None  # there is always a first report
    yield Done(last.face)


def _encoded_face(
    pipeline: SelfConditionedPipeline,
    code: Code,
    image: torch.Tensor,
    identity: torch.Tensor | None,
    measures: Sequence[Measures],
) -> EncodedFace:
    return EncodedFace(code, pipeline.current_values(code), to_pil(image), measures[0], identity)


def _look(pipeline: SelfConditionedPipeline, images: torch.Tensor) -> tuple[torch.Tensor | None, list[Measures]]:
    """Identities (N, D), and measures by attribute, of pictures (N, 3, R, R) in [-1, 1]."""
    if pipeline.predictor is None:
        return None, [{}] * len(images)
    identity, measured = pipeline.predictor.predict(images)
    found = [dict(zip(pipeline.predictor.measures, row, strict=True)) for row in measured.tolist()]
    return identity, [{a.name: row[a.measure] for a in pipeline.attributes if a.measure in row} for row in found]


def _both(own: torch.Tensor, plain: torch.Tensor) -> torch.Tensor:
    import torch

    return torch.cat([own, plain])
