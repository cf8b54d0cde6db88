"""A generator's tensors under the names of the two published code bases, by the rules of the formats."""

import torch
from torch import Tensor

from gan_core.comodgan.networks import CoModGenerator
from tests.gan_core.checkpoints.test_adapters import FILTER


def _place(name: str, resolution: int) -> tuple[str, str, str]:
    """Sub-network and layer path of one of our names, and the rest of it."""
    parts = name.split(".")
    if parts[0] == "mapping":
        return "mapping", f"Dense{parts[2]}", parts[3]
    if parts[0] == "start":
        return "synthesis", "G_4x4/Dense", parts[1]
    if parts[0] == "synthesis":
        side = 4 << int(parts[2])
        layer = {"conv_up": "Conv0_up", "conv": "Conv1" if side > 4 else "Conv", "to_rgb": "ToRGB"}[parts[3]]
        return "synthesis", f"G_{side}x{side}/{layer}", ".".join(parts[4:])
    if parts[1] == "blocks":
        side = resolution >> int(parts[2])
        return "synthesis", f"E_{side}x{side}/{'Conv0' if parts[3] == 'conv' else 'Conv1_down'}", parts[4]
    layer = {"from_rgb": f"E_{resolution}x{resolution}/FromRGB", "conv": "E_4x4/Conv", "fc": "E_4x4/Dense0"}[parts[1]]
    return "synthesis", layer, parts[2]


def tensorflow(net: CoModGenerator) -> dict:
    """The tuple (G, D, Gs) as the reader gives it."""
    parts: dict[str, dict[str, Tensor]] = {"mapping": {}, "synthesis": {}}
    noise = 0
    for name, value in net.state_dict().items():
        if name == "mapping.w_avg":
            continue
        part, layer, rest = _place(name, net.resolution)
        value = value.clone()
        if rest == "noise_const":
            layer, rest, value, noise = f"noise{noise}", "", value[None, None], noise + 1
        elif rest == "weight":
            value = value.t() if value.ndim == 2 else value.permute(2, 3, 1, 0)
            value = value.flip(0, 1) if layer.endswith("Conv0_up") else value
        elif rest == "affine.weight":
            rest, value = "mod_weight", value.t()
        elif rest == "affine.bias":
            rest, value = "mod_bias", value - 1
        parts[part][f"{layer}/{rest}".rstrip("/")] = value.contiguous()
    components = {key: {"name": f"G_{key}", "variables": part, "components": {}} for key, part in parts.items()}
    variables = {"lod": torch.zeros(()), "dlatent_avg": net.mapping.w_avg.clone()}
    return {"G": {}, "D": {}, "Gs": {"name": "G", "variables": variables, "components": components}}


def port(net: CoModGenerator) -> dict[str, Tensor]:
    """The flat state_dict of co-mod-gan-pytorch."""
    result = {}
    for name, value in net.state_dict().items():
        if name == "mapping.w_avg" or name.endswith("noise_const"):
            continue
        part, layer, rest = _place(name, net.resolution)
        if part == "mapping":
            at = f"G_mapping.G_mapping.{layer}"
        else:
            at = "G_synthesis." + layer.replace("/", ".").replace("E_", "E.").replace(".FromRGB", "_0.FromRGB")
        if "ToRGB" in layer or (layer.startswith("G_") and "Conv" in layer):
            if rest == "weight":
                rest, value = "conv.weight", value[None]
            elif rest.startswith("affine"):
                rest = rest.replace("affine", "conv.modulation")
            elif rest == "noise_strength":
                rest, value = "noise.weight", value.reshape(1)
            elif "ToRGB" in layer:
                value = value.reshape(1, 3, 1, 1)
            else:
                rest = "activate.bias"
            if layer.endswith("Conv0_up"):
                result[f"{at}.conv.blur.kernel"] = FILTER * 4
            elif layer.endswith("ToRGB") and not layer.startswith("G_4x4"):
                result[f"{at}.upsample.kernel"] = FILTER * 4
        elif layer.startswith("E_") and "Dense" not in layer:
            first = int("down" in layer)
            rest = str(first + (rest == "bias")) + "." + rest
            if first:
                result[f"{at}.0.kernel"] = FILTER
        result[f"{at}.{rest}"] = value.clone()
    return result


def migan(net: CoModGenerator) -> dict[str, Tensor]:
    """The flat state_dict of MI-GAN's authors' CoModGAN."""
    result = {}
    for name, value in net.state_dict().items():
        parts = name.split(".")
        if name == "mapping.w_avg":
            at = name
        elif parts[0] == "mapping":
            at = f"mapping.fc{parts[2]}.{parts[3]}"
        elif parts[0] == "start":
            at = f"synthesis.b4.fc.{parts[1]}"
        elif parts[0] == "synthesis":
            side = 4 << int(parts[2])
            layer = {"conv_up": "conv0", "conv": "conv1" if side > 4 else "conv", "to_rgb": "torgb"}[parts[3]]
            at = f"synthesis.b{side}.{layer}.{'.'.join(parts[4:])}"
            result[f"synthesis.b{side}.resample_filter"] = FILTER
        elif parts[1] == "blocks":
            layer = "conv0" if parts[3] == "conv" else "conv1"
            at = f"encoder.b{net.resolution >> int(parts[2])}.{layer}.{parts[4]}"
        elif parts[1] == "from_rgb":
            at = f"encoder.b{net.resolution}.fromrgb.{parts[2]}"
        else:
            at = f"encoder.b4.{parts[1]}.{parts[2]}"
        result[at] = value.clone()
    result[f"encoder.b{net.resolution}.conv1.resample_filter"] = FILTER
    return result
