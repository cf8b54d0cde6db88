"""An editor's numbers, from its pictures and the judges' verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

import torch
from torch import Tensor

from gan_core.evaluation.judges.judge import IdentityJudge, MeasureJudge, similarity
from gan_core.evaluation.judges.pictures import Drawn, Edits
from gan_core.evaluation.metrics.psnr import psnr


@dataclass(frozen=True)
class Move:
    """How far a slider moves a measure from its lowest to its highest strength, over people."""

    mean: float
    spread: float  # standard deviation among people; 0 for one person
    people: int  # in whose pictures a face was found at both ends


@dataclass(frozen=True)
class SliderScores:
    """One slider."""

    label: str
    ends: tuple[float, float]
    moves: dict[str, Move]  # by measure, see `judge.UNITS`
    identity: dict[str, float] = field(default_factory=dict)  # "low", "high": similarity to the photo; mean over people


@dataclass(frozen=True)
class EditorScores:
    """One editor."""

    people: int
    inversion: dict[str, float]  # "psnr_plain", "psnr_consulted" (dB), "identity_plain", ..., "identity_strangers"
    sliders: dict[str, SliderScores]

    def as_json(self) -> dict[str, object]:
        """Of plain types."""
        return asdict(self)


def score(drawn: Drawn, identity: IdentityJudge | None, judges: Sequence[MeasureJudge]) -> EditorScores:
    """Everything that these judges can say. "identity_strangers" is the mean similarity of photos of different people,
    the floor against which the others are read."""
    photos = _floats(drawn.photos)
    inversion = {
        "psnr_plain": psnr(_floats(drawn.plain), photos).mean().item(),
        "psnr_consulted": psnr(_floats(drawn.consulted), photos).mean().item(),
    }
    described = None
    if identity is not None:
        described = identity.describe(drawn.photos)
        for name, pictures in (("plain", drawn.plain), ("consulted", drawn.consulted)):
            inversion[f"identity_{name}"] = similarity(described, identity.describe(pictures)).mean().item()
        people = len(described)
        if people > 1:
            pairs = similarity(described[:, None], described[None])
            inversion["identity_strangers"] = pairs[~torch.eye(people, dtype=torch.bool)].mean().item()
    sliders = {}
    for name, edits in drawn.edits.items():
        same: dict[str, float] = {}
        if identity is not None and described is not None:
            for end, pictures in (("low", edits.low), ("high", edits.high)):
                same[end] = similarity(described, identity.describe(pictures)).mean().item()
        sliders[name] = SliderScores(edits.label, edits.ends, _moves(edits, judges), same)
    return EditorScores(len(photos), inversion, sliders)


def _moves(edits: Edits, judges: Sequence[MeasureJudge]) -> dict[str, Move]:
    moves = {}
    for judge in judges:
        low, high = judge.measure(edits.low), judge.measure(edits.high)
        for measure in judge.measures:
            moved = (high[measure] - low[measure]).double()
            moved = moved[moved.isfinite()]
            if len(moved):
                moves[measure] = Move(moved.mean().item(), moved.std(correction=0).item(), len(moved))
    return moves


def _floats(pictures: Tensor) -> Tensor:
    """Pictures in [-1, 1]."""
    return pictures.float() / 127.5 - 1
