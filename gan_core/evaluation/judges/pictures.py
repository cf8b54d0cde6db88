"""The pictures to judge: every person's photo, inversion, and edits to both ends of every slider."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from tqdm import tqdm

from gan_core.evaluation.judges.judge import to_bytes
from gan_core.hfgi.pipeline import HFGIPipeline


@dataclass(frozen=True)
class Edits:
    """One slider's pictures, uint8 (N, 3, R, R)."""

    label: str
    ends: tuple[float, float]  # the strengths, lowest and highest
    low: Tensor
    high: Tensor


@dataclass(frozen=True)
class Drawn:
    """An editor's pictures of N people, uint8 (N, 3, R, R), as a visitor gets them."""

    photos: Tensor
    plain: Tensor  # the inversion without consultation
    consulted: Tensor
    edits: dict[str, Edits]  # by the slider's name


def draw(pipeline: HFGIPipeline, faces: Tensor) -> Drawn:
    """Pictures of aligned faces (N, 3, R, R) in [-1, 1], one slider at a time."""
    plain, consulted = [], []
    ends: dict[str, tuple[list[Tensor], list[Tensor]]] = {name: ([], []) for name in pipeline.attributes}
    for face in tqdm(faces.to(pipeline.device).split(1), mininterval=5):
        inversion = pipeline.invert(face)
        plain.append(to_bytes(inversion.image))
        consulted.append(to_bytes(inversion.restored))
        for name, slider in pipeline.attributes.items():
            for pictures, strength in zip(ends[name], (slider.low, slider.high), strict=True):
                pictures.append(to_bytes(pipeline.edit(inversion, {name: strength})))
    edits = {
        name: Edits(slider.label, (slider.low, slider.high), *(torch.cat(pictures) for pictures in ends[name]))
        for name, slider in pipeline.attributes.items()
    }
    return Drawn(to_bytes(faces), torch.cat(plain), torch.cat(consulted), edits)
