"""Settings of the Self-Conditioned GAN's training."""

from __future__ import annotations

from dataclasses import dataclass

from gan_core.training.stylegan2.settings import GanSettings


@dataclass
class SelfConditionedSettings(GanSettings):
    """All settings of a run."""

    lr: float = 0.0015
    decay: float = 0.4
    attribute_weight: float = 0.5  # of the attribute head's divergence, for both networks
    attribute_kimg: float = 8.0  # pictures, in thousands, over which the generator's weight of it rises to that
    warm_kimg: float = 2.0  # pictures, in thousands, over which the learning rate rises
    ema_kimg: float = 8.0
    ema_rampup: float = 1.0  # the average starts from pretrained weights, so it may be long from the start
    inverted: float = 0.25  # share of the generated pictures whose latents are a training picture's
    unweighted: float = 0.0  # share of pictures drawn without reweighting (at most half)
    identity_weight: float = 1.0  # of the change of identity; needs an identity network
    single: float = 0.0  # share of those pairs that differ in one attribute only
    anchor_weight: float = 0.0  # of the difference from the pretrained picture, at own values (with `unweighted` only)
    mixing: float = 0.3
    augment_start: float = 0.2
    augment_max: float = 0.5
