"""Age and gender: the network of the npm package @vladmandic/face-api (see `age_network.py`).

The package gives it the box of 68 landmarks and a fifth more. In aligned pictures that box hardly moves (its sides lie
within 7 pixels of 256), so a fixed one is cut out, which needs no landmarks and which an opened mouth does not change.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from gan_core.errors import WeightsMissing
from gan_core.evaluation.judges.age_network import GET, SIDE, load_network

LEFT, TOP, SHARE = 0.164, 0.324, 0.672  # the crop's corner and side, shares of the picture's


class AgeJudge:
    """Age in years, and the probability of a man."""

    name = "age and gender network of @vladmandic/face-api 1.7.15"
    measures: tuple[str, ...] = ("age", "male")

    def __init__(self, folder: Path | None) -> None:
        """folder: `model` of the package, into which the converted file is written. Raises WeightsMissing or
        BadCheckpoint."""
        if folder is None:
            raise WeightsMissing(f"Age and gender are not judged: {GET}.")
        self.network = load_network(folder)

    @torch.inference_mode()
    def measure(self, images: Tensor) -> dict[str, Tensor]:
        """As `MeasureJudge.measure`."""
        left, top, side = (round(share * images.shape[-1]) for share in (LEFT, TOP, SHARE))
        ages, men = [], []
        for part in images[:, :, top : top + side, left : left + side].split(32):
            crops = F.interpolate(part.float(), size=(SIDE, SIDE), mode="bilinear", antialias=True)
            years, logits = self.network(crops)
            ages.append(years)
            men.append(logits.softmax(1)[:, 0])
        return {"age": torch.cat(ages), "male": torch.cat(men)}
