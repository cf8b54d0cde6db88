"""The one StyleGAN2 that all five papers run on."""

from gan_core.stylegan2.discriminator import Discriminator
from gan_core.stylegan2.generator import Generator
from gan_core.stylegan2.layers import EqualConv2d, EqualLinear
from gan_core.stylegan2.mapping import MappingNetwork
from gan_core.stylegan2.synthesis import SynthesisNetwork

__all__ = ["Discriminator", "EqualConv2d", "EqualLinear", "Generator", "MappingNetwork", "SynthesisNetwork"]
