"""GPU tasks of "Fill a hole": encoding a picture with its hole, completing it, and drawing from lines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from demo import gpu
from demo.gpu import Done, Step, Steps, Worker
from gan_core.images import to_pil, to_tensor

if TYPE_CHECKING:
    from gan_core.comodgan.framing import Box, SquareCrop
    from gan_core.comodgan.pipeline import CoModGANPipeline, Prepared


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


@gpu.task(seconds=lambda model, prepared, box, seeds, psi: 5 + len(seeds))
def complete(worker: Worker, model: str, prepared: Prepared, box: Box, seeds: Sequence[int], psi: float) -> Steps[None]:
    """A `Completion` for each seed, of the picture's part inside `box`."""
    left, top, right, bottom = box

    def work(pipeline: CoModGANPipeline, some: Sequence[int]) -> list[Image.Image]:
        pictures = pipeline.complete(prepared, some, psi=psi)
        return [to_pil(picture[:, top:bottom, left:right]) for picture in pictures]

    yield from _in_batches(worker, model, seeds, "Filling", work)


@gpu.task(seconds=lambda model, lines, seeds, psi: 5 + len(seeds))
def draw(worker: Worker, model: str, lines: np.ndarray, seeds: Sequence[int], psi: float) -> Steps[None]:
    """A `Completion` for each seed. lines: (H, W) float32, 1 = line."""
    import torch

    drawing = torch.from_numpy(lines)[None]

    def work(pipeline: CoModGANPipeline, some: Sequence[int]) -> list[Image.Image]:
        return [to_pil(picture) for picture in pipeline.draw(drawing, some, psi=psi)]

    yield from _in_batches(worker, model, seeds, "Drawing", work)


def _in_batches(
    worker: Worker,
    model: str,
    seeds: Sequence[int],
    verb: str,
    work: Callable[[CoModGANPipeline, Sequence[int]], list[Image.Image]],
) -> Steps[None]:
    """A `Completion` for each seed, in batches of as many seeds as the model decodes at once on its device."""
    first = 0
    while first < len(seeds):
        yield Step(first / len(seeds), f"{verb}, {first + 1} of {len(seeds)}")

        def batch(pipeline: CoModGANPipeline, first: int = first) -> list[Image.Image]:
            return work(pipeline, seeds[first : first + pipeline.together])

        for picture in worker.run(model, batch):
            yield Completion((first + 1) / len(seeds), f"{first + 1} of {len(seeds)}", seeds[first], picture)
            first += 1
    yield Done(None)
