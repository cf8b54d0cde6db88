"""The project's encoder for papers that need latents of a face: pictures to W+ of the embedded face generator.

It is the basic encoder of the face editor (e4e's, as in HFGI); the papers' packages know it as a function only.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from gan_core.errors import BadCheckpoint

Encode = Callable[[Tensor], Tensor]  # pictures (N, 3, R, R) in [-1, 1] to latents (N, num_ws, w_dim)


def encode_with(editor: object) -> Encode:
    """The encoder of a face editor (`gan_core.hfgi.pipeline.HFGIPipeline`) that may be moved between devices."""
    from gan_core.hfgi.networks import WORKING_SIZE, resize

    def encode(images: Tensor) -> Tensor:
        return editor.encode(resize(images.to(editor.device), WORKING_SIZE)) + editor.latent_avg

    return encode


def load_encoder(folder: Path | str, *, device: str | torch.device = "cpu") -> Encode:
    """The encoder that ships with the project, in `folder` (weights/), alone and in float32.

    Raises WeightsMissing or BadCheckpoint.
    """
    from gan_core.checkpoints.embedded import build_from_file
    from gan_core.hfgi.networks import WORKING_SIZE, Encoder4Editing, resize

    path = Path(folder) / "portraits_hfgi" / "encoder.safetensors"
    encoder, extra = build_from_file(Encoder4Editing, path, "encoder")
    if "latent_avg" not in extra:
        raise BadCheckpoint("The encoder's file lacks latent_avg; fetch it again.")
    encoder = encoder.eval().requires_grad_(False).to(device, memory_format=torch.channels_last)
    average = extra["latent_avg"].to(device)
    return lambda images: encoder(resize(images.to(device), WORKING_SIZE)) + average
