"""The age and gender network of the npm package @vladmandic/face-api, and the reading of its weights.

The package (MIT; a fork of face-api.js by V. Mühler, whose networks these are) describes the network as a small
Xception (Chollet, CVPR 2017): an entry of one convolution and two reducing blocks, two blocks of three separable
convolutions, a reducing block and a last separable convolution; the mean of its 7 x 7 features gives the age in years
and two logits.
Weights are stored as TensorFlow.js stores them: a manifest, and bytes that stand for `scale * byte + min`.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_core.checkpoints import store
from gan_core.checkpoints.embedded import build_from_file
from gan_core.errors import BadCheckpoint, WeightsMissing

SIDE = 112
MEAN = (122.782, 117.001, 104.298)  # red, green, blue, of 255
GET = "run `npm pack @vladmandic/face-api@1.7.15`, unpack it, and give --age-model its folder package/model"
CONVERTED = "age_gender.safetensors"
MANIFEST = "age_gender_model-weights_manifest.json"


def _padded(x: Tensor, kernel: int, stride: int, value: float = 0.0) -> Tensor:
    """TensorFlow's "same": the odd pixel of padding is added below and to the right."""
    pads: list[int] = []
    for size in (x.shape[3], x.shape[2]):
        whole = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
        pads += [whole // 2, whole - whole // 2]
    return F.pad(x, pads, value=value)


class _Separable(nn.Module):
    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels_in, channels_in, 3, padding=1, groups=channels_in, bias=False)
        self.pointwise = nn.Conv2d(channels_in, channels_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.pointwise(self.depthwise(x))


class _Reducing(nn.Module):
    """Halves the side; the skip connection is a strided convolution."""

    def __init__(self, channels_in: int, channels_out: int, rectify: bool = True) -> None:
        super().__init__()
        self.rectify = rectify
        self.first = _Separable(channels_in, channels_out)
        self.second = _Separable(channels_out, channels_out)
        self.skip = nn.Conv2d(channels_in, channels_out, 1, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        y = self.second(self.first(x.relu() if self.rectify else x).relu())
        return F.max_pool2d(_padded(y, 3, 2, -math.inf), 3, 2) + self.skip(x)


class _Middle(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList([_Separable(channels, channels) for _ in range(3)])

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for convolution in self.convolutions:
            y = convolution(y.relu())
        return x + y


class AgeGenderNet(nn.Module):
    """Age in years and logits (male, female) of a face crop; `width` channels at the entry, 32 in the package."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.config = {"width": width}
        w = width
        self.entry = nn.Conv2d(3, w, 3, stride=2)
        self.down1, self.down2 = _Reducing(w, 2 * w, rectify=False), _Reducing(2 * w, 4 * w)
        self.middle = nn.Sequential(_Middle(4 * w), _Middle(4 * w))
        self.down3 = _Reducing(4 * w, 8 * w)
        self.last = _Separable(8 * w, 16 * w)
        self.age, self.gender = nn.Linear(16 * w, 1), nn.Linear(16 * w, 2)
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """Ages (N,) and logits (N, 2) of crops (N, 3, 112, 112) in [0, 255]."""
        x = self.entry(_padded((crops - self.mean) / 255, 3, 2)).relu()
        x = self.middle(self.down2(self.down1(x)))
        features = self.last(self.down3(x)).relu().mean((2, 3))
        return self.age(features)[:, 0], self.gender(features)


def _places() -> dict[str, str]:
    """The package's name of every layer of this network."""
    layers = {
        "entry": "entry_flow/conv_in",
        "last": "exit_flow/separable_conv",
        "age": "fc/age",
        "gender": "fc/gender",
    }
    blocks = {"down1": "entry_flow/reduction_block_0", "down2": "entry_flow/reduction_block_1"}
    blocks["down3"] = "exit_flow/reduction_block"
    for ours, theirs in blocks.items():
        layers |= {f"{ours}.first": f"{theirs}/separable_conv0", f"{ours}.second": f"{theirs}/separable_conv1"}
        layers[f"{ours}.skip"] = f"{theirs}/expansion_conv"
    for i in range(2):
        for j in range(3):
            layers[f"middle.{i}.convolutions.{j}"] = f"middle_flow/main_block_{i}/separable_conv{j}"
    return layers


def parameter_names() -> dict[str, str]:
    """{parameter of `AgeGenderNet`: name in the package's manifest}."""
    network, names = AgeGenderNet(width=1), {}
    for layer, theirs in _places().items():
        module = network.get_submodule(layer)
        if isinstance(module, _Separable):
            names[f"{layer}.depthwise.weight"] = f"{theirs}/depthwise_filter"
            names[f"{layer}.pointwise.weight"] = f"{theirs}/pointwise_filter"
            names[f"{layer}.pointwise.bias"] = f"{theirs}/bias"
        else:
            names[f"{layer}.weight"] = f"{theirs}/{'weights' if isinstance(module, nn.Linear) else 'filters'}"
            names[f"{layer}.bias"] = f"{theirs}/bias"
    return names


def read_manifest(path: Path) -> dict[str, Tensor]:
    """The tensors of a TensorFlow.js manifest, in their own layout: float32, or uint8 that stands for it.

    Raises BadCheckpoint where it is damaged, of another type, or its bytes do not fit.
    """
    tensors: dict[str, Tensor] = {}
    try:
        for group in json.loads(path.read_text()):
            data = b"".join((path.parent / name).read_bytes() for name in group["paths"])
            at = 0
            for entry in group["weights"]:
                quantised = entry.get("quantization")
                if entry["dtype"] != "float32" or (quantised and quantised["dtype"] != "uint8"):
                    raise BadCheckpoint(f"{path.name} has numbers of a type that is not read here.")
                kind, count = np.dtype(np.uint8 if quantised else "<f4"), math.prod(entry["shape"])
                values = np.frombuffer(data, kind, count, at).astype(np.float32)
                if quantised:
                    values = values * np.float32(quantised["scale"]) + np.float32(quantised["min"])
                at += count * kind.itemsize
                tensors[entry["name"]] = torch.from_numpy(values.reshape(entry["shape"]))
            if at != len(data):
                raise BadCheckpoint(f"The weights beside {path.name} do not fit it; get the package again.")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadCheckpoint(f"{path.name}, or the weights beside it, are damaged; get the package again.") from error
    return tensors


def convert(manifest: Path, target: Path) -> None:
    """Write the package's network as this project's own weight file. Raises BadCheckpoint."""
    theirs, tensors = read_manifest(manifest), {}
    for ours, name in parameter_names().items():
        if name not in theirs:
            raise BadCheckpoint(f"{manifest.name} is not of the age and gender network: {name} is missing.")
        value = theirs[name]
        if value.ndim == 4:  # height, width, in, out; a depthwise filter has its channels third
            value = value.permute(2, 3, 0, 1) if name.endswith("depthwise_filter") else value.permute(3, 2, 0, 1)
        elif value.ndim == 2:
            value = value.T
        tensors[ours] = value.contiguous()
    store.save(target, tensors, config={"width": len(tensors["entry.bias"])}, half=False)


def load_network(folder: Path) -> AgeGenderNet:
    """The network of a folder, converted there the first time. Raises WeightsMissing or BadCheckpoint."""
    converted, manifest = folder / CONVERTED, folder / MANIFEST
    if not converted.is_file():
        if not manifest.is_file():
            raise WeightsMissing(f"There is no age network in {folder}: {GET}.")
        convert(manifest, converted)
    network, _ = build_from_file(AgeGenderNet, converted, "age network")
    assert isinstance(network, AgeGenderNet)
    return network.eval().requires_grad_(False)
