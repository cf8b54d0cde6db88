"""Exponential moving averages of networks (Karras et al. 2018), which are less noisy than the trained ones."""

from __future__ import annotations

from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


def decay_of(images: float, half_life: float) -> float:
    """Share of the average kept by a step that saw `images` pictures, for a half-life in pictures."""
    return 0.5 ** (images / half_life)


def update_average(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Move the parameters of `average` towards the network's: average x decay + network x (1 - decay)."""
    update = get_ema_multi_avg_fn(decay)
    update(list(average.parameters()), list(network.parameters()), 0)


def half_life_of(images_seen: float, kimg: float, ramp_up: float) -> float:
    """Half-life in pictures: `kimg` thousand, and at most a share `ramp_up` of the pictures seen so far."""
    return min(kimg * 1000, max(images_seen * ramp_up, 1))
