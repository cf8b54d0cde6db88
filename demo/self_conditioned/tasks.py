"""What the Self-Conditioned GAN's tab asks of the GPU queue: a face once, then any values, strips and grids."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from PIL import Image

from demo import gpu
from demo.gpu import Done, Progress, Step
from gan_core.images import to_pil, to_tensor
from gan_core.registry import ModelRegistry

if TYPE_CHECKING:
    import torch

    from gan_core.self_conditioned.pipeline import Code, Progressed, SelfConditionedPipeline

SEED, INVERT, REFINE = "edge.seed", "edge.invert", "edge.refine"
EDIT, STRIP, GRID = "edge.edit", "edge.strip", "edge.grid"
Measures = Mapping[str, float]  # by attribute, in the predictor's units


@dataclass(frozen=True)
class Face:
    """A face as the model knows it."""

    code: Code = field(repr=False)
    """Its tensors are on the CPU."""
    values: Mapping[str, float]
    """What the model thinks the attributes are, in [0, 1]."""
    picture: Image.Image = field(repr=False)
    """How this method draws it at these values."""
    measures: Measures = field(default_factory=dict)
    who: torch.Tensor | None = field(default=None, repr=False)
    """Who it is before any edit by this method and by the plain direction, as the identity network says: (2, D), of
    unit length."""

    @property
    def size(self) -> int:
        """Bytes, about."""
        return self.code.size + 3 * self.picture.width * self.picture.height


@dataclass(frozen=True)
class Preview(Step):
    """A step of reading a picture, with the face as far as it is."""

    face: Face
    step: int
    steps: int
    error: float
    """Mean squared error against the picture, both in [-1, 1]."""


@dataclass(frozen=True)
class Drawn:
    """A picture, and what the predictor reads off it."""

    picture: Image.Image = field(repr=False)
    measures: Measures = field(default_factory=dict)
    likeness: float | None = None
    """Cosine of the identities before and after."""


def register(registry: ModelRegistry) -> None:
    """Make the tasks known to the GPU queue."""

    def seed(model: str, seed: int, psi: float, progress: Progress | None = None) -> Iterator[Step | Done]:
        """A random `Face`."""
        yield Step(0.3, "Drawing the face")

        def work(pipeline: SelfConditionedPipeline) -> Face:
            code = pipeline.random_face(seed, psi)
            images = _both(pipeline.edit(code, {}), pipeline.edit_plain(code, {}))
            return _face(pipeline, code, images[:1], *_look(pipeline, images))

        yield Done(registry.run(model, work, progress))

    def invert(model: str, crop: Image.Image, progress: Progress | None = None) -> Iterator[Step | Done]:
        """Previews, and at last the `Face` of an aligned picture."""
        yield Step(0.0, "Reading the face")
        picture = to_tensor(crop)
        with registry.use(model, progress) as pipeline, closing(pipeline.invert(picture)) as reports:
            yield from _reading(pipeline, reports, picture, "Reading the face")

    def refine(
        model: str, code: Code, crop: Image.Image, steps: int, progress: Progress | None = None
    ) -> Iterator[Step | Done]:
        """Previews, and at last the `Face` whose generators were tuned to the picture."""
        yield Step(0.0, "Refining")
        picture = to_tensor(crop)
        with registry.use(model, progress) as pipeline, closing(pipeline.refine(code, picture, steps=steps)) as reports:
            yield from _reading(pipeline, reports, picture, "Refining")

    def edit(
        model: str,
        code: Code,
        values: Mapping[str, float],
        who: torch.Tensor | None = None,
        progress: Progress | None = None,
    ) -> Iterator[Step | Done]:
        """`Drawn` by this method, and by the plain direction."""
        yield Step(0.6, "Drawing the edit")

        def work(pipeline: SelfConditionedPipeline) -> list[Drawn]:
            images = _both(pipeline.edit(code, values), pipeline.edit_plain(code, values))
            now, measures = _look(pipeline, images)
            alike = [None, None] if who is None or now is None else (who * now).sum(1).tolist()
            return [Drawn(to_pil(image), *rest) for image, *rest in zip(images, measures, alike, strict=True)]

        yield Done(registry.run(model, work, progress))

    def strip(
        model: str,
        code: Code,
        attribute: str,
        count: int,
        values: Mapping[str, float],
        plain: bool,
        progress: Progress | None = None,
    ) -> Iterator[Step | Done]:
        """Pictures over the range of an attribute."""
        yield Step(0.1, "Drawing the strip")

        def work(pipeline: SelfConditionedPipeline) -> list[Image.Image]:
            return [to_pil(one) for one in pipeline.filmstrip(code, attribute, count, values=values, plain=plain)]

        yield Done(registry.run(model, work, progress))

    def grid(
        model: str,
        code: Code,
        down: str,
        across: str,
        count: int,
        values: Mapping[str, float],
        plain: bool,
        progress: Progress | None = None,
    ) -> Iterator[Step | Done]:
        """Rows of pictures: `down` rises from row to row, `across` within them; between rows it can be stopped."""
        rows = []
        for i in range(count):
            yield Step(i / count, f"Drawing row {i + 1} of {count}")
            wanted = {**values, down: i / (count - 1)}

            def work(pipeline: SelfConditionedPipeline, wanted: Mapping[str, float] = wanted) -> list[Image.Image]:
                return [to_pil(one) for one in pipeline.filmstrip(code, across, count, values=wanted, plain=plain)]

            rows.append(registry.run(model, work, progress))
        yield Done(rows)

    gpu.task(SEED, seed, seconds=5)
    gpu.task(INVERT, invert, seconds=20)
    gpu.task(REFINE, refine, seconds=lambda **arguments: 15 + arguments["steps"])
    gpu.task(EDIT, edit, seconds=5)
    gpu.task(STRIP, strip, seconds=10)
    gpu.task(GRID, grid, seconds=lambda **arguments: 5 + arguments["count"] ** 2 // 2)


def _reading(
    pipeline: SelfConditionedPipeline, reports: Iterator[Progressed], picture: torch.Tensor, what: str
) -> Iterator[Step | Done]:
    """Previews of a picture (1, 3, R, R) being read; both edits of it are compared with the picture itself."""
    who, measures = _look(pipeline, picture)
    who = None if who is None else who.expand(2, -1)
    face = None
    for report in reports:
        face = _face(pipeline, report.code, report.image, who, measures)
        text = f"{what}: step {report.step} of {report.steps}"
        yield Preview(report.step / max(1, report.steps), text, face, report.step, report.steps, report.error)
    yield Done(face)


def _face(
    pipeline: SelfConditionedPipeline,
    code: Code,
    image: torch.Tensor,
    who: torch.Tensor | None,
    measures: Sequence[Measures],
) -> Face:
    return Face(code, pipeline.current_values(code), to_pil(image), measures[0], who)


def _look(pipeline: SelfConditionedPipeline, images: torch.Tensor) -> tuple[torch.Tensor | None, list[Measures]]:
    """Identities (N, D), and measures by attribute, of pictures (N, 3, R, R) in [-1, 1]."""
    if pipeline.predictor is None:
        return None, [{}] * len(images)
    who, measured = pipeline.predictor.predict(images)
    found = [dict(zip(pipeline.predictor.measures, row, strict=True)) for row in measured.tolist()]
    return who, [{a.name: row[a.measure] for a in pipeline.attributes if a.measure in row} for row in found]


def _both(own: torch.Tensor, plain: torch.Tensor) -> torch.Tensor:
    import torch

    return torch.cat([own, plain])
