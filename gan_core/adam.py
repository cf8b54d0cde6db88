"""Adam (Kingma & Ba 2015) as a function of tensors, so that a step with it can be recorded as a CUDA graph."""

from __future__ import annotations

import torch
from torch import Tensor

_BETA1, _BETA2, _EPSILON = 0.9, 0.99, 1e-8


def adam(gradient: Tensor, first: Tensor, second: Tensor, count: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Adam's step for a rate of 1, and its two moments, all of one shape; `count` is 1 at the first step."""
    first = torch.lerp(gradient, first, _BETA1)
    second = torch.lerp(gradient.square(), second, _BETA2)
    change = first / (1 - _BETA1**count) / ((second / (1 - _BETA2**count)).sqrt() + _EPSILON)
    return change, first, second
