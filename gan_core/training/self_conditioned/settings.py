"""What shapes a run of the Self-Conditioned GAN's training."""

from __future__ import annotations

from dataclasses import dataclass

from gan_core.training.stylegan2.settings import GanSettings


@dataclass
class SelfConditionedSettings(GanSettings):
    """Everything that shapes a run."""

    lr: float = 0.0015
    decay: float = 0.4
    attribute_weight: float = 0.5  # of the attribute head's divergence, for both networks
    attribute_kimg: float = 8.0  # pictures, in thousands, over which the generator's weight of it rises to that
    warm_kimg: float = 2.0  # pictures, in thousands, over which the learning rate rises
    ema_kimg: float = 8.0
    ema_rampup: float = 1.0  # the average starts from pretrained weights, so it may be long from the start
    inverted: float = 0.25  # share of the generated pictures whose latents are a training picture's
    unweighted: float = 0.0  # share of pictures drawn as the data is, at most half; of generated ones with own values
    identity_weight: float = 1.0  # of the change of the person between two values of one latent; needs a network for it
    single: float = 0.0  # share of those pairs of which the second has one value that is not the latent's own
    anchor_weight: float = 0.0  # of the difference from the pretrained picture, at own values (with `unweighted` only)
    mixing: float = 0.3
    augment_start: float = 0.2
    augment_max: float = 0.5
