"""Checkpoints of CoModGAN: the authors' TensorFlow pickles, co-mod-gan-pytorch's files and those of MI-GAN's authors,
told apart by their names.

The port's file is a flat state_dict (net_G_ema.pth) of G_mapping.* and G_synthesis.*. The authors' is a pickle of
(G, D, Gs); Gs holds the averaged weights, its variables without the sub-network's prefix. TensorFlow stores linear
weights as (I, O), convolutions as (k, k, I, O), upsampling ones reversed in space, and modulation biases less 1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gan_core.checkpoints import comodgan_migan
from gan_core.checkpoints.keys import (
    BuiltCheckpoint,
    Keys,
    channel_table,
    estimate_average,
    laid_out,
    load_strict,
    new_noise,
)
from gan_core.comodgan.networks import CoModGenerator
from gan_core.errors import BadCheckpoint

FORMAT = "comodgan"
MODULES: dict[str, type[nn.Module]] = {"generator": CoModGenerator}
_PORT_MARK, _TF_MARK = "G_synthesis.E.4x4.Dense0.weight", "G_synthesis/E_4x4/Dense0/weight"
_WRAPPERS = ("state_dict", "netG", "net_G", "g_ema")


def recognise(tree: Mapping[str, Any]) -> bool:
    """Whether the names are the port's, the authors' or those of MI-GAN's authors."""
    return comodgan_migan.recognise(tree) or _PORT_MARK in _port_part(tree) or _TF_MARK in _tensorflow_part(tree)


def _port_part(tree: Mapping[str, Any]) -> Mapping[str, Any]:
    """The port's flat state_dict, which may be wrapped once."""
    inner = (tree[name] for name in _WRAPPERS if isinstance(tree.get(name), Mapping))
    return next((part for part in inner if _PORT_MARK in part), tree)


def _tensorflow_part(tree: Mapping[str, Any]) -> dict[str, Any]:
    """The averaged generator's variables, with the sub-networks' prefixes, from a read pickle."""
    network = tree.get("Gs", tree)
    if not isinstance(network, Mapping) or not isinstance(network.get("variables"), Mapping):
        return dict(tree)
    variables = dict(network["variables"])
    components = network.get("components") or {}
    for name, component in components.items():
        if isinstance(component, Mapping) and isinstance(component.get("variables"), Mapping):
            variables |= {f"G_{name}/{key}": value for key, value in component["variables"].items()}
    return variables


@dataclass(frozen=True)
class _Layer:
    kind: str  # linear, conv, down, styled, up, rgb
    ours: str
    port: str
    tf: str


def _layers(resolution: int, depth: int) -> Iterator[_Layer]:
    """Every layer of the generator and its three names."""
    for i in range(depth):
        yield _Layer("linear", f"mapping.layers.{i}", f"G_mapping.G_mapping.Dense{i}", f"G_mapping/Dense{i}")
    encoder, sides = "G_synthesis.E", [resolution >> i for i in range(resolution.bit_length() - 3)]
    top = f"{resolution}x{resolution}"
    yield _Layer("conv", "encoder.from_rgb", f"{encoder}.{top}_0.FromRGB", f"G_synthesis/E_{top}/FromRGB")
    for i, side in enumerate(sides):
        port, tf = f"{encoder}.{side}x{side}", f"G_synthesis/E_{side}x{side}"
        yield _Layer("conv", f"encoder.blocks.{i}.conv", f"{port}.Conv0", f"{tf}/Conv0")
        yield _Layer("down", f"encoder.blocks.{i}.conv_down", f"{port}.Conv1_down", f"{tf}/Conv1_down")
    yield _Layer("conv", "encoder.conv", f"{encoder}.4x4.Conv", "G_synthesis/E_4x4/Conv")
    yield _Layer("linear", "encoder.fc", f"{encoder}.4x4.Dense0", "G_synthesis/E_4x4/Dense0")
    yield _Layer("linear", "start", "G_synthesis.G_4x4.Dense", "G_synthesis/G_4x4/Dense")
    for i, side in enumerate([4, *reversed(sides)]):
        ours, name = f"synthesis.blocks.{i}", f"G_{side}x{side}"
        convs = (("up", "conv_up", "Conv0_up"), ("styled", "conv", "Conv1")) if i else (("styled", "conv", "Conv"),)
        for kind, own, theirs in (*convs, ("rgb", "to_rgb", "ToRGB")):
            yield _Layer(kind, f"{ours}.{own}", f"G_synthesis.{name}.{theirs}", f"G_synthesis/{name}/{theirs}")


def build(tree: Mapping[str, Any]) -> BuiltCheckpoint:
    """The generator. Raises BadCheckpoint if a tensor is missing or too many.

    It adds the encoder's 4x4 feature to the start, as the authors' weights need, whichever file they come from; for the
    port's own numbers set `start_skip` to False.
    """
    if comodgan_migan.recognise(tree):
        return comodgan_migan.build(tree, FORMAT)
    part = _port_part(tree)
    if _PORT_MARK in part:
        return _build_port(part, [str(name) for name in tree if part is not tree and tree[name] is not part])
    dropped = [str(name) for name in tree if name != "Gs"] if "Gs" in tree else []
    return _build_tensorflow(_tensorflow_part(tree), dropped)


def _build_port(part: Mapping[str, Any], dropped: list[str]) -> BuiltCheckpoint:
    keys = Keys(part)
    resolution, depth = _largest(keys, r"G_synthesis\.G_(\d+)x"), _count(keys, r"G_mapping\..*Dense(\d+)\.weight")
    outputs = {4: keys.shape("G_synthesis.G_4x4.Conv.conv.weight")[1]}
    for side in _sides(resolution):
        outputs[side] = keys.shape(f"G_synthesis.G_{side}x{side}.Conv1.conv.weight")[1]
    net = _network(
        outputs,
        in_channels=keys.shape(f"G_synthesis.E.{resolution}x{resolution}_0.FromRGB.0.weight")[1],
        z_dim=keys.shape("G_mapping.G_mapping.Dense0.weight")[1],
        global_dim=keys.shape(_PORT_MARK)[0],
        modulation=keys.shape("G_synthesis.G_4x4.Conv.conv.modulation.weight")[1],
        mapping_layers=depth,
    )
    state = {"mapping.w_avg": torch.zeros(net.mapping.w_avg.shape)} | _noise(net)
    for layer in _layers(resolution, depth):
        _take_port(keys, layer, state)
    load_strict(net, state, "generator")
    estimate_average(net.mapping)
    notes = [
        "The file holds no fixed noise; new noise was drawn.",
        "The file holds no mean latent; it was estimated from random ones.",
    ]
    config = {"generator": net.config}
    return BuiltCheckpoint(FORMAT, {"generator": net}, config=config, dropped=dropped + keys.finish(), notes=notes)


def _take_port(keys: Keys, layer: _Layer, state: dict[str, Tensor]) -> None:
    ours, port, kind = layer.ours, layer.port, layer.kind
    if kind == "linear":
        for part in ("weight", "bias"):
            state[f"{ours}.{part}"] = keys.take(f"{port}.{part}")
    elif kind in ("conv", "down"):
        first = int(kind == "down")
        if first:
            keys.drop_filter(f"{port}.0.kernel", 1)
        state[f"{ours}.weight"] = keys.take(f"{port}.{first}.weight")
        state[f"{ours}.bias"] = keys.take(f"{port}.{first + 1}.bias")
    else:
        state[f"{ours}.weight"] = keys.take(f"{port}.conv.weight", squeeze=True)
        for part in ("weight", "bias"):
            state[f"{ours}.affine.{part}"] = keys.take(f"{port}.conv.modulation.{part}")
        if kind == "rgb":
            state[f"{ours}.bias"] = keys.take(f"{port}.bias", shape=(3,))
            if f"{port}.upsample.kernel" in keys:
                keys.drop_filter(f"{port}.upsample.kernel", 4)
        else:
            state[f"{ours}.bias"] = keys.take(f"{port}.activate.bias")
            state[f"{ours}.noise_strength"] = keys.take(f"{port}.noise.weight", shape=())
            if kind == "up":
                keys.drop_filter(f"{port}.conv.blur.kernel", 4)


def _build_tensorflow(variables: Mapping[str, Any], dropped: list[str]) -> BuiltCheckpoint:
    keys = Keys(variables)
    resolution, depth = _largest(keys, r"G_synthesis/G_(\d+)x"), _count(keys, r"G_mapping/Dense(\d+)/weight")
    outputs = {4: keys.shape("G_synthesis/G_4x4/Conv/weight")[3]}
    for side in _sides(resolution):
        outputs[side] = keys.shape(f"G_synthesis/G_{side}x{side}/Conv1/weight")[3]
    net = _network(
        outputs,
        in_channels=keys.shape(f"G_synthesis/E_{resolution}x{resolution}/FromRGB/weight")[2],
        z_dim=keys.shape("G_mapping/Dense0/weight")[0],
        global_dim=keys.shape(_TF_MARK)[1],
        modulation=keys.shape("G_synthesis/G_4x4/Conv/mod_weight")[0],
        mapping_layers=depth,
    )
    has_average = "dlatent_avg" in keys
    state = {"mapping.w_avg": keys.take("dlatent_avg") if has_average else torch.zeros(net.mapping.w_avg.shape)}
    for layer in _layers(resolution, depth):
        _take_tensorflow(keys, layer, state)
    notes = []
    drawn = list(_noise(net).items())
    for i, (name, values) in enumerate(drawn):
        stored = f"G_synthesis/noise{i}"
        state[name] = keys.take(stored, shape=tuple(values.shape)) if stored in keys else values
    if "lod" in keys:
        keys.drop("lod")  # of progressive growing, not used
    load_strict(net, state, "generator")
    if not has_average:
        estimate_average(net.mapping)
        notes.append("The file holds no mean latent; it was estimated from random ones.")
    config = {"generator": net.config}
    return BuiltCheckpoint(FORMAT, {"generator": net}, config=config, dropped=dropped + keys.finish(), notes=notes)


def _take_tensorflow(keys: Keys, layer: _Layer, state: dict[str, Tensor]) -> None:
    ours, tf, kind = layer.ours, layer.tf, layer.kind
    weight = keys.take(f"{tf}/weight")
    if weight.ndim != (2 if kind == "linear" else 4):
        raise BadCheckpoint(f"The checkpoint's tensor {tf}/weight has an unexpected shape.")
    if kind == "up":
        weight = weight.flip(0, 1)
    state[f"{ours}.weight"] = (weight.t() if kind == "linear" else weight.permute(3, 2, 0, 1)).contiguous()
    state[f"{ours}.bias"] = keys.take(f"{tf}/bias")
    if kind in ("styled", "up", "rgb"):
        state[f"{ours}.affine.weight"] = keys.take(f"{tf}/mod_weight").t().contiguous()
        state[f"{ours}.affine.bias"] = keys.take(f"{tf}/mod_bias") + 1
        if kind != "rgb":
            state[f"{ours}.noise_strength"] = keys.take(f"{tf}/noise_strength", shape=())


def _network(outputs: dict[int, int], *, modulation: int, global_dim: int, **arguments: Any) -> CoModGenerator:
    base, largest = channel_table(outputs)
    if modulation <= global_dim:
        raise BadCheckpoint("The checkpoint's layers are not modulated by both w and a global vector.")
    return laid_out(
        CoModGenerator,
        max(outputs),
        w_dim=modulation - global_dim,
        global_dim=global_dim,
        channel_base=base,
        channel_max=largest,
        **arguments,
    )


def _noise(net: CoModGenerator) -> dict[str, Tensor]:
    """New noise maps, in the order of their latent index."""
    buffers = net.named_buffers()
    return {name: new_noise(buffer.shape) for name, buffer in buffers if name.endswith("noise_const")}


def _sides(resolution: int) -> list[int]:
    return [8 << i for i in range(max(resolution.bit_length() - 3, 0))]


def _count(keys: Keys, pattern: str) -> int:
    """How many layers there are that are numbered from 0. A name may claim a milliard of them."""
    last = _largest(keys, pattern)
    if last >= len(keys.names()):
        raise BadCheckpoint("The checkpoint's generator has layers missing.")
    return last + 1


def _largest(keys: Keys, pattern: str) -> int:
    found = [int(match.group(1)) for name in keys.names() if (match := re.match(pattern, name))]
    if not found:
        raise BadCheckpoint("The checkpoint's generator has layers missing.")
    return max(found)
