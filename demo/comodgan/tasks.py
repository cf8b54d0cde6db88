"""GPU tasks of "Fill a hole": encoding a picture with its hole, completing it, and drawing from lines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from PIL import Image

from demo import gpu
from demo.gpu import Done, Step, Steps, Worker
from gan_core.images import to_pil, to_tensor

if TYPE_CHECKING:
    from gan_core.comodgan.framing import Box, SquareCrop
    from gan_core.comodgan.pipeline import CoModGANPipeline, Prepared

_Wanted: TypeAlias = "tuple[Prepared, Sequence[int], float, Box]"


@dataclass(frozen=True)
class Completion(Step):
    """One more result."""

    seed: int
    picture: Image.Image = field(repr=False)


@gpu.task(seconds=5)
def prepare(worker: Worker, model: str, picture: Image.Image, hole: np.ndarray, region: SquareCrop) -> Steps[Prepared]:
    """A `Prepared`, on the CPU. hole: (H, W) bool, True where the picture is to be filled."""
    import torch

    yield Step(0.05, "Reading the picture")
    image, marked = to_tensor(picture)[0], torch.from_numpy(hole.astype(np.float32))[None]

    def work(pipeline: CoModGANPipeline) -> Prepared:
        return pipeline.prepare(image, marked, region=region).to("cpu")

    yield Done(worker.run(model, work))


@gpu.task(seconds=lambda model, prepared, box, seeds, psi: 5 + len(seeds), together=True)
def complete(worker: Worker, model: str, prepared: Prepared, box: Box, seeds: Sequence[int], psi: float) -> Steps[None]:
    """A `Completion` for each seed, of the picture's part inside `box`."""

    def work(some: Sequence[int]) -> list[Image.Image]:
        return worker.run_together(model, _completed, (prepared, some, psi, box), pictures=len(some))

    yield from _in_batches(worker, model, seeds, "Filling", work)


def _completed(pipeline: CoModGANPipeline, several: Sequence[_Wanted]) -> list[list[Image.Image]]:
    """Completions of what several visitors want, one for each of their seeds."""
    found = pipeline.complete_together([(prepared, seeds, psi) for prepared, seeds, psi, _ in several])
    return [
        [to_pil(picture[:, top:bottom, left:right]) for picture in pictures]
        for pictures, (*_, (left, top, right, bottom)) in zip(found, several, strict=True)
    ]


@gpu.task(seconds=lambda model, lines, seeds, psi: 5 + len(seeds))
def draw(worker: Worker, model: str, lines: np.ndarray, seeds: Sequence[int], psi: float) -> Steps[None]:
    """A `Completion` for each seed. lines: (H, W) float32, 1 = line."""
    import torch

    drawing = torch.from_numpy(lines)[None]

    def work(some: Sequence[int]) -> list[Image.Image]:
        return worker.run(model, lambda pipeline: [to_pil(one) for one in pipeline.draw(drawing, some, psi=psi)])

    yield from _in_batches(worker, model, seeds, "Drawing", work)


def _in_batches(
    worker: Worker,
    model: str,
    seeds: Sequence[int],
    verb: str,
    work: Callable[[Sequence[int]], list[Image.Image]],
) -> Steps[None]:
    """A `Completion` for each seed, in batches of as many seeds as the model decodes at once on its device."""
    first = together = 0
    while first < len(seeds):
        yield Step(first / len(seeds), f"{verb}, {first + 1} of {len(seeds)}")
        together = together or worker.run(model, lambda pipeline: pipeline.together)
        for picture in work(seeds[first : first + together]):
            yield Completion((first + 1) / len(seeds), f"{first + 1} of {len(seeds)}", seeds[first], picture)
            first += 1
    yield Done(None)
