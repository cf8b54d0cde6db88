"""Settings of the Swapping Autoencoder's training, and the networks that are trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

from gan_core.swapping_autoencoder.discriminators import ImageDiscriminator, PatchDiscriminator
from gan_core.swapping_autoencoder.networks import Encoder, SwappingGenerator

NAMES = ("encoder", "generator", "discriminator", "patch_discriminator")

# The embedded networks: 7.6 million parameters in encoder and generator together. Widths are from full resolution
# inwards (encoder, crops) and outwards from the structure code (generator).
SMALL: dict[str, Any] = {
    "encoder": {"widths": (24, 48, 96, 192, 256), "texture_widths": (384, 512)},
    "generator": {"head_widths": (128, 256), "widths": (256, 160, 80, 40)},
    "discriminator": {"channel_base": 8192, "channel_max": 256},
    "patch_discriminator": {"widths": (32, 64, 128, 192, 256), "wide": 384, "features": 192, "hidden": (512, 512)},
    "structure_dim": 8,
    "texture_dim": 256,
}


@dataclass
class SwappingAutoencoderSettings:
    """All settings of a run; written to the log and into the weights' files."""

    resolution: int = 256
    batch: int = 16  # pictures a step and process at full resolution; twice and four times that below it
    lr: float = 0.002
    l1: float = 1.0
    gan: float = 1.0  # on swaps; half of it on reconstructions
    patch: float = 1.0
    crops: int = 8  # of each picture
    feature: float = 0.0  # distance of a reconstruction in features; needs --imagenet, or --features (one resolution)
    colour: float = 0.0  # distance of a swap's colours from its texture picture's
    views: float = 0.0  # share of pictures whose codes are read from changed views
    r1: float = 10.0  # image discriminator's penalty at 256 px; less at fewer pixels, in proportion
    patch_r1: float = 1.0
    penalty_every: int = 16  # steps between gradient penalties, which are weighted by as much
    noise: str = "random"  # the generator's, or "none"
    ema_kimg: float = 4.0  # half-life of the averages, in thousands of pictures
    ema_rampup: float = 0.05  # and at most this share of the pictures seen so far
    augment_target: float = 0.6  # target of the adaptive augmentation: mean sign of the real scores; 0: fixed strength
    augment_start: float = 0.2
    augment_max: float = 0.5
    augment_kimg: float = 200.0  # pictures, in thousands, over which the augmentation can go from 0 to 1
    fade_kimg: float = 6.0  # pictures over which new blocks fade in
    anneal: float = 0.2  # last share of the run over which the learning rate falls to a twentieth
    seed: int = 0


def build_networks(settings: SwappingAutoencoderSettings, dropped: int = 0) -> dict[str, nn.Module]:
    """The four networks for the resolution of `settings` halved `dropped` times; the structure code keeps its size."""
    codes = {name: SMALL[name] for name in ("structure_dim", "texture_dim")}
    encoder, generator, patch = (dict(SMALL[n]) for n in ("encoder", "generator", "patch_discriminator"))
    for part in (encoder, patch):
        part["widths"] = part["widths"][dropped:]
    generator["widths"] = generator["widths"][: len(generator["widths"]) - dropped]
    return {
        "encoder": Encoder(**encoder, **codes),
        "generator": SwappingGenerator(**generator, **codes),
        "discriminator": ImageDiscriminator(settings.resolution >> dropped, **SMALL["discriminator"]),
        "patch_discriminator": PatchDiscriminator(**patch),
    }
