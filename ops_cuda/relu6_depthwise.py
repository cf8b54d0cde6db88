"""Depthwise convolution between two ReLU6: the middle of an inverted residual block, in one pass.

    y = relu6(depthwise(relu6(x + in_bias)) + bias)

EfficientNet-Lite0 (the ImageNet features of `gan_core.features`) spends most of its time here. The weights are frozen
wherever this project uses the network, so only the gradient with respect to x exists, and only once.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ops_cuda import backend
from ops_cuda.operation import operation
from ops_cuda.upfirdn2d import channels_innermost

LIMIT = 6.0


def relu6_depthwise(x: Tensor, in_bias: Tensor, weight: Tensor, bias: Tensor, *, stride: int = 1) -> Tensor:
    """Add a bias, apply ReLU6, convolve each channel with its own kernel, add a bias, apply ReLU6.

    Padding is TensorFlow's "same": zeros around relu6(x + in_bias), so that a side of `size` becomes
    ceil(size / stride), where odd amounts put the larger half to the right and below.

    Args:
        x: (N, C, H, W), any floating dtype; channels_last is served by the GPU kernel.
        in_bias: (C,), added before the first ReLU6.
        weight: (C, 1, k, k), k odd.
        bias: (C,), added before the second ReLU6.
        stride: 1 or 2.

    Returns:
        (N, C, ceil(H / stride), ceil(W / stride)), in x's dtype, values in [0, 6].

    Raises:
        ValueError: shapes that do not fit, another stride, or weights that require gradients.
    """
    c = x.shape[1] if x.ndim == 4 else -1
    k = weight.shape[-1]
    if weight.shape != (c, 1, k, k) or k % 2 == 0 or in_bias.shape != (c,) or bias.shape != (c,):
        raise ValueError(f"x {tuple(x.shape)} and weight {tuple(weight.shape)} do not fit a depthwise convolution")
    if stride not in (1, 2):
        raise ValueError(f"stride is 1 or 2, not {stride}")
    if weight.requires_grad or bias.requires_grad or in_bias.requires_grad:
        raise ValueError("relu6_depthwise has no gradient for its weights: they must be frozen")
    return _relu6_depthwise(x, in_bias, weight, bias, stride)


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Zeros before and after a side of `size` pixels for TensorFlow's "same" padding."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def _paddings(x: Tensor, kernel: int, stride: int) -> tuple[int, int, int, int]:
    return (*same_padding(x.shape[3], kernel, stride), *same_padding(x.shape[2], kernel, stride))


def _reference(x: Tensor, in_bias: Tensor, weight: Tensor, bias: Tensor, stride: int) -> Tensor:
    dtype = x.dtype
    x = F.relu6(x + in_bias.to(dtype).view(1, -1, 1, 1))
    x = F.pad(x, _paddings(x, weight.shape[-1], stride))
    return F.relu6(F.conv2d(x, weight.to(dtype), bias.to(dtype), stride=stride, groups=x.shape[1]))


def _reference_backward(dy: Tensor, y: Tensor, x: Tensor, in_bias: Tensor, weight: Tensor, stride: int) -> Tensor:
    k = weight.shape[-1]
    left, right, top, bottom = _paddings(x, k, stride)
    n, c, h, w = x.shape
    dy = dy * ((y > 0) & (y < LIMIT))
    padded = (n, c, h + top + bottom, w + left + right)
    dx = torch.nn.grad.conv2d_input(padded, weight.to(dy.dtype), dy, stride=stride, groups=c)
    dx = dx[:, :, top : top + h, left : left + w]
    inside = x + in_bias.to(x.dtype).view(1, -1, 1, 1)
    return dx * ((inside > 0) & (inside < LIMIT))


@operation("relu6_depthwise")
def _relu6_depthwise(x: Tensor, in_bias: Tensor, weight: Tensor, bias: Tensor, stride: int) -> Tensor:
    kernel = backend.kernel_for(x, "relu6_depthwise") if channels_innermost(x) else None
    if kernel is not None:
        try:
            return kernel.forward(x, in_bias, weight, bias, stride)
        except Exception as error:
            backend.give_up(error, "relu6_depthwise")
    return _reference(x, in_bias, weight, bias, stride).contiguous(memory_format=_format(x))


@operation("relu6_depthwise_backward")
def _relu6_depthwise_backward(dy: Tensor, y: Tensor, x: Tensor, in_bias: Tensor, weight: Tensor, stride: int) -> Tensor:
    kernel = backend.kernel_for(x, "relu6_depthwise", "backward") if channels_innermost(x) else None
    if kernel is not None:
        try:
            return kernel.backward(dy, y, x, in_bias, weight, stride)
        except Exception as error:
            backend.give_up(error, "relu6_depthwise", "backward")
    return _reference_backward(dy, y, x, in_bias, weight, stride).contiguous(memory_format=_format(x))


def _format(x: Tensor) -> torch.memory_format:
    return torch.channels_last if channels_innermost(x) else torch.contiguous_format


@_relu6_depthwise.register_fake
def _(x: Tensor, in_bias: Tensor, weight: Tensor, bias: Tensor, stride: int) -> Tensor:
    size = (-(-x.shape[2] // stride), -(-x.shape[3] // stride))
    return x.new_empty(*x.shape[:2], *size).contiguous(memory_format=_format(x))


@_relu6_depthwise_backward.register_fake
def _(dy: Tensor, y: Tensor, x: Tensor, in_bias: Tensor, weight: Tensor, stride: int) -> Tensor:
    return x.new_empty(x.shape).contiguous(memory_format=_format(x))


def _save(ctx, inputs, output) -> None:  # noqa: ANN001
    x, in_bias, weight, _, ctx.stride = inputs
    ctx.save_for_backward(output, x, in_bias, weight)


def _backward(ctx, dy: Tensor):  # noqa: ANN001, ANN202
    y, x, in_bias, weight = ctx.saved_tensors
    return _relu6_depthwise_backward(dy, y, x, in_bias, weight, ctx.stride), None, None, None, None


_relu6_depthwise.register_autograd(_backward, setup_context=_save)
