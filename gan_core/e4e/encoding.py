"""e4e's encoder, for papers that need the latents of a face: pictures to W+ of the face generator.

The embedded encoders are the basic ones of the face editor (HFGI): the first generation's, for the generator
portraits_face, and that of people_face. A loaded model is shared (`encode_with`); papers' packages are given it as a
function.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from gan_core.checkpoints.embedded import build_from_file
from gan_core.e4e.networks import WORKING_SIZE, Encoder4Editing, resize
from gan_core.errors import BadCheckpoint
from gan_core.stylegan2 import Generator

Encode = Callable[[Tensor], Tensor]  # pictures (N, 3, R, R) in [-1, 1] to latents (N, num_ws, w_dim)


class HasEncoder(Protocol):
    """A loaded model with an encoder of faces, which may be moved between devices."""

    device: torch.device
    latent_avg: Tensor
    """(num_ws, w_dim), what the encoder's codes are relative to."""

    def encode(self, images: Tensor) -> Tensor:
        """Codes (N, num_ws, w_dim), relative to the mean latent, of pictures (N, 3, 256, 256) in [-1, 1]."""

    def decode(self, codes: Tensor) -> Tensor:
        """Pictures (N, 3, R, R), not clamped, of latents (N, num_ws, w_dim)."""


@runtime_checkable
class Restores(Protocol):
    """An editor that brings back what codes lose of a photo."""

    def restore(self, face: Tensor, codes: Tensor) -> Tensor:
        """The inversion (1, 3, R, R) in [-1, 1] of an aligned face (1, 3, R, R) by these codes, with its details."""


def encode_with(editor: HasEncoder) -> Encode:
    """The encoder of a loaded model as a function; it runs on the model's current device."""

    def encode(images: Tensor) -> Tensor:
        return editor.encode(resize(images.to(editor.device), WORKING_SIZE)) + editor.latent_avg

    return encode


class FaceEncoder:
    """A basic encoder and the generator whose latents it finds, in float32; what `HasEncoder` asks for."""

    def __init__(self, encoder: Encoder4Editing, generator: Generator, latent_avg: Tensor) -> None:
        self.encoder = encoder.eval().requires_grad_(False).to(memory_format=torch.channels_last)
        self.generator, self.latent_avg = generator, latent_avg
        self.device = latent_avg.device

    def encode(self, images: Tensor) -> Tensor:
        """See `HasEncoder`."""
        return self.encoder(images)

    def decode(self, codes: Tensor) -> Tensor:
        """See `HasEncoder`; with the generator's stored noise."""
        return self.generator.synthesis(codes, noise="const")


def load_face_encoder(folder: Path | str, generator: Generator, name: str = "portraits_hfgi") -> FaceEncoder:
    """An encoder that ships with the project, in `folder` (weights/), on the CPU.

    name: portraits_hfgi for the generator portraits_face, people_hfgi for people_face. Raises WeightsMissing or
    BadCheckpoint.
    """
    encoder, average = read_encoder(Path(folder), name)
    return FaceEncoder(encoder, generator, average)


def load_encoder(folder: Path | str, name: str = "portraits_hfgi", *, device: str | torch.device = "cpu") -> Encode:
    """An encoder that ships with the project, in `folder` (weights/), alone and in float32; `name` as above.

    Raises WeightsMissing or BadCheckpoint.
    """
    encoder, average = read_encoder(Path(folder), name)
    encoder.to(device, memory_format=torch.channels_last)
    average = average.to(device)
    return lambda images: encoder(resize(images.to(device), WORKING_SIZE)) + average


def read_encoder(folder: Path, name: str = "portraits_hfgi") -> tuple[Encoder4Editing, Tensor]:
    """An embedded encoder in evaluation mode, and the latents (num_ws, w_dim) that its codes are relative to.

    Raises WeightsMissing or BadCheckpoint.
    """
    encoder, extra = build_from_file(Encoder4Editing, folder / name / "encoder.safetensors", "encoder")
    if "latent_avg" not in extra:
        raise BadCheckpoint("The encoder's file lacks latent_avg; fetch it again.")
    return encoder.eval().requires_grad_(False), extra["latent_avg"]
