"""Inversion of a real face: a few steps of latent optimisation, and pivotal tuning (Roich et al. 2021).

The encoder was trained for the generator from which this one was trained further, so its latents are a good start. The
attribute values of the encoder's latents stay fixed during the optimisation, so that the latents do not take over what
the attributes' learned constants do.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from gan_core.self_conditioned.labels import weights_for_values
from gan_core.self_conditioned.networks import SelfConditionedGenerator
from gan_core.self_conditioned.predictors import FacePredictor
from gan_core.stylegan2 import Generator

LATENT_STEPS, TUNING_STEPS = 15, 60
_EVERY = 5  # steps between reports; on a CPU, where each takes long, one
_RATE = 0.015  # of Adam on the latents
_TUNING_RATE = 0.002  # of Adam on the weights
_STAY = 0.02  # weight of the latents' mean squared distance from the encoder's, near which edits work best
_COARSE, _FEATURES = 1.0, 0.5  # weights of the loss's other terms; the L1 of the pixels has weight 1


@dataclass(frozen=True)
class InvertedLatent:
    """Latents after some steps of optimisation."""

    step: int
    w_plus: Tensor  # (1, num_ws, w_dim)


@dataclass(frozen=True)
class Tuned:
    """Weights of the synthesis network's blocks after some steps, by their names in the generator; float16, CPU."""

    step: int
    tuned: dict[str, Tensor]


def find_latent(
    generator: SelfConditionedGenerator,
    start: Tensor,  # (1, num_ws, w_dim), the encoder's
    values: Tensor,  # (A,) of the attributes
    picture: Tensor,  # (1, 3, R, R) in [-1, 1]
    predictor: FacePredictor | None,
    steps: int,
) -> Iterator[InvertedLatent]:
    """Optimise the latents for a number of steps so that the generator reconstructs the picture; yields on the way."""
    loss_of = _Reconstruction(picture, predictor)
    every = 1 if picture.device.type == "cpu" else _EVERY
    start = start.clone()  # may be an inference tensor
    added = torch.zeros_like(start).requires_grad_()
    adam = torch.optim.Adam([added], lr=_RATE, betas=(0.9, 0.95))
    first = generator.start(weights_for_values(values[None]).to(picture.device)).clone()
    for i in range(steps):
        adam.param_groups[0]["lr"] = _RATE * math.cos(0.45 * math.pi * i / steps)
        with torch.enable_grad():
            image = generator.synthesis(start + added, noise="const", start=first)
            (gradient,) = torch.autograd.grad(loss_of(image) + _STAY * added.square().mean(), [added])
        added.grad = gradient
        adam.step()
        if (i + 1) % every == 0 or i + 1 == steps:
            yield InvertedLatent(i + 1, (start + added).detach())


def tune_weights(
    generator: Generator,
    w_plus: Tensor,  # (1, num_ws, w_dim), the pivot
    picture: Tensor,  # (1, 3, R, R) in [-1, 1]
    predictor: FacePredictor | None,
    steps: int,
    start: Tensor | None = None,  # (1, C, h, w) for a self-conditioned generator
) -> Iterator[Tuned]:
    """Pivotal tuning: optimise a copy of the synthesis network so that it draws the picture at the pivot."""
    loss_of = _Reconstruction(picture, predictor)
    every = 1 if picture.device.type == "cpu" else _EVERY
    network, w_plus = copy.deepcopy(generator.synthesis), w_plus.clone()
    start = None if start is None else start.clone()
    moving = {name: p for name, p in network.named_parameters() if name.startswith("blocks.") and "noise" not in name}
    for parameter in moving.values():
        parameter.requires_grad_(True)
    adam = torch.optim.Adam(moving.values(), lr=_TUNING_RATE, betas=(0.9, 0.99))
    for i in range(steps):
        adam.param_groups[0]["lr"] = _TUNING_RATE * math.cos(0.45 * math.pi * i / steps)
        adam.zero_grad(set_to_none=True)
        with torch.enable_grad():
            loss_of(network(w_plus, noise="const", start=start)).backward()
        adam.step()
        if (i + 1) % every == 0 or i + 1 == steps:
            yield Tuned(i + 1, {f"synthesis.{name}": p.detach().half().cpu() for name, p in moving.items()})


class _Reconstruction:
    """The reconstruction loss against a given picture: pixels, pixels at an eighth, and the predictor's features."""

    def __init__(self, picture: Tensor, predictor: FacePredictor | None) -> None:
        self.picture, self.predictor = picture, predictor
        with torch.no_grad():
            self.small = F.avg_pool2d(picture, 8)
            self.maps = self._maps(picture)

    def _maps(self, image: Tensor) -> list[Tensor]:
        if self.predictor is None:
            return []
        return [F.normalize(x, dim=1, eps=1e-6) for x in self.predictor.maps(image)[1:4]]

    def __call__(self, image: Tensor) -> Tensor:
        loss = (image - self.picture).abs().mean() + _COARSE * (F.avg_pool2d(image, 8) - self.small).abs().mean()
        for a, b in zip(self._maps(image), self.maps, strict=True):
            loss = loss + _FEATURES * (a - b).square().sum(1).mean()
        return loss
