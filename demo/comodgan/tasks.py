"""What "Fill a hole" asks of the GPU queue: reading a picture with its hole once, completing it, drawing from lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from demo import gpu
from demo.gpu import Done, Progress, Step
from gan_core.images import to_pil, to_tensor
from gan_core.registry import ModelRegistry

if TYPE_CHECKING:
    from gan_core.comodgan.framing import Box, Region
    from gan_core.comodgan.pipeline import CoModGANPipeline, Prepared

PREPARE, COMPLETE, DRAW = "fill.prepare", "fill.complete", "fill.draw"


@dataclass(frozen=True)
class Drawn(Step):
    """One more result."""

    seed: int
    picture: Image.Image = field(repr=False)


def register(registry: ModelRegistry) -> None:
    """Make the tasks known to the GPU queue."""

    def prepare(
        model: str, picture: Image.Image, hole: np.ndarray, region: Region, progress: Progress | None = None
    ) -> Iterator[Step | Done]:
        """A `Prepared`, on the CPU. hole: (H, W) bool, True where the picture is to be filled."""
        import torch

        yield Step(0.05, "Reading the picture")
        image, marked = to_tensor(picture)[0], torch.from_numpy(hole.astype(np.float32))[None]

        def work(pipeline: CoModGANPipeline) -> Prepared:
            return pipeline.prepare(image, marked, region=region).to("cpu")

        yield Done(registry.run(model, work, progress))

    def complete(
        model: str, prepared: Prepared, box: Box, seeds: Sequence[int], psi: float, progress: Progress | None = None
    ) -> Iterator[Step | Done]:
        """A `Drawn` for each seed, of the picture's part inside `box`."""
        left, top, right, bottom = box
        for i, seed in enumerate(seeds):
            yield Step(i / len(seeds), f"Filling, {i + 1} of {len(seeds)}")

            def work(pipeline: CoModGANPipeline, seed: int = seed) -> Image.Image:
                (picture,) = pipeline.complete(prepared, [seed], psi=psi)
                return to_pil(picture[:, top:bottom, left:right])

            picture = registry.run(model, work, progress)
            yield Drawn((i + 1) / len(seeds), f"{i + 1} of {len(seeds)}", seed, picture)
        yield Done(None)

    def draw(
        model: str, lines: np.ndarray, seeds: Sequence[int], psi: float, progress: Progress | None = None
    ) -> Iterator[Step | Done]:
        """A `Drawn` for each seed. lines: (H, W) float32, 1 = line."""
        import torch

        drawing = torch.from_numpy(lines)[None]
        for i, seed in enumerate(seeds):
            yield Step(i / len(seeds), f"Drawing, {i + 1} of {len(seeds)}")

            def work(pipeline: CoModGANPipeline, seed: int = seed) -> Image.Image:
                (picture,) = pipeline.draw(drawing, [seed], psi=psi)
                return to_pil(picture)

            picture = registry.run(model, work, progress)
            yield Drawn((i + 1) / len(seeds), f"{i + 1} of {len(seeds)}", seed, picture)
        yield Done(None)

    def seconds(**arguments: object) -> float:
        return 5 + len(arguments["seeds"])  # type: ignore[arg-type]

    gpu.task(PREPARE, prepare, seconds=5)
    gpu.task(COMPLETE, complete, seconds=seconds)
    gpu.task(DRAW, draw, seconds=seconds)


def size_of(prepared: Prepared) -> int:
    """Bytes, about."""
    tensors = (prepared.image, prepared.hole, prepared.square, prepared.known, prepared.encoding.code)
    features = prepared.encoding.features.values()
    return sum(t.numel() * t.element_size() for t in (*tensors, *features))
