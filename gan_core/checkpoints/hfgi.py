"""Checkpoints of HFGI ({"state_dict": encoder.*, decoder.*, residue.*, grid_align.*; "latent_avg"}) and of
e4e alone.

The decoder is a generator under rosinality's names; grid_align is the alignment module, residue the
consultation encoder. Index tables below give the published position of each layer within its block.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from gan_core.checkpoints import rosinality
from gan_core.checkpoints.keys import BuiltCheckpoint, Keys, laid_out, load_strict, section
from gan_core.e4e.networks import Encoder4Editing
from gan_core.errors import BadCheckpoint
from gan_core.hfgi.networks import ConsultationEncoder, DistortionAlignment
from gan_core.stylegan2 import Generator

FORMAT = "hfgi"
MODULES: dict[str, type[nn.Module]] = {
    "encoder": Encoder4Editing,
    "generator": Generator,
    "alignment": DistortionAlignment,
    "consultation": ConsultationEncoder,
}
_NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
_BLOCK = {
    0: ("norm_in", _NORM),
    1: ("conv1", ("weight",)),
    2: ("act", ("weight",)),
    3: ("conv2", ("weight",)),
    4: ("norm_out", _NORM),
}
_STEM = {0: ("conv", ("weight",)), 1: ("norm", _NORM), 2: ("act", ("weight",))}


def recognise(tree: Mapping[str, Any]) -> bool:
    """Whether the names are this format's."""
    return "encoder.styles.0.linear.weight" in (section(tree, "state_dict") or tree)


def build(tree: Mapping[str, Any]) -> BuiltCheckpoint:
    """Encoder and generator, alignment and consultation if the file has them, and latent_avg (num_styles,
    w_dim).

    Raises BadCheckpoint if a tensor is missing or too many.
    """
    state = section(tree, "state_dict") or dict(tree)
    average = tree.get("latent_avg", state.pop("latent_avg", None))
    if average is None:
        raise BadCheckpoint("The checkpoint lacks latent_avg, the mean latent that the encoder's codes start from.")
    parts = {name: Keys(section(state, name), name + ".") for name in ("encoder", "decoder", "residue", "grid_align")}
    known = tuple(name + "." for name in parts)
    dropped = [key for key in state if not key.startswith(known)]
    dropped += [str(key) for key in tree if key not in ("state_dict", "latent_avg")] if "state_dict" in tree else []

    encoder = _build_encoder(parts["encoder"])
    styles, width = encoder.config["num_styles"], encoder.config["w_dim"]
    latent_avg = Keys({"latent_avg": average}).take("latent_avg")
    if latent_avg.ndim == 1:
        latent_avg = latent_avg.expand(styles, -1).contiguous()
    if latent_avg.shape != (styles, width):
        raise BadCheckpoint(f"The checkpoint's latent_avg has an unexpected shape {tuple(latent_avg.shape)}.")
    generator, notes = rosinality.build_generator(parts["decoder"], latent_avg)
    if generator.num_ws != styles:
        raise BadCheckpoint(f"The encoder gives {styles} styles, but the generator takes {generator.num_ws}.")
    modules: dict[str, nn.Module] = {"encoder": encoder, "generator": generator}
    if parts["residue"].names() or parts["grid_align"].names():
        modules["alignment"] = _build_alignment(parts["grid_align"])
        modules["consultation"] = _build_consultation(parts["residue"])
    for keys in parts.values():
        dropped += keys.finish()
    config = {name: module.config for name, module in modules.items()}
    return BuiltCheckpoint(FORMAT, modules, {"latent_avg": latent_avg}, config, dropped, notes)


def _count(keys: Keys, pattern: str) -> int:
    return len({match.group(1) for name in keys.names() if (match := re.match(pattern, name))})


def _take_table(keys: Keys, theirs: str, ours: str, table: dict[int, tuple], state: dict[str, Tensor]) -> None:
    for index, (layer, names) in table.items():
        for name in names:
            if name == "num_batches_tracked" and f"{theirs}.{index}.{name}" not in keys:
                state[f"{ours}.{layer}.{name}"] = torch.zeros((), dtype=torch.long)  # left out by some exports
            else:
                state[f"{ours}.{layer}.{name}"] = keys.take(f"{theirs}.{index}.{name}")


def _take_block(keys: Keys, theirs: str, ours: str, state: dict[str, Tensor]) -> None:
    _take_table(keys, f"{theirs}.res_layer", ours, _BLOCK, state)
    if f"{theirs}.res_layer.5.fc1.weight" in keys:
        state[f"{ours}.gate.squeeze.weight"] = keys.take(f"{theirs}.res_layer.5.fc1.weight")
        state[f"{ours}.gate.expand.weight"] = keys.take(f"{theirs}.res_layer.5.fc2.weight")
    if f"{theirs}.shortcut_layer.0.weight" in keys:
        table = {0: ("0", ("weight",)), 1: ("1", _NORM)}
        _take_table(keys, f"{theirs}.shortcut_layer", f"{ours}.shortcut", table, state)


def _build_encoder(keys: Keys) -> Encoder4Editing:
    blocks = _count(keys, r"body\.(\d+)\.")
    widths = [keys.shape(f"body.{i}.res_layer.3.weight")[0] for i in range(blocks)]
    styles = _count(keys, r"styles\.(\d+)\.")
    stem = keys.shape("input_layer.0.weight")[0]
    head, w_dim = keys.shape("styles.0.convs.0.weight")[0], keys.shape("styles.0.linear.weight")[0]
    stages = _stages(widths)
    if len(stages) != 4:
        raise BadCheckpoint("The checkpoint's encoder is no IR-SE network of four stages.")
    encoder = laid_out(Encoder4Editing, styles, w_dim, stem=stem, stages=stages, head=head)
    state: dict[str, Tensor] = {}
    _take_table(keys, "input_layer", "stem", _STEM, state)
    index = 0
    for i, (_, count) in enumerate(stages):
        for j in range(count):
            _take_block(keys, f"body.{index}", f"stages.{i}.{j}", state)
            index += 1
    for part in ("weight", "bias"):
        state[f"lateral_middle.{part}"] = keys.take(f"latlayer1.{part}")
        state[f"lateral_fine.{part}"] = keys.take(f"latlayer2.{part}")
    for i in range(styles):
        for j in range(_count(keys, rf"styles\.{i}\.convs\.(\d+)\.")):
            for part in ("weight", "bias"):
                state[f"heads.{i}.convs.{j}.{part}"] = keys.take(f"styles.{i}.convs.{2 * j}.{part}")
        for part in ("weight", "bias"):
            state[f"heads.{i}.linear.{part}"] = keys.take(f"styles.{i}.linear.{part}")
    load_strict(encoder, state, "encoder")
    return encoder


def _stages(widths: list[int]) -> list[tuple[int, int]]:
    """(channels, blocks) of each run of equal widths: each stage of IR-SE is wider than the one before."""
    stages: list[tuple[int, int]] = []
    for width in widths:
        if stages and stages[-1][0] == width:
            stages[-1] = (width, stages[-1][1] + 1)
        else:
            stages.append((width, 1))
    return stages


def _build_alignment(keys: Keys) -> DistortionAlignment:
    widths = [keys.shape("conv_layer1.0.weight")[0]]
    widths += [keys.shape(f"conv_layer{i}.0.res_layer.3.weight")[0] for i in (2, 3, 4)]
    blocks = _count(keys, r"conv_layer2\.(\d+)\.")
    module = laid_out(DistortionAlignment, widths, blocks=blocks)
    state: dict[str, Tensor] = {}
    _take_table(keys, "conv_layer1", "stem", _STEM, state)
    places = {"conv_layer2": "down.0", "conv_layer3": "down.1", "conv_layer4": "down.2",
              "dconv_layer1": "up.0", "dconv_layer2": "up.1", "dconv_layer3": "out"}  # fmt: skip
    for theirs, ours in places.items():
        for j in range(blocks):
            _take_block(keys, f"{theirs}.{j}", f"{ours}.{j}", state)
    load_strict(module, state, "alignment module")
    return module


def _build_consultation(keys: Keys) -> ConsultationEncoder:
    widths = [keys.shape("conv_layer1.0.weight")[0]]
    widths += [keys.shape(f"conv_layer{i}.0.res_layer.3.weight")[0] for i in (2, 3)]
    blocks = _count(keys, r"conv_layer2\.(\d+)\.")
    channels, hidden = keys.shape("condition_scale3.2.weight")[:2]
    module = laid_out(ConsultationEncoder, channels, widths, blocks=blocks, hidden=hidden)
    state: dict[str, Tensor] = {}
    _take_table(keys, "conv_layer1", "stem", _STEM, state)
    for i, theirs in enumerate(("conv_layer2", "conv_layer3")):
        for j in range(blocks):
            _take_block(keys, f"{theirs}.{j}", f"down.{i}.{j}", state)
    for ours in ("scale", "shift"):
        for i in range(2):
            for part in ("weight", "bias"):
                state[f"{ours}.{i}.{part}"] = keys.take(f"condition_{ours}3.{2 * i}.{part}")
    load_strict(module, state, "consultation encoder")
    return module
