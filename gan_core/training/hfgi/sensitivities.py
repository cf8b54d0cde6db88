"""Directions from the generator's gradients instead of correlations in the data.

A regression on labels cannot separate a smile from what is correlated with it in the data (age, hair, light). Therefore
measures of the drawn picture are differentiated with respect to the codes and averaged over people; the direction is
the most likely change of the codes that changes one measure and keeps the others.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from gan_core.stylegan2 import Generator

Measure = Callable[[Tensor], dict[str, Tensor]]


def sensitivities(generator: Generator, codes: Tensor, measure: Measure, *, batch: int = 4) -> dict[str, np.ndarray]:
    """Mean derivative of each measure with respect to the codes, (num_ws, w_dim).

    codes: (N, num_ws, w_dim), whose pictures are drawn and measured; `measure` maps pictures (n, 3, R, R) in about
    [-1, 1] to values (n,) by name, differentiably.
    """
    totals: dict[str, Tensor] = {}
    for part in tqdm(codes.split(batch), desc="sensitivities"):
        part = part.clone().requires_grad_()
        values = measure(generator.synthesis(part, noise="const"))
        for name, value in values.items():
            (gradient,) = torch.autograd.grad(value.sum(), part, retain_graph=True)
            totals[name] = totals.get(name, 0) + gradient.sum(0).detach()
    return {name: (total / len(codes)).cpu().double().numpy() for name, total in totals.items()}


def solve_direction(
    gradients: dict[str, np.ndarray],  # (num_ws, w_dim) each
    target: str,
    leave: tuple[str, ...],
    codes: np.ndarray,  # (N, num_ws, w_dim) of people; their covariance determines which changes are likely
    window: np.ndarray,  # (num_ws, 1): 1 in the layers that may change
) -> np.ndarray:
    """The change of codes (num_ws, w_dim) that changes `target` by 1 and the measures in `leave` by 0 to first order,
    and is the most likely one: of least Mahalanobis length under each layer's covariance (zero outside the window)."""
    names = [target, *(name for name in leave if name in gradients)]
    likely = []
    for name in names:
        moved = np.zeros_like(gradients[name])
        for layer in np.flatnonzero(window[:, 0]):
            moved[layer] = np.cov(codes[:, layer].T) @ gradients[name][layer]
        likely.append(moved)
    flat = np.stack([(gradients[name] * window).ravel() for name in names])
    moves = np.stack([move.ravel() for move in likely])
    gram = flat @ moves.T
    scale = np.sqrt(np.diag(gram))
    gram = gram / np.outer(scale, scale) + 1e-3 * np.eye(len(names))  # regularised, for nearly parallel measures
    weights = np.linalg.solve(gram, np.eye(len(names))[0] / scale[0]) / scale
    return (weights @ moves).reshape(codes.shape[1:])
