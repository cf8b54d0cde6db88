"""Photos of bodies to latents of the canvas generator: where their optimisation (project.py) starts.

An encoder of e4e's form, trained like the faces' by `gan_core.training.hfgi.train --stage encoder` with the generator
of bodies. The paper has none (section 4 optimises from the mean latent), which takes more steps.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from gan_core.checkpoints.embedded import build_from_file
from gan_core.e4e.networks import Encoder4Editing, resize
from gan_core.errors import BadCheckpoint


class CanvasEncoder(nn.Module):
    """The encoder and the latents that its codes are relative to."""

    latent_avg: Tensor

    def __init__(self, encoder: Encoder4Editing, latent_avg: Tensor, shape: tuple[int, int]) -> None:
        super().__init__()
        self.encoder, self.shape = encoder, shape
        self.register_buffer("latent_avg", latent_avg)

    @torch.no_grad()
    def forward(self, pictures: Tensor) -> Tensor:
        """Codes (N, num_ws, w_dim) of pictures (N, 3, H, W) in [-1, 1], of the canvas's proportions."""
        working = resize(pictures.float(), self.shape).contiguous(memory_format=torch.channels_last)
        return self.encoder(working) + self.latent_avg


def load_canvas_encoder(path: Path, shape: tuple[int, int]) -> CanvasEncoder:
    """A weights file of this project; shape: height and width that the encoder sees, `working_shape`'s.

    Raises WeightsMissing or BadCheckpoint.
    """
    encoder, extra = build_from_file(Encoder4Editing, path, "encoder of bodies")
    if "latent_avg" not in extra:
        raise BadCheckpoint("The file of the encoder of bodies lacks latent_avg; fetch it again.")
    return CanvasEncoder(encoder.to(memory_format=torch.channels_last), extra["latent_avg"], shape).eval()
