"""Settings of CoModGAN's training, the weights that it starts from, and held-out pictures for the log."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from gan_core.training.stylegan2.settings import GanSettings

TASKS = ("hole", "drawing")
State = dict[str, Tensor]


@dataclass
class CoModGANSettings(GanSettings):
    """All settings of a run."""

    lr: float = 0.002
    gamma: float = 3.0
    global_dim: int = 128
    task: str = "hole"
    plain: bool = (
        False  # the baseline: one answer a condition, no latent, no modulation by the condition, L1 everywhere
    )
    pairs: int = 2  # completions of each condition
    full: float = 0.05  # share of holes that are the whole picture
    objects: float = 0.0  # share of holes shaped like things and people (objects.py) instead of free-form ones
    known_weight: float = 10.0  # L1 on known pixels
    small_hole: float = 0.3  # hole ratio below which hidden pixels count too
    colour_weight: float = 20.0  # L1 of colours of blocks of 16 pixels in the hole, near known pixels
    spread_weight: float = 10.0  # of the hinge on two completions' difference
    spread: float = 0.06  # mean difference, share of the range, required in large holes at a quarter of the resolution
    follow_weight: float = 10.0  # L1 between a drawing's lines and those of the picture made of it
    jitter: float = 0.05  # contrast and brightness of training pictures
    augment_target: float = 0.75
    augment_start: float = 0.2
    augment_max: float = 0.5


@dataclass
class Starts:
    """Weights to start from: an earlier run's networks, or an unconditional generator and its discriminator.

    A discriminator of pictures, with three channels, is one to start from in both cases.
    """

    generator: State | None = None
    discriminator: State | None = None
    average: State | None = None
    projected: State | None = None
    unconditional: bool = False


@dataclass
class HeldOut:
    """Pictures of people or places that are not trained on; the averaged network is measured on them for the log."""

    pictures: Tensor  # uint8 (N, 3, R, R)
    conditions: Tensor  # uint8 (N, 1, R, R): holes, 1 = hole, or drawings, 255 = line
    half: Tensor  # uint8 (N, 1, R, R): half of each picture, or the drawings again
