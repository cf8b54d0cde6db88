"""Continues a training at twice or four times the resolution, after Karras et al. 2018, section 2.

The structure code keeps its size. Encoder and discriminators get new blocks before their first one, the generator after
its last. New blocks start with random weights and are faded in over the layer that they replace. Fading uses hooks, so
that the networks' code does not depend on it.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_core.errors import BadCheckpoint
from gan_core.stylegan2 import EqualConv2d
from gan_core.swapping_autoencoder.networks import SwappingGenerator

State = Mapping[str, Tensor]


def grow(network: nn.Module, small: State, fade: Tensor) -> int:
    """Load the weights of a network of lower resolution into `network`, and fade in its new blocks.

    Args:
        network: encoder, generator or discriminator, on its device.
        small: the smaller network's state; one of the same size is only loaded.
        fade: scalar on the same device, share of the new blocks; it is read at each call.

    Returns:
        Number of new blocks.

    Raises:
        BadCheckpoint: the networks do not fit each other.
    """
    numbers = [int(name.split(".")[1]) for name in small if name.startswith("blocks.")]
    new = len(network.blocks) - 1 - max(numbers, default=-1)
    if new < 0:
        raise BadCheckpoint("The weights to start from are of a larger network than the one to train.")
    draws = isinstance(network, SwappingGenerator)
    outer = "to_rgb" if draws else "from_rgb"
    state = dict(network.state_dict())
    for name, value in small.items():
        if new and name.startswith(f"{outer}."):
            continue
        if not draws and name.startswith("blocks."):
            _, number, rest = name.split(".", 2)
            name = f"blocks.{int(number) + new}.{rest}"
        if name not in state or state[name].shape != value.shape:
            raise BadCheckpoint(f"The weights to start from do not fit the network to train, first at {name}.")
        state[name] = value
    network.load_state_dict(state)
    if new:
        old = {name.removeprefix(f"{outer}."): v for name, v in small.items() if name.startswith(f"{outer}.")}
        (_fade_output if draws else _fade_input)(network, old, new, fade)
    return new


def _fade_input(network: nn.Module, old: State, new: int, fade: Tensor) -> None:
    layer = _like(network.from_rgb, old)
    seen: list[Tensor] = []

    def keep(_: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        seen[:] = arguments

    def blend(_: nn.Module, __: tuple[Tensor, ...], output: Tensor) -> Tensor:
        low = layer(F.avg_pool2d(seen.pop(), 1 << new).contiguous(memory_format=torch.channels_last))
        return torch.lerp(low, output, fade.to(output.dtype))

    network.from_rgb.register_forward_pre_hook(keep)
    network.blocks[new - 1].register_forward_hook(blend)


def _like(layer: EqualConv2d, old: State) -> EqualConv2d:
    """The replaced layer, frozen: a layer like `layer` with the old weights."""
    weight = layer.weight
    copied = EqualConv2d(weight.shape[1], old["weight"].shape[0], weight.shape[2], act=layer.act)
    copied.load_state_dict(dict(old))
    return copied.to(weight.device).requires_grad_(False)


def _fade_output(network: SwappingGenerator, old: State, new: int, fade: Tensor) -> None:
    inside, texture_dim = old["affine.weight"].shape
    layer = type(network.to_rgb)(inside, texture_dim)
    layer.load_state_dict(dict(old))
    layer.to(network.to_rgb.weight.device).requires_grad_(False)
    seen: list[Tensor] = []

    def keep(_: nn.Module, arguments: tuple) -> None:
        seen[:] = arguments[:1]

    def blend(_: nn.Module, arguments: tuple, output: Tensor) -> Tensor:
        low = layer(seen.pop(), arguments[1])
        low = F.interpolate(low, scale_factor=1 << new, mode="bilinear", align_corners=False)
        return torch.lerp(low, output, fade.to(output.dtype))

    network.blocks[-new].register_forward_pre_hook(keep)
    network.to_rgb.register_forward_hook(blend)
