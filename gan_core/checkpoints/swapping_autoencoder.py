"""Checkpoints of the Swapping Autoencoder: one flat state_dict of E. (encoder), G. (generator), D. and Dpatch.

All channel counts, the numbers of blocks and the crop sizes are told from the tensors. Files for using the model only
may lack the discriminators.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from gan_core.checkpoints.keys import BuiltCheckpoint, Keys, channel_table, laid_out, load_strict, section
from gan_core.errors import BadCheckpoint
from gan_core.swapping_autoencoder.discriminators import ImageDiscriminator, PatchDiscriminator
from gan_core.swapping_autoencoder.networks import Encoder, Generator

logger = logging.getLogger(__name__)

FORMAT = "swapping_autoencoder"
MODULES: dict[str, type[nn.Module]] = {
    "encoder": Encoder,
    "generator": Generator,
    "discriminator": ImageDiscriminator,
    "patch_discriminator": PatchDiscriminator,
}
State = dict[str, Tensor]


def recognise(tree: Mapping[str, Any]) -> bool:
    """Whether the names are this format's."""
    return "E.ToGlobalCode.0.weight" in tree and "G.SpatialCodeModulation.scale.weight" in tree


def for_editing(tree: Mapping[str, Any]) -> dict[str, Any]:
    """The checkpoint without its discriminators, which only training needs; what is left out is logged."""
    kept = {name: value for name, value in tree.items() if not str(name).startswith(("D.", "Dpatch."))}
    if len(kept) < len(tree):
        logger.info("%d tensors of the discriminators, which only training needs, are left out.", len(tree) - len(kept))
    return kept


def build(tree: Mapping[str, Any]) -> BuiltCheckpoint:
    """Encoder and generator, and the discriminators if the file has them.

    Raises BadCheckpoint if a tensor is missing or too many, or if the two codes' sizes do not agree.
    """
    builders = {
        "E": ("encoder", _build_encoder),
        "G": ("generator", _build_generator),
        "D": ("discriminator", _build_discriminator),
        "Dpatch": ("patch_discriminator", _build_patch_discriminator),
    }
    modules: dict[str, nn.Module] = {}
    dropped = [str(name) for name in tree if not str(name).startswith(tuple(f"{root}." for root in builders))]
    for root, (name, builder) in builders.items():
        part = section(tree, root)
        if part:
            keys = Keys(part, f"{root}.")
            _drop_filters(keys, part)
            modules[name] = builder(keys)
            dropped += keys.finish()
    encoder, generator = modules["encoder"].config, modules["generator"].config
    if any(encoder[code] != generator[code] for code in ("structure_dim", "texture_dim")):
        raise BadCheckpoint("The checkpoint's encoder and generator have codes of different sizes.")
    if len(encoder["widths"]) - 1 != len(generator["widths"]):
        raise BadCheckpoint("The checkpoint's generator draws pictures of another size than its encoder reads.")
    config = {name: module.config for name, module in modules.items()}
    return BuiltCheckpoint(FORMAT, modules, config=config, dropped=dropped)


def _numbers(keys: Keys, pattern: str) -> list[int]:
    """The numbers that the pattern's group takes among the names, in order."""
    found = (re.match(pattern, name) for name in keys.names())
    return sorted({int(match.group(1)) for match in found if match})


def _drop_filters(keys: Keys, part: Mapping[str, Any]) -> None:
    """Leave out the stored resampling filters after checking that they are those that the networks have."""
    for name in [name for name in keys.names() if name.endswith(".kernel")]:
        taps: tuple[float, ...] = (1.0, 3.0, 3.0, 1.0)
        gain = 1
        if name.startswith("Down"):  # the encoder's; its texture branch strides without a blur
            taps = (1.0,) if "Global" in name else (1.0, 2.0, 1.0)
        elif name.endswith(("conv.blur.kernel", "upsample.kernel")):
            gain = 4
        row = torch.tensor(taps) / sum(taps)
        expected = torch.outer(row, row) * gain
        stored = torch.as_tensor(part[name]).float()
        if stored.shape != expected.shape or not torch.allclose(stored, expected, atol=1e-4):
            raise BadCheckpoint(f"The checkpoint's filter {name} is not the one supported here.")
        keys.drop(name)


def _take_conv(keys: Keys, theirs: str, ours: str, state: State) -> None:
    """A convolution, whose bias is with its activation, or its own, or not there."""
    state[f"{ours}.weight"] = keys.take(f"{theirs}.Conv.weight")
    for bias in (f"{theirs}.Act.bias", f"{theirs}.Conv.bias"):
        if bias in keys:
            state[f"{ours}.bias"] = keys.take(bias)


def _take_linear(keys: Keys, theirs: str, ours: str, state: State) -> None:
    for part in ("weight", "bias"):
        state[f"{ours}.{part}"] = keys.take(f"{theirs}.{part}")


def _take_down_block(keys: Keys, theirs: str, ours: str, state: State) -> None:
    _take_conv(keys, f"{theirs}.conv1", f"{ours}.conv", state)
    for their_layer, our_layer in (("conv2", "conv_down"), ("skip", "skip")):
        _take_conv(keys, f"{theirs}.{their_layer}", f"{ours}.{our_layer}", state)


def _build_encoder(keys: Keys) -> Encoder:
    steps = _numbers(keys, r"DownToSpatialCode\.ResBlockDownBy(\d+)\.")
    texture_steps = _numbers(keys, r"DownToGlobalCode\.ConvLayerDownBy(\d+)\.")
    widths = [keys.shape("FromRGB.Conv.weight")[0]]
    widths += [keys.shape(f"DownToSpatialCode.ResBlockDownBy{i}.conv2.Conv.weight")[0] for i in steps]
    texture_widths = [keys.shape(f"DownToGlobalCode.ConvLayerDownBy{i}.Conv.weight")[0] for i in texture_steps]
    encoder = laid_out(
        Encoder,
        widths=widths,
        texture_widths=texture_widths,
        structure_dim=keys.shape("ToSpatialCode.1.Conv.weight")[0],
        texture_dim=keys.shape("ToGlobalCode.0.weight")[0],
    )
    state: State = {}
    _take_conv(keys, "FromRGB", "from_rgb", state)
    for i, step in enumerate(steps):
        _take_down_block(keys, f"DownToSpatialCode.ResBlockDownBy{step}", f"blocks.{i}", state)
    for i in (0, 1):
        _take_conv(keys, f"ToSpatialCode.{i}", f"to_structure.{i}", state)
    for i, step in enumerate(texture_steps):
        _take_conv(keys, f"DownToGlobalCode.ConvLayerDownBy{step}", f"texture.{i}", state)
    _take_linear(keys, "ToGlobalCode.0", "to_texture", state)
    load_strict(encoder, state, "encoder")
    return encoder


def _build_generator(keys: Keys) -> Generator:
    heads, ups = _numbers(keys, r"HeadResnetBlock(\d+)\."), _numbers(keys, r"UpsamplingResBlock(\d+)\.")
    texture_dim = keys.shape("SpatialCodeModulation.scale.weight")[1]
    generator = laid_out(
        Generator,
        head_widths=[keys.shape(f"HeadResnetBlock{i}.conv2.conv.weight")[1] for i in heads],
        widths=[keys.shape(f"UpsamplingResBlock{i}.conv2.conv.weight")[1] for i in ups],
        structure_dim=keys.shape("SpatialCodeModulation.scale.weight")[0],
        texture_dim=texture_dim,
    )
    state: State = {}
    for theirs, ours in (("scale", "scale"), ("bias", "shift")):
        _take_linear(keys, f"SpatialCodeModulation.{theirs}", ours, state)
    blocks = [(f"HeadResnetBlock{i}", f"head.{j}") for j, i in enumerate(heads)]
    blocks += [(f"UpsamplingResBlock{i}", f"blocks.{j}") for j, i in enumerate(ups)]
    for theirs, ours in blocks:
        for conv in ("conv1", "conv2"):
            _take_modulated(keys, f"{theirs}.{conv}", f"{ours}.{conv}", state)
            state[f"{ours}.{conv}.bias"] = keys.take(f"{theirs}.{conv}.activate.bias")
            state[f"{ours}.{conv}.noise_strength"] = keys.take(f"{theirs}.{conv}.noise.weight", shape=())
        if f"{theirs}.skip.Conv.weight" in keys:
            _take_conv(keys, f"{theirs}.skip", f"{ours}.skip", state)
    _take_modulated(keys, "ToRGB", "to_rgb", state)
    state["to_rgb.bias"] = keys.take("ToRGB.bias", shape=(3,))
    load_strict(generator, state, "generator")
    return generator


def _take_modulated(keys: Keys, theirs: str, ours: str, state: State) -> None:
    state[f"{ours}.weight"] = keys.take(f"{theirs}.conv.weight", squeeze=True)
    _take_linear(keys, f"{theirs}.conv.modulation", f"{ours}.affine", state)


def _build_discriminator(keys: Keys) -> ImageDiscriminator:
    root = "stylegan2_D."
    names = _block_names(keys, root)
    resolution = 4 << len(names)
    widths = [keys.shape(f"{root}convs.0.Conv.weight")[0]]
    widths += [keys.shape(f"{root}convs.{name}.conv2.Conv.weight")[0] for name in names]
    positions = keys.shape(f"{root}final_linear.0.weight")[1] // widths[-1]
    side = math.isqrt(positions)
    if not side or side * side != positions:
        raise BadCheckpoint("The checkpoint's image discriminator does not end in a square map.")
    network = laid_out(ImageDiscriminator, resolution, last_side=side, **_channels(widths))
    state: State = {}
    _take_conv(keys, f"{root}convs.0", "from_rgb", state)
    for i, name in enumerate(names):
        _take_down_block(keys, f"{root}convs.{name}", f"blocks.{i}", state)
    _take_conv(keys, f"{root}final_conv", "epilogue.conv", state)
    _take_linear(keys, f"{root}final_linear.0", "epilogue.fc", state)
    _take_linear(keys, f"{root}final_linear.1", "epilogue.out", state)
    load_strict(network, state, "image discriminator")
    return network


def _block_names(keys: Keys, root: str = "", below: int = 1 << 30) -> list[str]:
    """A discriminator's blocks, highest resolution first: the highest are named by their resolution ("512x512"), those
    after them are numbered from 1."""
    sides = sorted(_numbers(keys, rf"{re.escape(root)}convs\.(\d+)x\d+\.conv1\."), reverse=True)
    numbered = [i for i in _numbers(keys, rf"{re.escape(root)}convs\.(\d+)\.conv1\.") if i < below]
    return [f"{side}x{side}" for side in sides] + [str(i) for i in numbered]


def _channels(widths: list[int]) -> dict[str, Any]:
    """The constructor's arguments for channels from the highest resolution down."""
    try:
        base, largest = channel_table({4 << i: width for i, width in enumerate(reversed(widths))})
    except BadCheckpoint:  # scaled by the authors' option netD_scale_capacity, which leaves the lowest two alone
        return {"widths": widths[::-1]}
    return {"channel_base": base, "channel_max": largest}


def _build_patch_discriminator(keys: Keys) -> PatchDiscriminator:
    names = _block_names(keys, below=5)
    layers = len(_numbers(keys, r"pairlinear\.(\d+)\.weight"))
    network = laid_out(
        PatchDiscriminator,
        widths=[keys.shape("convs.0.Conv.weight")[0]]
        + [keys.shape(f"convs.{name}.conv2.Conv.weight")[0] for name in names],
        wide=keys.shape("convs.5.conv2.Conv.weight")[0],
        features=keys.shape("convs.6.Conv.weight")[0],
        hidden=[keys.shape(f"pairlinear.{i}.weight")[0] for i in range(layers - 1)],
    )
    state: State = {}
    _take_conv(keys, "convs.0", "from_rgb", state)
    for i, name in enumerate(names):
        _take_down_block(keys, f"convs.{name}", f"blocks.{i}", state)
    for theirs, ours in (("conv1", "conv1"), ("conv2", "conv2"), ("skip", "skip")):
        _take_conv(keys, f"convs.5.{theirs}", f"widen.{ours}", state)
    _take_conv(keys, "convs.6", "last", state)
    for i in range(layers):
        _take_linear(keys, f"pairlinear.{i}", f"pair.{i}", state)
    load_strict(network, state, "patch discriminator")
    return network
