"""Adapters on shapes that the fixtures do not have: other sizes, depths, label widths, and what does not fit.

A random network is given published names by the rules of the formats; building it back must give the same
picture.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from gan_core.checkpoints.formats import build
from gan_core.errors import BadCheckpoint
from gan_core.stylegan2 import Discriminator, Generator

LINE = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
FILTER = torch.outer(LINE, LINE)


def random_generator(resolution: int = 32, **arguments: object) -> Generator:
    torch.manual_seed(0)
    sizes = {
        "z_dim": 24,
        "w_dim": 16,
        "mapping_layers": 3,
        "channel_base": 256,
        "channel_max": 20,
    } | arguments
    net = Generator(resolution, **sizes)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        net.mapping.w_avg.normal_()
    return net.eval()


def nvidia_names(net: Generator) -> dict[str, Tensor]:
    """The network's tensors under the names of NVIDIA's PyTorch code."""
    result = {}
    for name, value in net.state_dict().items():
        parts = name.split(".")
        if parts[0] == "mapping":
            name = name.replace("layers.", "fc")
        elif name == "synthesis.start":
            name = "synthesis.b4.const"
        else:
            layer = {"conv_up": "conv0", "conv": "conv1", "to_rgb": "torgb"}[parts[3]]
            block = f"synthesis.b{4 << int(parts[2])}"
            name = ".".join([block, layer, *parts[4:]])
            result[f"{block}.resample_filter"] = FILTER
            if layer != "torgb":
                result[f"{block}.{layer}.resample_filter"] = FILTER
        result[name] = value.clone()
    return result


def rosinality_names(net: Generator) -> dict[str, Tensor]:
    """The network's tensors under rosinality's names."""
    result = {}
    for name, value in net.state_dict().items():
        parts = name.split(".")
        if name == "mapping.w_avg":
            continue
        if parts[0] == "mapping":
            name = f"style.{int(parts[2]) + 1}.{parts[3]}"
        elif name == "synthesis.start":
            name, value = "input.input", value[None]
        else:
            block, layer, rest = int(parts[2]), parts[3], ".".join(parts[4:])
            index = 2 * block - (layer == "conv_up")
            at = f"convs.{index - 1}" if index else "conv1"
            if layer == "to_rgb":
                at = f"to_rgbs.{block - 1}" if block else "to_rgb1"
                result |= {f"{at}.upsample.kernel": FILTER * 4} if block else {}
            elif layer == "conv_up":
                result[f"{at}.conv.blur.kernel"] = FILTER * 4
            if rest == "noise_const":
                name, value = f"noises.noise_{index}", value[None, None]
            elif rest == "noise_strength":
                name, value = f"{at}.noise.weight", value.reshape(1)
            elif rest == "bias":
                name = f"{at}.bias" if layer == "to_rgb" else f"{at}.activate.bias"
                value = value.reshape(1, 3, 1, 1) if layer == "to_rgb" else value
            elif rest == "weight":
                name, value = f"{at}.conv.weight", value[None]
            else:
                name = f"{at}.conv.modulation.{parts[-1]}"
        result[name] = value.clone()
    return result


SHAPES = [
    {},
    {"resolution": 64, "mapping_layers": 1},
    {"c_dim": 5, "mapping_layers": 2},
    {"start_shape": (4, 2), "z_dim": 16},
    {"resolution": 8, "channel_base": 32, "channel_max": 512},
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_nvidia_round_trip(shape: dict) -> None:
    net = random_generator(**shape)
    built = build(nvidia_names(net))
    assert built.format == ("stylegan_human" if "start_shape" in shape else "nvidia_stylegan2")
    assert all(name.endswith("resample_filter") for name in built.dropped)
    z = torch.randn(2, net.mapping.z_dim)
    c = torch.eye(5)[:2] if net.mapping.c_dim else None
    assert torch.equal(built.modules["generator"](z, c, psi=0.6, noise="const"), net(z, c, psi=0.6, noise="const"))


def test_nvidia_file_of_several_networks() -> None:
    net = random_generator()
    tensors = nvidia_names(net)
    file = {"G_ema": {"class_name": "Generator", "tensors": tensors}, "G": {}, "augment_pipe": None}
    built = build(file)
    assert {"G", "augment_pipe"} <= set(built.dropped) and built.config["generator"]["resolution"] == 32


@pytest.mark.parametrize("shape", [{"z_dim": 16}, {"z_dim": 16, "start_shape": (4, 2), "resolution": 64}], ids=str)
def test_rosinality_round_trip(shape: dict) -> None:
    net = random_generator(**shape)
    file = {"g_ema": rosinality_names(net), "latent_avg": net.mapping.w_avg, "args": {"size": 32}}
    built = build(file)
    z = torch.randn(2, 16)
    assert torch.equal(built.modules["generator"](z, psi=0.5, noise="const"), net(z, psi=0.5, noise="const"))
    assert "args" in built.dropped and not built.notes
    without = build(rosinality_names(net))  # a bare state_dict, no mean latent
    assert "estimated" in without.notes[0]
    expected = net.mapping(torch.randn(4096, 16)).mean(0)
    assert torch.allclose(without.modules["generator"].mapping.w_avg, expected, atol=0.3)


def nvidia_discriminator_names(net: Discriminator) -> dict[str, Tensor]:
    top = net.config["resolution"]
    result = {}
    for name, value in net.state_dict().items():
        parts = name.split(".")
        if parts[0] == "from_rgb":
            name = f"b{top}.fromrgb.{parts[1]}"
        elif parts[0] == "blocks":
            layer = {"conv": "conv0", "conv_down": "conv1", "skip": "skip"}[parts[2]]
            name = f"b{top >> int(parts[1])}.{layer}.{parts[3]}"
            result[f"b{top >> int(parts[1])}.{layer}.resample_filter"] = FILTER
        elif parts[0] == "label":
            name = f"mapping.embed.{parts[2]}" if parts[1] == "0" else f"mapping.fc{int(parts[1]) - 1}.{parts[2]}"
        else:
            name = f"b4.{parts[1]}.{parts[2]}"
        result[name] = value.clone()
    return result


@pytest.mark.parametrize("c_dim", [0, 4])
def test_nvidia_discriminator(c_dim: int) -> None:
    torch.manual_seed(0)
    net = Discriminator(32, c_dim=c_dim, channel_base=256, channel_max=20)
    file = {"G_ema": nvidia_names(random_generator(c_dim=c_dim)), "D": nvidia_discriminator_names(net)}
    image, c = torch.randn(4, 3, 32, 32), torch.eye(4) if c_dim else None
    assert torch.equal(build(file).modules["discriminator"](image, c), net(image, c))


def test_what_does_not_fit_is_refused() -> None:
    tensors = nvidia_names(random_generator())
    changes = {
        "lacks": {"synthesis.b8.conv1.bias": None},
        "no place": {"synthesis.b8.surprise": torch.ones(1)},
        "filter": {"synthesis.b8.resample_filter": torch.ones(4, 4)},
        "shape": {"synthesis.b8.conv1.affine.bias": torch.ones(3)},
        "fit no known": {"synthesis.b32.conv1.weight": torch.ones(19, 19, 3, 3)},
    }
    for words, change in changes.items():
        changed = {name: value for name, value in {**tensors, **change}.items() if value is not None}
        with pytest.raises(BadCheckpoint, match=words):
            build(changed)
    with pytest.raises(BadCheckpoint, match="no supported format"):
        build({"layer.weight": torch.ones(2)})
