"""Starting CoModGAN from an earlier run, or from an unconditional generator and its discriminator.

An earlier run may have been of other pictures (portraits for places) and of other sizes: what agrees in shape is taken.
With an unconditional generator, the network at first computes the same as that generator for every condition: the
weights through which the condition enters (the global vector's columns of the affine layers, the weight of the computed
start, the gain of each skip) are zero. The encoder starts from the discriminator's convolutions.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from gan_core.comodgan.networks import CoModGenerator
from gan_core.errors import BadCheckpoint
from gan_core.stylegan2 import Discriminator
from gan_core.training.comodgan.settings import Starts, State

log = logging.getLogger(__name__)

_LEAST_AGREEING = 0.5  # share of a network's numbers that an earlier run must give
_SLOPE, _GAIN = 0.2, math.sqrt(2)  # of leaky ReLU after the computed start
_SPREAD = 0.6  # standard deviation of the encoder's features at the start, that of random weights


def start_networks(
    generator: CoModGenerator, discriminator: Discriminator, starts: Starts, condition: Callable[[], Tensor]
) -> State | None:
    """Load the weights to start from; returns the averaged generator's where they differ.

    condition: gives conditions (N, C, R, R), on which an encoder that starts from a discriminator is measured.
    """
    if starts.discriminator is not None:
        channels = starts.discriminator["from_rgb.weight"].shape[1]
        if channels == discriminator.config["img_channels"]:
            start_agreeing(discriminator, starts.discriminator, "discriminator")
        else:
            start_discriminator(discriminator, starts.discriminator)
    if not starts.unconditional:
        if starts.generator is None:
            return starts.average
        whole = start_agreeing(generator, starts.generator, "generator")
        return starts.average if whole else None
    if starts.generator is not None:
        start_generator(generator, starts.generator)
    if starts.discriminator is not None:
        start_encoder(generator, starts.discriminator, condition())
    return None


def start_agreeing(net: nn.Module, state: State, what: str) -> bool:
    """Copy every tensor whose name and shape agree; returns whether all do.

    Raises BadCheckpoint if less than half of the network's numbers are given.
    """
    own = net.state_dict()
    agreeing = {name: value for name, value in state.items() if name in own and own[name].shape == value.shape}
    share = sum(x.numel() for x in agreeing.values()) / sum(x.numel() for x in own.values())
    if share < _LEAST_AGREEING:
        raise BadCheckpoint(f"The {what} to start from does not fit: only {share:.0%} of the weights agree in shape.")
    net.load_state_dict({**own, **agreeing})
    missing = [name for name in own if name not in agreeing]
    if missing:
        log.warning("The %s starts from %.1f %% of the weights; new: %s", what, 100 * share, ", ".join(missing))
    return not missing


def start_plain(net: CoModGenerator) -> None:
    """Make a generator the baseline: no noise, and layers that the condition does not modulate."""
    columns = net.config["w_dim"]
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if name.endswith("noise_strength"):
                parameter.zero_()
            elif name.endswith("affine.weight"):
                parameter[:, columns:] = 0


def start_generator(net: CoModGenerator, state: dict[str, Tensor]) -> None:
    """Copy an unconditional generator's weights, so that `net` draws the same pictures.

    Needs `skip_gain`. Raises BadCheckpoint if a shape does not fit.
    """
    own, columns = net.state_dict(), net.config["w_dim"]
    with torch.no_grad():
        for name, value in state.items():
            if name == "synthesis.start":
                _fit(net.start.bias, value.flatten(), name)
                net.start.bias.copy_(_inverse_activation(value.flatten()))
                net.start.weight.zero_()
            elif name.endswith("affine.weight"):
                if name not in own:
                    raise BadCheckpoint(f"the unconditional generator has {name}, which this network has no place for")
                target = own[name]
                _fit(target[:, :columns], value, name)
                target.zero_()
                # Weights are divided by the square root of their inputs, of which there are now more.
                target[:, :columns] = value * math.sqrt(target.shape[1] / columns)
            elif name in own:
                _fit(own[name], value, name)
                own[name].copy_(value)
            else:
                raise BadCheckpoint(f"the unconditional generator has {name}, which this network has no place for")
        for gain in net.gains.values():
            gain.zero_()


def start_discriminator(net: Discriminator, state: dict[str, Tensor]) -> None:
    """Copy a discriminator of pictures into one with a fourth channel, which has no effect at first."""
    state, own = dict(state), net.from_rgb.weight
    weight = state["from_rgb.weight"]
    state["from_rgb.weight"] = _widened(weight, own.shape[1], first=0)
    misfits = [name for name, value in net.state_dict().items() if name in state and state[name].shape != value.shape]
    if misfits or state.keys() != net.state_dict().keys():
        raise BadCheckpoint(f"the discriminator does not fit: {', '.join(misfits[:5]) or 'other layers'}")
    net.load_state_dict(state)


@torch.no_grad()
def start_encoder(net: CoModGenerator, state: dict[str, Tensor], condition: Tensor) -> None:
    """Copy the discriminator's convolutions into the encoder, each scaled so that features keep the same magnitude.

    The encoder lacks the discriminator's residual paths, without which the features would grow from layer to layer. The
    features are measured on `condition` (N, C, R, R).
    """
    encoder: Any = net.encoder
    if net.config["in_channels"] == 4:  # mask first, then the picture
        encoder.from_rgb.weight.copy_(_widened(state["from_rgb.weight"], 4, first=1))
        encoder.from_rgb.bias.copy_(state["from_rgb.bias"])
    for i, block in enumerate(encoder.blocks):
        for name, layer in (("conv", block.conv), ("conv_down", block.conv_down)):
            layer.weight.copy_(state[f"blocks.{i}.{name}.weight"])
            layer.bias.copy_(state[f"blocks.{i}.{name}.bias"])
    encoder.conv.weight.copy_(state["epilogue.conv.weight"][:, :-1])  # the last channel is the minibatch's spread
    encoder.conv.bias.copy_(state["epilogue.conv.bias"])
    x = _rescaled(encoder.from_rgb, condition)
    for block in encoder.blocks:
        x = _rescaled(block.conv_down, _rescaled(block.conv, x))
    x = _rescaled(encoder.conv, x)
    _rescaled(encoder.fc, x.contiguous().flatten(1))


def _rescaled(layer: nn.Module, x: Tensor) -> Tensor:
    """The layer's output, after scaling its weight and bias so that the output's spread is `_SPREAD`."""
    y = layer(x)
    scale = _SPREAD / y.std().clamp_min(1e-6)
    layer.weight.mul_(scale)
    layer.bias.mul_(scale)
    return y * scale


def _widened(weight: Tensor, channels: int, *, first: int) -> Tensor:
    """A 1x1 convolution of pictures as one of more channels, the picture's from `first` on, the others at zero."""
    wide = weight.new_zeros(weight.shape[0], channels, *weight.shape[2:])
    wide[:, first : first + weight.shape[1]] = weight * math.sqrt(channels / weight.shape[1])
    return wide


def _inverse_activation(y: Tensor) -> Tensor:
    """Inverse of leaky ReLU with its gain."""
    return torch.where(y < 0, y / _SLOPE, y) / _GAIN


def _fit(target: Tensor, value: Tensor, name: str) -> None:
    if target.shape != value.shape:
        raise BadCheckpoint(f"{name} has shape {tuple(value.shape)}, expected {tuple(target.shape)}")
