"""Checkpoints of MI-GAN's authors, who trained CoModGANs of their own: a flat state_dict of mapping.*, encoder.* and
synthesis.*, laid out as NVIDIA's PyTorch code does.

Layers are named by resolution (encoder.b256.conv0, synthesis.b8.conv1), weights have no leading axis, modulation
biases hold their 1, and upsampling weights are not turned. Their clamping of activations at 256 is no part of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from gan_core.checkpoints.keys import BuiltCheckpoint, Keys, channel_table, laid_out, load_strict
from gan_core.comodgan.networks import CoModGenerator
from gan_core.errors import BadCheckpoint

_MARKS = ("encoder.b4.fc.weight", "synthesis.b4.fc.weight")


def recognise(tree: Mapping[str, Any]) -> bool:
    """Whether the names are MI-GAN's authors' for a CoModGAN."""
    return all(mark in tree for mark in _MARKS)


def build(tree: Mapping[str, Any], name: str) -> BuiltCheckpoint:
    """The generator, with the encoder's 4x4 feature added to the start as in the authors' own.

    Raises BadCheckpoint if a tensor is missing or too many.
    """
    keys = Keys(tree)
    found = (re.fullmatch(r"synthesis\.b(\d+)\.conv1\.weight", key) for key in keys.names())
    sides = sorted(int(match.group(1)) for match in found if match)
    if not sides or sides != [8 << i for i in range(len(sides))]:
        raise BadCheckpoint("The checkpoint's generator has resolutions missing.")
    channels = {4: keys.shape("synthesis.b4.conv.weight")[0]}
    channels |= {side: keys.shape(f"synthesis.b{side}.conv1.weight")[0] for side in sides}
    base, largest = channel_table(channels)
    depth = sum(bool(re.fullmatch(r"mapping\.fc\d+\.weight", key)) for key in keys.names())
    global_dim = keys.shape("encoder.b4.fc.weight")[0]
    w_dim = keys.shape("synthesis.b4.conv.affine.weight")[1] - global_dim
    if w_dim < 1 or not depth:
        raise BadCheckpoint("The checkpoint's layers are not modulated by both w and a global vector.")
    top = sides[-1]
    net = laid_out(
        CoModGenerator,
        top,
        in_channels=keys.shape(f"encoder.b{top}.fromrgb.weight")[1],
        z_dim=keys.shape("mapping.fc0.weight")[1],
        w_dim=w_dim,
        global_dim=global_dim,
        mapping_layers=depth,
        channel_base=base,
        channel_max=largest,
    )
    state: dict[str, Tensor] = {"mapping.w_avg": keys.take("mapping.w_avg")}
    for i in range(depth):
        _take(keys, f"mapping.fc{i}", f"mapping.layers.{i}", state)
    _take(keys, f"encoder.b{top}.fromrgb", "encoder.from_rgb", state)
    for i, side in enumerate(reversed(sides)):
        for theirs, ours in (("conv0", "conv"), ("conv1", "conv_down")):
            _take(keys, f"encoder.b{side}.{theirs}", f"encoder.blocks.{i}.{ours}", state)
    for layer in ("conv", "fc"):
        _take(keys, f"encoder.b4.{layer}", f"encoder.{layer}", state)
    _take(keys, "synthesis.b4.fc", "start", state)
    for i, side in enumerate([4, *sides]):
        layers = (("conv0", "conv_up"), ("conv1", "conv")) if i else (("conv", "conv"),)
        for theirs, ours in layers:
            at = f"synthesis.blocks.{i}.{ours}"
            _take(keys, f"synthesis.b{side}.{theirs}", at, state, styled=True)
            state[f"{at}.noise_const"] = keys.take(f"synthesis.b{side}.{theirs}.noise_const")
            state[f"{at}.noise_strength"] = keys.take(f"synthesis.b{side}.{theirs}.noise_strength", shape=())
        _take(keys, f"synthesis.b{side}.torgb", f"synthesis.blocks.{i}.to_rgb", state, styled=True)
    for key in [key for key in keys.names() if key.endswith("resample_filter")]:
        keys.drop_filter(key, 1)
    load_strict(net, state, "generator")
    return BuiltCheckpoint(name, {"generator": net}, config={"generator": net.config}, dropped=keys.finish())


def _take(keys: Keys, theirs: str, ours: str, state: dict[str, Tensor], *, styled: bool = False) -> None:
    parts = ("weight", "bias", "affine.weight", "affine.bias") if styled else ("weight", "bias")
    for part in parts:
        state[f"{ours}.{part}"] = keys.take(f"{theirs}.{part}")
