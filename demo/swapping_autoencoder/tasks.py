"""GPU tasks of the Swapping Autoencoder's tab: encoding a picture, drawing mixtures, and making a domain vector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from PIL import Image

from demo import gpu
from demo.gpu import Done, Step, Steps, Worker
from gan_core.images import held_bytes, to_pil, to_tensor
from gan_core.memory import tensor_bytes

if TYPE_CHECKING:
    import torch

    from gan_core.swapping_autoencoder.pipeline import Codes, Mixture, SwappingAutoencoderPipeline

_Wanted: TypeAlias = "tuple[Codes, Sequence[Codes], Mixture]"


@dataclass(frozen=True)
class EncodedPicture:
    """The codes of a picture. The tensors are on the CPU."""

    codes: Codes
    colours: Image.Image
    """The structure code as colours, at the code's size."""

    @property
    def size(self) -> int:
        """Bytes, about."""
        codes = tensor_bytes((self.codes.structure, self.codes.texture, self.codes.picture))
        return codes + held_bytes(self.colours)


@gpu.task(seconds=10)
def encode(worker: Worker, model: str, picture: Image.Image) -> Steps[EncodedPicture]:
    """The codes of a picture."""
    yield Step(0.3, "Reading the picture")
    image = to_tensor(picture)

    def work(pipeline: SwappingAutoencoderPipeline) -> EncodedPicture:
        codes = pipeline.encode(image)
        return EncodedPicture(codes.to("cpu"), to_pil(pipeline.structure_picture(codes)))

    yield Done(worker.run(model, work))


@gpu.task(seconds=lambda model, first, others, mixtures: 5 + len(mixtures), together=True)
def draw(
    worker: Worker,
    model: str,
    first: Codes,
    others: Sequence[Codes],
    mixtures: Sequence[Mixture],
) -> Steps[list[Image.Image]]:
    """One picture for each mixture."""
    pictures = []
    for i, mixture in enumerate(mixtures):
        yield Step((i + 0.5) / len(mixtures), f"Drawing {i + 1} of {len(mixtures)}")
        pictures.append(worker.run_together(model, _drawn, (first, others, mixture)))
    yield Done(pictures)


def _drawn(pipeline: SwappingAutoencoderPipeline, several: Sequence[_Wanted]) -> list[Image.Image]:
    """The mixtures that several visitors want."""
    return [to_pil(picture) for picture in pipeline.draw_together(several)]


@gpu.task(seconds=5)
def vector(worker: Worker, model: str, having: Sequence[Codes], lacking: Sequence[Codes]) -> Steps[torch.Tensor]:
    """The mean difference of two sets, a texture vector (texture_dim,) on the CPU."""
    yield Step(0.9, "Taking the difference")

    def work(pipeline: SwappingAutoencoderPipeline) -> torch.Tensor:
        return pipeline.difference(having, lacking).cpu()

    yield Done(worker.run(model, work))
