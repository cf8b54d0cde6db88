"""Checkpoints of rosinality/stylegan2-pytorch, and what was converted to its names (e4e, HFGI, sc-gan,
bodies).

A file is {"g_ema": ..., "d": ..., "latent_avg": (w_dim,)} or a bare generator. Convolution weights have a
leading axis of 1, ToRGB biases are (1, 3, 1, 1), noise strengths (1,); noises.noise_i counts convolutions
from the 4x4 one. Upsampling filters are stored with their gain of 4.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from gan_core.checkpoints.keys import (
    BuiltCheckpoint,
    Keys,
    channel_table,
    estimate_average,
    laid_out,
    load_strict,
    new_noise,
    section,
)
from gan_core.errors import BadCheckpoint
from gan_core.stylegan2 import Discriminator, Generator

FORMAT = "rosinality_stylegan2"
MODULES: dict[str, type[nn.Module]] = {"generator": Generator, "discriminator": Discriminator}


def recognise(tree: Mapping[str, Any]) -> bool:
    """Whether the names are this format's."""
    return "conv1.conv.modulation.weight" in (section(tree, "g_ema") or tree)


def build(tree: Mapping[str, Any]) -> BuiltCheckpoint:
    """Generator, and discriminator if the file has one. Raises BadCheckpoint if a tensor is missing or too
    many."""
    generator_part = section(tree, "g_ema")
    bare = not generator_part
    average = tree.get("latent_avg")
    keys = Keys(generator_part or {k: v for k, v in tree.items() if k != "latent_avg"}, "" if bare else "g_ema.")
    generator, notes = build_generator(keys, average)
    modules, config, dropped = {"generator": generator}, {"generator": generator.config}, keys.finish()
    discriminator_part = section(tree, "d")
    if discriminator_part:
        keys = Keys(discriminator_part, "d.")
        modules["discriminator"] = build_discriminator(keys, generator.config["start_shape"])
        config["discriminator"] = modules["discriminator"].config
        dropped += keys.finish()
    if not bare:
        used = ("g_ema", "d", "latent_avg")
        dropped += [k for k in tree if k not in used and not str(k).startswith(("g_ema.", "d."))]
    return BuiltCheckpoint(FORMAT, modules, config=config, dropped=dropped, notes=notes)


def build_generator(keys: Keys, average: Any = None) -> tuple[Generator, list[str]]:
    """The generator of these names, and notes on what was missing; `average` is w's mean, (w_dim,) or (n,
    w_dim)."""
    _, channels, height, width = keys.shape("input.input")
    depth = sum(name.startswith("style.") and name.endswith(".weight") for name in keys.names())
    steps = sum(name.startswith("to_rgbs.") and name.endswith("conv.weight") for name in keys.names())
    table = {height: channels}
    for i in range(steps):
        table[height << (i + 1)] = keys.shape(f"convs.{2 * i}.conv.weight")[1]
    base, largest = channel_table(table)
    w_dim, z_dim = keys.shape("style.1.weight")
    generator = laid_out(
        Generator,
        height << steps,
        z_dim=z_dim,
        w_dim=w_dim,
        mapping_layers=depth,
        channel_base=base,
        channel_max=largest,
        start_shape=(height, width),
    )

    notes: list[str] = []
    state: dict[str, Tensor] = {"synthesis.start": keys.take("input.input", squeeze=True)}
    for i in range(depth):
        for part in ("weight", "bias"):
            state[f"mapping.layers.{i}.{part}"] = keys.take(f"style.{i + 1}.{part}")
    if average is None:
        state["mapping.w_avg"] = torch.zeros(w_dim)
    else:
        rows = Keys({"latent_avg": average}).take("latent_avg").reshape(-1, w_dim)
        state["mapping.w_avg"] = rows.mean(0) if len(rows) > 1 else rows[0]
    noise = [buffer for name, buffer in generator.named_buffers() if name.endswith("noise_const")]
    if "noises.noise_0" not in keys:
        notes.append("The file holds no fixed noise; new noise was drawn.")
    for i in range(2 * steps + 1):
        block = f"synthesis.blocks.{(i + 1) // 2}"
        theirs, ours = ("conv1", f"{block}.conv") if i == 0 else (f"convs.{i - 1}", f"{block}.conv")
        if i % 2:
            ours += "_up"
            keys.drop_filter(f"{theirs}.conv.blur.kernel", 4)
        _take_modulated(keys, theirs, ours, state)
        state[f"{ours}.noise_strength"] = keys.take(f"{theirs}.noise.weight", shape=())
        state[f"{ours}.bias"] = keys.take(f"{theirs}.activate.bias")
        size = tuple(noise[i].shape)
        stored = f"noises.noise_{i}"
        state[f"{ours}.noise_const"] = keys.take(stored, shape=size) if stored in keys else new_noise(size)
    for i in range(steps + 1):
        theirs, ours = "to_rgb1" if i == 0 else f"to_rgbs.{i - 1}", f"synthesis.blocks.{i}.to_rgb"
        if i:
            keys.drop_filter(f"{theirs}.upsample.kernel", 4)
        _take_modulated(keys, theirs, ours, state)
        state[f"{ours}.bias"] = keys.take(f"{theirs}.bias", shape=(3,))
    load_strict(generator, state, "generator")
    if average is None:
        estimate_average(generator.mapping)
        notes.append("The file holds no mean latent; it was estimated from random ones.")
    return generator, notes


def _take_modulated(keys: Keys, theirs: str, ours: str, state: dict[str, Tensor]) -> None:
    state[f"{ours}.weight"] = keys.take(f"{theirs}.conv.weight", squeeze=True)
    for part in ("weight", "bias"):
        state[f"{ours}.affine.{part}"] = keys.take(f"{theirs}.conv.modulation.{part}")


def build_discriminator(keys: Keys, start_shape: tuple[int, int] | list[int] = (4, 4)) -> Discriminator:
    """The discriminator of these names, for images whose last feature map is `start_shape`."""
    steps = sum(name.endswith(".skip.1.weight") for name in keys.names())
    height, width = start_shape
    top, colours = keys.shape("convs.0.0.weight")[:2]
    table = {height << steps: top}
    for i in range(1, steps + 1):
        table[height << (steps - i)] = keys.shape(f"convs.{i}.conv2.1.weight")[0]
    if keys.shape("final_linear.0.weight")[1] != table[height] * height * width:
        raise BadCheckpoint("The checkpoint's discriminator is for images of another shape than its generator.")
    base, largest = channel_table(table)
    network = laid_out(
        Discriminator,
        height << steps,
        channel_base=base,
        channel_max=largest,
        start_shape=(height, width),
        img_channels=colours,
    )
    state = {"from_rgb.weight": keys.take("convs.0.0.weight"), "from_rgb.bias": keys.take("convs.0.1.bias")}
    for i in range(1, steps + 1):
        theirs, ours = f"convs.{i}", f"blocks.{i - 1}"
        keys.drop_filter(f"{theirs}.conv2.0.kernel", 1)
        keys.drop_filter(f"{theirs}.skip.0.kernel", 1)
        for to, name in (
            ("conv.weight", "conv1.0.weight"),
            ("conv.bias", "conv1.1.bias"),
            ("conv_down.weight", "conv2.1.weight"),
            ("conv_down.bias", "conv2.2.bias"),
            ("skip.weight", "skip.1.weight"),
        ):
            state[f"{ours}.{to}"] = keys.take(f"{theirs}.{name}")
    state["epilogue.conv.weight"] = keys.take("final_conv.0.weight")
    state["epilogue.conv.bias"] = keys.take("final_conv.1.bias")
    for i, ours in enumerate(("fc", "out")):
        for part in ("weight", "bias"):
            state[f"epilogue.{ours}.{part}"] = keys.take(f"final_linear.{i}.{part}")
    load_strict(network, state, "discriminator")
    return network
