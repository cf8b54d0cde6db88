"""Convolution whose gradients are convolutions again, to any order.

PyTorch's own second derivative of a convolution computes the weight's part as a convolution with a kernel as large as
the picture, for which cuDNN has no fast algorithm; with a gradient penalty that took a quarter of a training step.
Here the three operations of a convolution (output, input gradient, weight gradient) are closed
under differentiation, so every one of them runs on the matrix units.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ops_cuda.operation import operation


def conv2d(x: Tensor, weight: Tensor, *, stride: int = 1, padding: int = 0) -> Tensor:
    """Convolve x (N, I, H, W) with weight (O, I, k, k); (N, O, (H + 2 padding - k) // stride + 1, ...), x's dtype."""
    return _any(x, weight, stride, padding, False)


def conv_transpose2d(x: Tensor, weight: Tensor, *, stride: int = 1, padding: int = 0) -> Tensor:
    """The adjoint of `conv2d` for weight (I, O, k, k): (N, O, (H - 1) stride - 2 padding + k, ...), in x's dtype."""
    return _any(x, weight, stride, padding, True)


def _any(x: Tensor, weight: Tensor, stride: int, padding: int, transposed: bool) -> Tensor:
    if torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad):
        return _convolution(x, weight, stride, padding, transposed, [0, 0])
    return _aten(x, weight, stride, padding, transposed, [0, 0])


def _aten(x: Tensor, weight: Tensor, stride: int, padding: int, transposed: bool, extra: list[int]) -> Tensor:
    return torch.ops.aten.convolution(
        x, weight, None, [stride, stride], [padding, padding], [1, 1], transposed, extra, 1
    )


@operation("convolution")
def _convolution(x: Tensor, weight: Tensor, stride: int, padding: int, transposed: bool, extra: list[int]) -> Tensor:
    # extra: rows and columns that a transposed convolution has beyond its smallest output
    return _aten(x, weight, stride, padding, transposed, extra)


@_convolution.register_fake
def _(x: Tensor, weight: Tensor, stride: int, padding: int, transposed: bool, extra: list[int]) -> Tensor:
    return _aten(x, weight, stride, padding, transposed, extra)


def _save(ctx, inputs, output) -> None:  # noqa: ANN001
    x, weight, ctx.stride, ctx.padding, ctx.transposed, ctx.extra = inputs
    ctx.save_for_backward(x, weight)


def _backward(ctx, dy: Tensor):  # noqa: ANN001, ANN202
    x, weight = ctx.saved_tensors
    dx = dweight = None
    if ctx.needs_input_grad[0]:
        dx = _adjoint(dy, weight, ctx.stride, ctx.padding, ctx.transposed, x.shape)
    if ctx.needs_input_grad[1]:
        dweight = _weight_gradient(x, dy, list(weight.shape), ctx.stride, ctx.padding, ctx.transposed, ctx.extra)
    return dx, dweight, None, None, None, None


_convolution.register_autograd(_backward, setup_context=_save)


def _adjoint(dy: Tensor, weight: Tensor, stride: int, padding: int, transposed: bool, shape: torch.Size) -> Tensor:
    """The gradient with respect to the input, of that shape."""
    extra = [0, 0]
    if not transposed:  # a stride may have left pixels at the end unseen
        kernel = weight.shape[2:]
        extra = [shape[i + 2] - ((dy.shape[i + 2] - 1) * stride - 2 * padding + kernel[i]) for i in (0, 1)]
    return _convolution(dy, weight, stride, padding, not transposed, extra)


def _format(x: Tensor) -> torch.memory_format:
    dense = x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
    return torch.channels_last if dense else torch.contiguous_format


def _aten_weight_gradient(
    x: Tensor, dy: Tensor, shape: list[int], stride: int, padding: int, transposed: bool, extra: list[int]
) -> Tensor:
    weight = x.new_empty(shape).contiguous(memory_format=_format(x))  # only its shape and layout are read
    return torch.ops.aten.convolution_backward(
        dy, x, weight, None, [stride, stride], [padding, padding], [1, 1], transposed, extra, 1, [False, True, False]
    )[1]


@operation("convolution_weight_gradient")
def _weight_gradient(
    x: Tensor, dy: Tensor, shape: list[int], stride: int, padding: int, transposed: bool, extra: list[int]
) -> Tensor:
    return _aten_weight_gradient(x, dy, shape, stride, padding, transposed, extra)


@_weight_gradient.register_fake
def _(x: Tensor, dy: Tensor, shape: list[int], stride: int, padding: int, transposed: bool, extra: list[int]) -> Tensor:
    return _aten_weight_gradient(x, dy, shape, stride, padding, transposed, extra)


def _save_weight_gradient(ctx, inputs, output) -> None:  # noqa: ANN001
    x, dy, _, ctx.stride, ctx.padding, ctx.transposed, ctx.extra = inputs
    ctx.save_for_backward(x, dy)


def _backward_weight_gradient(ctx, ddweight: Tensor):  # noqa: ANN001, ANN202
    # The weight's gradient is bilinear in x and dy: each derivative is the convolution with ddweight in its place.
    x, dy = ctx.saved_tensors
    dx = ddy = None
    if ctx.needs_input_grad[0]:
        dx = _adjoint(dy, ddweight, ctx.stride, ctx.padding, ctx.transposed, x.shape)
    if ctx.needs_input_grad[1]:
        ddy = _convolution(x, ddweight, ctx.stride, ctx.padding, ctx.transposed, ctx.extra)
    return dx, ddy, None, None, None, None, None


_weight_gradient.register_autograd(_backward_weight_gradient, setup_context=_save_weight_gradient)
