"""Checkpoints of NVIDIA's stylegan2-ada-pytorch: a .pkl of {"G", "D", "G_ema"}, or one network's state_dict.

Weights have no leading axis, noise strengths are scalars, filters are stored with sum 1. z is normalised in
forward; a label goes through mapping.embed. Float16 at high resolutions and clamping are settings, not part
of the weights.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from gan_core.checkpoints.keys import BuiltCheckpoint, Keys, channel_table, estimate_average, laid_out, load_strict
from gan_core.errors import BadCheckpoint
from gan_core.stylegan2 import Discriminator, Generator

FORMAT = "nvidia_stylegan2"
MODULES: dict[str, type[nn.Module]] = {"generator": Generator, "discriminator": Discriminator}
_START = "synthesis.b4.const"


def recognise(tree: Mapping[str, Any]) -> bool:
    """Whether the names are this format's."""
    return _START in generator_part(tree)


def generator_part(tree: Mapping[str, Any]) -> Mapping[str, Any]:
    """The averaged generator's flat state_dict: of a read .pkl, of a dictionary of state_dicts, or the tree
    itself."""
    for name in ("G_ema", "g_ema", "G"):
        if isinstance(tree.get(name), Mapping):
            return _tensors(tree[name])
    return _tensors(tree)


def _tensors(network: Mapping[str, Any]) -> Mapping[str, Any]:
    inner = network.get("tensors")
    return inner if isinstance(inner, Mapping) else network


def build(tree: Mapping[str, Any], name: str = FORMAT) -> BuiltCheckpoint:
    """Generator, and discriminator if the file has one. Raises BadCheckpoint if a tensor is missing or too
    many."""
    part = generator_part(tree)
    keys = Keys(part)
    generator, notes = _build_generator(keys)
    modules, config, dropped = {"generator": generator}, {"generator": generator.config}, keys.finish()
    if part is not tree:
        if isinstance(tree.get("D"), Mapping):
            keys = Keys(_tensors(tree["D"]), "D.")
            modules["discriminator"] = _build_discriminator(keys, generator.config)
            config["discriminator"] = modules["discriminator"].config
            dropped += keys.finish()
        used = {
            "D",
            next((n for n in ("G_ema", "g_ema", "G") if isinstance(tree.get(n), Mapping)), "tensors"),
        }
        dropped += [str(key) for key in tree if key not in used]
    return BuiltCheckpoint(name, modules, config=config, dropped=dropped, notes=notes)


def _resolutions(keys: Keys, pattern: str) -> list[int]:
    found = (re.fullmatch(pattern, name) for name in keys.names())
    return sorted({int(match.group(1)) for match in found if match})


def _build_generator(keys: Keys) -> tuple[Generator, list[str]]:
    channels, height, width = keys.shape(_START)
    resolutions = _resolutions(keys, r"synthesis\.b(\d+)\.conv1\.weight")
    table = {r: keys.shape(f"synthesis.b{r}.conv1.weight")[0] for r in resolutions}
    if not resolutions or table.get(height) != channels or resolutions != [height << i for i in range(len(table))]:
        raise BadCheckpoint("The checkpoint's generator has resolutions missing.")
    base, largest = channel_table(table)
    depth = len(_resolutions(keys, r"mapping\.fc(\d+)\.weight"))
    w_dim, c_dim = keys.shape("synthesis.b4.conv1.affine.weight")[1], 0
    embedding = 0
    if "mapping.embed.weight" in keys:
        embedding, c_dim = keys.shape("mapping.embed.weight")
    z_dim = keys.shape("mapping.fc0.weight")[1] - embedding
    generator = laid_out(
        Generator,
        resolutions[-1],
        z_dim=z_dim,
        c_dim=c_dim,
        w_dim=w_dim,
        mapping_layers=depth,
        channel_base=base,
        channel_max=largest,
        start_shape=(height, width),
    )

    notes: list[str] = []
    state: dict[str, Tensor] = {"synthesis.start": keys.take(_START)}
    has_average = "mapping.w_avg" in keys
    state["mapping.w_avg"] = keys.take("mapping.w_avg") if has_average else torch.zeros(w_dim)
    for i in range(depth):
        for part in ("weight", "bias"):
            state[f"mapping.layers.{i}.{part}"] = keys.take(f"mapping.fc{i}.{part}")
    if c_dim:
        for part in ("weight", "bias"):
            state[f"mapping.embed.{part}"] = keys.take(f"mapping.embed.{part}")
    for i, resolution in enumerate(resolutions):
        theirs, ours = f"synthesis.b{resolution}", f"synthesis.blocks.{i}"
        _drop_filter(keys, f"{theirs}.resample_filter")
        for their_layer, our_layer in (("conv0", "conv_up"), ("conv1", "conv")):
            if i == 0 and their_layer == "conv0":
                continue
            _drop_filter(keys, f"{theirs}.{their_layer}.resample_filter")
            for part in ("weight", "bias", "noise_const", "affine.weight", "affine.bias"):
                state[f"{ours}.{our_layer}.{part}"] = keys.take(f"{theirs}.{their_layer}.{part}")
            strength = keys.take(f"{theirs}.{their_layer}.noise_strength", shape=())
            state[f"{ours}.{our_layer}.noise_strength"] = strength
        for part in ("weight", "bias", "affine.weight", "affine.bias"):
            state[f"{ours}.to_rgb.{part}"] = keys.take(f"{theirs}.torgb.{part}")
    load_strict(generator, state, "generator")
    if not has_average:
        estimate_average(generator.mapping)
        notes.append("The file holds no mean latent; it was estimated from random ones.")
    return generator, notes


def _build_discriminator(keys: Keys, of_generator: Mapping[str, Any]) -> Discriminator:
    resolutions = _resolutions(keys, r"b(\d+)\.conv0\.weight")
    height, width = of_generator["start_shape"]
    table = {r: keys.shape(f"b{r}.conv0.weight")[0] for r in resolutions}
    table[height] = keys.shape("b4.conv.weight")[0]
    base, largest = channel_table(table)
    c_dim = keys.shape("mapping.embed.weight")[1] if "mapping.embed.weight" in keys else 0
    top = max(resolutions)
    network = laid_out(
        Discriminator,
        top,
        c_dim=c_dim,
        channel_base=base,
        channel_max=largest,
        start_shape=(height, width),
        img_channels=keys.shape(f"b{top}.fromrgb.weight")[1],
    )
    state = {f"from_rgb.{part}": keys.take(f"b{top}.fromrgb.{part}") for part in ("weight", "bias")}
    for i, resolution in enumerate(sorted(resolutions, reverse=True)):
        for name in [n for n in keys.names() if re.fullmatch(rf"b{resolution}\..*resample_filter", n)]:
            _drop_filter(keys, name)
        for to, part in (
            ("conv.weight", "conv0.weight"),
            ("conv.bias", "conv0.bias"),
            ("conv_down.weight", "conv1.weight"),
            ("conv_down.bias", "conv1.bias"),
            ("skip.weight", "skip.weight"),
        ):
            state[f"blocks.{i}.{to}"] = keys.take(f"b{resolution}.{part}")
    _drop_filter(keys, "b4.conv.resample_filter")
    for part in ("weight", "bias"):
        for layer in ("conv", "fc", "out"):
            state[f"epilogue.{layer}.{part}"] = keys.take(f"b4.{layer}.{part}")
        if c_dim:
            state[f"label.0.{part}"] = keys.take(f"mapping.embed.{part}")
            for i in range(len(_resolutions(keys, rf"mapping\.fc(\d+)\.{part}"))):
                state[f"label.{i + 1}.{part}"] = keys.take(f"mapping.fc{i}.{part}")
    load_strict(network, state, "discriminator")
    return network


def _drop_filter(keys: Keys, name: str) -> None:
    if name in keys:  # some releases keep them out of the state_dict
        keys.drop_filter(name, 1)
