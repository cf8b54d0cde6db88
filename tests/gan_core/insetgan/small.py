"""Small random networks, for tests that need no weights."""

import torch

from gan_core.insetgan.pipeline import InsetGANPipeline
from gan_core.insetgan.regions import Region, at_box
from gan_core.perceptual import DiscriminatorDistance
from gan_core.stylegan2 import Discriminator, Generator

CENTRE = (0.25, 0.25, 0.75, 0.75)
WHOLE = Region("whole", "whole", (0.0, 0.0, 1.0, 1.0))


def generator(resolution=64, start_shape=(4, 4), w_dim=16) -> Generator:
    net = Generator(
        resolution,
        z_dim=w_dim,
        w_dim=w_dim,
        mapping_layers=2,
        channel_base=512,
        channel_max=16,
        start_shape=start_shape,
    )
    net.mapping.estimate_average(256)
    return net.eval().requires_grad_(False)


def discriminator() -> Discriminator:
    return Discriminator(64, channel_base=512, channel_max=16)


def features() -> DiscriminatorDistance:
    return DiscriminatorDistance(discriminator())


def pipeline(**options) -> InsetGANPipeline:
    return InsetGANPipeline(generator(), generator(), features(), finder=find_centre, **options)


def codes(net: Generator, seed: int = 0) -> torch.Tensor:
    z = torch.randn(1, net.mapping.z_dim, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        return net.broadcast(net.mapping(z)).clone()


find_centre = at_box(CENTRE)
