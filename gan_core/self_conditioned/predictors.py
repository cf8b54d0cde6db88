"""The predictor: a small network that estimates attributes and identity from a picture, used for evaluation.

It was trained on the pixels and labels of portraits (years, degrees, the lift of the mouth's corners), while the
generator was trained on latent distances. So it judges edits independently (Liu et al. 2022, section 5, use separate
classifiers for the same reason).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_core.checkpoints import store
from gan_core.checkpoints.keys import load_strict

SIZE = 112  # pixels a side that the network sees
MARGIN = 0.08  # share of the aligned crop's side that is cropped all around, which shows mostly backdrop
MEASURES = ("age", "yaw_deg", "corner_lift")  # columns of the portraits' table that it predicts
PEOPLE_MEASURES = (*MEASURES, "mouth_open", "glasses", "side_light", "gaze")  # of several collections' tables
TURNED = ("yaw_deg", "side_light", "gaze")  # measures of which a mirrored picture has the opposite
UNITS = {
    "age": "years",
    "yaw_deg": "degrees, to the image's right",
    "corner_lift": "eye distances",
    "mouth_open": "eye distances",
    "glasses": "0 without, 1 with",
    "side_light": "log ratio of the cheeks' brightness, the image's right over left",
    "gaze": "eye widths, to the image's right, beyond what the head's turn explains",
}


class Block(nn.Module):
    """Two 3x3 convolutions beside a shortcut; the first may halve the side."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.shortcut = None
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """(N, I, h, w) to (N, O, h / stride, w / stride)."""
        y = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        return F.relu(y + (x if self.shortcut is None else self.shortcut(x)))


class FacePredictor(nn.Module):
    """Attributes, and an identity embedding of unit length, of aligned faces."""

    def __init__(
        self,
        *,
        widths: Sequence[int] = (32, 64, 96, 128, 192),  # of the stem and of the stages; each halves the side
        neck: int = 64,  # channels of the last map, which the heads read
        identity: int = 128,  # length of the identity embedding
        measures: Sequence[str] = MEASURES,
    ) -> None:
        super().__init__()
        self.config: dict[str, Any] = {
            "widths": list(widths),
            "neck": neck,
            "identity": identity,
            "measures": list(measures),
        }
        self.stem = nn.Sequential(
            nn.Conv2d(3, widths[0], 3, 2, 1, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU(inplace=True)
        )
        self.stages = nn.ModuleList(Block(a, b, 2) for a, b in zip(widths, widths[1:], strict=False))
        self.neck = nn.Sequential(
            nn.Conv2d(widths[-1], neck, 1, bias=False), nn.BatchNorm2d(neck), nn.ReLU(inplace=True)
        )
        cells = (-(-SIZE // (2 << len(self.stages)))) ** 2
        self.to_identity = nn.Linear(neck * cells, identity)
        self.to_measures = nn.Sequential(nn.Dropout(0.3), nn.Linear(neck * cells, len(measures)))
        # The measures' mean and spread among the portraits: the last layer works in standard deviations.
        self.register_buffer("mean", torch.zeros(len(measures)))
        self.register_buffer("spread", torch.ones(len(measures)))

    @property
    def measures(self) -> tuple[str, ...]:
        """What `attributes` gives, in order."""
        return tuple(self.config["measures"])

    @property
    def sign(self) -> Tensor:
        """(A,), on the CPU: -1 for measures of which a mirrored picture has the opposite, 1 for the others."""
        return torch.tensor([-1.0 if name in TURNED else 1.0 for name in self.measures])

    @staticmethod
    def prepare(images: Tensor) -> Tensor:
        """The face's part of aligned crops (N, 3, R, R), (N, 3, SIZE, SIZE)."""
        margin = round(images.shape[-1] * MARGIN)
        inner = images[..., margin : images.shape[-2] - margin, margin : images.shape[-1] - margin].float()
        return F.interpolate(inner, (SIZE, SIZE), mode="bilinear", align_corners=False, antialias=True)

    def maps(self, images: Tensor) -> list[Tensor]:
        """Feature maps of every stage, finest first, for aligned crops (N, 3, R, R) in about [-1, 1]."""
        x = self.stem(self.prepare(images))
        found = [x]
        for stage in self.stages:
            x = stage(x)
            found.append(x)
        return found

    def read(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Identity (N, identity), of unit length, and measures (N, A) in standard deviations, of prepared pictures."""
        x = self.stem(x)
        for stage in self.stages:
            x = stage(x)
        flat = self.neck(x).flatten(1)
        return F.normalize(self.to_identity(flat).float(), dim=1), self.to_measures(flat).float()

    @torch.inference_mode()
    def predict(self, images: Tensor, batch: int = 32) -> tuple[Tensor, Tensor]:
        """Identity (N, identity), of unit length, and measures (N, A) in their own units; of both the mean of a picture
        and its mirror image, which has the opposite of some measures (`TURNED`).

        images: aligned crops (N, 3, R, R) in about [-1, 1].
        """
        device, sign = self.mean.device, self.sign.to(self.mean)
        identities, values = [], []
        for part in images.split(batch):
            x = self.prepare(part.to(device).clamp(-1, 1))
            identity, measured = self.read(torch.cat([x, x.flip(3)]))
            measured = measured * self.spread + self.mean
            first, second = measured.chunk(2)
            values.append((first + second * sign) / 2)
            identities.append(F.normalize(sum(identity.chunk(2)), dim=1))
        return torch.cat(identities).cpu(), torch.cat(values).cpu()


def load_predictor(path: Path) -> FacePredictor:
    """From a file written by `train_predictors`, in evaluation mode. Raises WeightsMissing or BadCheckpoint."""
    tensors, config = store.read(path)
    network = FacePredictor(**{k: v for k, v in config.items() if k in ("widths", "neck", "identity", "measures")})
    return load_strict(network, tensors, "predictor").eval().requires_grad_(False)
