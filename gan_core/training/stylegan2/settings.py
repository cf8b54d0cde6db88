"""Settings of StyleGAN2's training; other papers' settings extend them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class GanSettings:
    """All settings of a run; written to the log and into the checkpoints."""

    resolution: int = 256  # height of the pictures
    start_height: int = 4  # of the constant that pictures grow from; its aspect ratio is theirs: 8 and 4 for bodies
    start_width: int = 4
    z_dim: int = 256
    w_dim: int = 256
    mapping_layers: int = 4
    channel_base: int = 8192
    channel_max: int = 256
    batch: int = 32  # pictures a step and process
    lr: float = 0.0025
    decay: float = 0.3  # last share of a run over which the learning rate falls to a tenth
    gamma: float = 1.0  # weight of R1 + R2 (halved, as in the papers)
    penalty_every: int = 8  # steps between gradient penalties, which are weighted by as much
    mixing: float = 0.5  # share of pictures made of two latents
    ema_kimg: float = 20.0  # half-life of the generator's moving average, in thousands of pictures
    ema_rampup: float = 0.05  # and at most this share of the pictures seen so far
    augment_target: float = 0.85  # of the adaptive augmentation: mean sign of (real - fake score); 0: fixed
    augment_start: float = 0.25
    augment_max: float = 0.6
    augment_kimg: float = 500.0  # pictures, in thousands, over which the augmentation can go from 0 to 1
    fade_kimg: float = 30.0  # pictures over which a grown discriminator's new blocks fade in
    pixel_weight: float = 1.0  # of the discriminator that sees pixels, in the generator's loss
    projected_weight: float = 0.0  # of the one that sees ImageNet features (gan_core.training.projected); 0: none
    projected_lr: float = 0.0002
    seed: int = 0

    @property
    def start_shape(self) -> tuple[int, int]:
        """Height and width of the generator's constant."""
        return self.start_height, self.start_width

    @property
    def width(self) -> int:
        """Width of the pictures."""
        return self.resolution * self.start_width // self.start_height
