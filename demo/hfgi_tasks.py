"""What HFGI's tab asks of the GPU queue: inverting a cut-out face once, and drawing it for slider values."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from PIL import Image

from demo import gpu
from demo.gpu import Done, Progress, Step
from gan_core.images import to_pil, to_tensor
from gan_core.registry import ModelRegistry

if TYPE_CHECKING:
    from gan_core.hfgi.pipeline import HFGIPipeline, Inversion

INVERT, EDIT = "hfgi.invert", "hfgi.edit"


@dataclass(frozen=True)
class InvertedFace:
    """A face as the generator sees it. The inversion's tensors are on the CPU."""

    inversion: Inversion
    plain: Image.Image
    """The basic encoder's inversion alone."""
    consulted: Image.Image
    """The reconstruction with the consultation."""

    @property
    def size(self) -> int:
        """Bytes, about."""
        tensors = vars(self.inversion).values()
        return sum(t.numel() * t.element_size() for t in tensors) + 6 * self.plain.width * self.plain.height


@dataclass(frozen=True)
class EditedFace:
    """The cut-out face after an edit."""

    consulted: Image.Image
    plain: Image.Image | None
    """The same edit without the consultation, where it was asked for."""


def register(registry: ModelRegistry) -> None:
    """Make both tasks known to the GPU queue."""

    def invert(model: str, crop: Image.Image, progress: Progress | None = None) -> Iterator[Step | Done]:
        yield Step(0.3, "Reading the face")
        face = to_tensor(crop)

        def work(pipeline: HFGIPipeline) -> InvertedFace:
            inversion = pipeline.invert(face)
            consulted = pipeline.edit(inversion, {})
            return InvertedFace(_on(inversion, "cpu"), to_pil(inversion.image), to_pil(consulted))

        yield Done(registry.run(model, work, progress))

    def edit(
        model: str,
        inversion: Inversion,
        strengths: Mapping[str, float],
        with_plain: bool = False,
        progress: Progress | None = None,
    ) -> Iterator[Step | Done]:
        yield Step(0.6, "Drawing the edit")

        def work(pipeline: HFGIPipeline) -> EditedFace:
            here = _on(inversion, pipeline.device)
            plain = to_pil(pipeline.edit(here, strengths, consult=False)) if with_plain else None
            return EditedFace(to_pil(pipeline.edit(here, strengths)), plain)

        yield Done(registry.run(model, work, progress))

    gpu.task(INVERT, invert, seconds=20)
    gpu.task(EDIT, edit, seconds=10)


def _on(inversion: Inversion, device: Any) -> Inversion:
    moved = {name: tensor.to(device) for name, tensor in vars(inversion).items()}
    return dataclasses.replace(inversion, **moved)
