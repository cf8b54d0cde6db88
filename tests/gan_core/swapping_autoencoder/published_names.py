"""A model's tensors under the names of the published code, by the rules of the format."""

import torch
from torch import Tensor, nn

from tests.gan_core.checkpoints.test_adapters import FILTER

LIGHT = torch.outer(torch.tensor([1.0, 2.0, 1.0]), torch.tensor([1.0, 2.0, 1.0])) / 16


def _conv(theirs: str, part: str, *, activated: bool = True) -> str:
    return f"{theirs}.Conv.weight" if part == "weight" else f"{theirs}.{'Act' if activated else 'Conv'}.bias"


def _down(theirs: str, layer: str, part: str, blur: Tensor, out: dict) -> str:
    layer = {"conv": "conv1", "conv_down": "conv2", "skip": "skip"}[layer]
    if layer != "conv1":
        out[f"{theirs}.{layer}.Blur.kernel"] = blur
    return _conv(f"{theirs}.{layer}", part)


def encoder(net: nn.Module) -> dict[str, Tensor]:
    out: dict[str, Tensor] = {}
    for name, value in net.state_dict().items():
        parts = name.split(".")
        if parts[0] == "from_rgb":
            name = _conv("FromRGB", parts[1])
        elif parts[0] == "blocks":
            at = f"DownToSpatialCode.ResBlockDownBy{1 << int(parts[1])}"
            name = _down(at, parts[2], parts[3], LIGHT, out)
        elif parts[0] == "to_structure":
            name = _conv(f"ToSpatialCode.{parts[1]}", parts[2], activated=parts[1] == "0")
        elif parts[0] == "texture":
            at = f"DownToGlobalCode.ConvLayerDownBy{net.step << int(parts[1])}"
            out[f"{at}.Blur.kernel"] = torch.ones(1, 1)
            name = _conv(at, parts[2])
        else:
            name = f"ToGlobalCode.0.{parts[1]}"
        out[name] = value.clone()
    return {f"E.{name}": value for name, value in out.items()}


def generator(net: nn.Module) -> dict[str, Tensor]:
    out: dict[str, Tensor] = {"ToRGB.upsample.kernel": FILTER * 4}
    for name, value in net.state_dict().items():
        parts = name.split(".")
        if parts[0] in ("scale", "shift"):
            name = f"SpatialCodeModulation.{'scale' if parts[0] == 'scale' else 'bias'}.{parts[1]}"
        elif parts[-2:] == ["skip", "weight"] or parts[-2:] == ["skip", "bias"]:
            block = f"HeadResnetBlock{parts[1]}" if parts[0] == "head" else f"UpsamplingResBlock{16 << int(parts[1])}"
            name = _conv(f"{block}.skip", parts[-1])
        else:
            if parts[0] == "to_rgb":
                at, rest, bias = "ToRGB", ".".join(parts[1:]), "bias"
                value = value.reshape(1, 3, 1, 1) if rest == "bias" else value
            else:
                up = parts[0] == "blocks"
                block = f"UpsamplingResBlock{16 << int(parts[1])}" if up else f"HeadResnetBlock{parts[1]}"
                at, rest, bias = f"{block}.{parts[2]}", ".".join(parts[3:]), "activate.bias"
                if up and parts[2] == "conv1":
                    out[f"{at}.conv.blur.kernel"] = FILTER * 4
            table = {"weight": "conv.weight", "bias": bias, "noise_strength": "noise.weight"}
            name = f"{at}." + (table.get(rest) or rest.replace("affine", "conv.modulation"))
            value = value[None] if rest in ("weight", "noise_strength") else value
        out[name] = value.clone()
    return {f"G.{name}": value for name, value in out.items()}


def discriminator(net: nn.Module) -> dict[str, Tensor]:
    out: dict[str, Tensor] = {}
    for name, value in net.state_dict().items():
        parts = name.split(".")
        if parts[0] == "from_rgb":
            name = _conv("convs.0", parts[1])
        elif parts[0] == "blocks":
            name = _down(f"convs.{int(parts[1]) + 1}", parts[2], parts[3], FILTER, out)
        elif parts[1] == "conv":
            name = _conv("final_conv", parts[2])
        else:
            name = f"final_linear.{0 if parts[1] == 'fc' else 1}.{parts[2]}"
        out[name] = value.clone()
    return {f"D.stylegan2_D.{name}": value for name, value in out.items()}


def patch_discriminator(net: nn.Module) -> dict[str, Tensor]:
    out: dict[str, Tensor] = {}
    for name, value in net.state_dict().items():
        parts = name.split(".")
        if parts[0] == "from_rgb":
            name = _conv("convs.0", parts[1])
        elif parts[0] == "blocks":
            side = net.crop_size >> int(parts[1])
            at = f"{side}x{side}" if side > 64 else str(8 - side.bit_length())
            name = _down(f"convs.{at}", parts[2], parts[3], FILTER, out)
        elif parts[0] == "widen":
            name = _conv(f"convs.5.{parts[1]}", parts[2])
        elif parts[0] == "last":
            name = _conv("convs.6", parts[1])
        else:
            name = f"pairlinear.{parts[1]}.{parts[2]}"
        out[name] = value.clone()
    return {f"Dpatch.{name}": value for name, value in out.items()}
