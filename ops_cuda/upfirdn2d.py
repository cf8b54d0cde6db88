"""Upsample by zero insertion, pad, filter with a FIR kernel, downsample.

The resampling of StyleGAN2 (Karras et al. 2019, section 3; the [1, 3, 3, 1] filter of Zhang 2019). The gradient of
this operation is the same operation with the filter flipped and `up` and `down` exchanged.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ops_cuda import backend
from ops_cuda.operation import operation


def setup_filter(taps: tuple[float, ...] = (1, 3, 3, 1)) -> Tensor:
    """The outer product of `taps` with itself, float32 (k, k), normalised to sum 1."""
    row = torch.tensor(taps, dtype=torch.float32, device="cpu")  # a constant also where a network is laid out only
    kernel = torch.outer(row, row)
    return kernel / kernel.sum()


def upfirdn2d(
    x: Tensor,
    filter: Tensor,
    *,
    up: int = 1,
    down: int = 1,
    padding: tuple[int, int, int, int] = (0, 0, 0, 0),
    gain: float = 1.0,
) -> Tensor:
    """Resample a batch of feature maps.

    Args:
        x: (N, C, H, W).
        filter: (kh, kw), float32; the operation is a true convolution (the filter is flipped).
        up: zeros are inserted so that each side grows by this factor.
        down: every `down`-th pixel is kept, from the first.
        padding: pixels added left, right, top, bottom, after zero insertion; negative values crop.
        gain: factor on the result; upsampling wants `up ** 2` to keep the brightness.

    Returns:
        (N, C, (H * up + top + bottom - kh) // down + 1, (W * up + left + right - kw) // down + 1), in x's dtype.

    Raises:
        ValueError: x is not 4-dimensional, or the padded picture is smaller than the filter.
    """
    if x.ndim != 4 or filter.ndim != 2:
        raise ValueError("upfirdn2d takes x (N, C, H, W) and a filter (kh, kw)")
    if min(_output_size(x.shape, filter.shape, up, down, padding)) < 1:
        raise ValueError(f"a picture of {tuple(x.shape[2:])} is too small for filter {tuple(filter.shape)}")
    return _upfirdn2d(x, filter, up, down, list(padding), False, gain)


def _output_size(shape, kernel, up: int, down: int, padding) -> tuple[int, int]:  # noqa: ANN001
    left, right, top, bottom = padding
    return (
        (shape[2] * up + top + bottom - kernel[0]) // down + 1,
        (shape[3] * up + left + right - kernel[1]) // down + 1,
    )


def _reference(x: Tensor, filter: Tensor, up: int, down: int, padding: list[int], flip: bool, gain: float) -> Tensor:
    n, c, h, w = x.shape
    if up > 1:
        spread = x.new_zeros(n, c, h * up, w * up)
        if x.is_contiguous(memory_format=torch.channels_last):
            spread = spread.to(memory_format=torch.channels_last)
        spread[:, :, ::up, ::up] = x
        x = spread
    if any(padding):
        x = torch.nn.functional.pad(x, padding)
    kernel = (filter if flip else filter.flip(0, 1)) * gain  # conv2d correlates
    kernel = kernel.to(x.dtype).expand(c, 1, *filter.shape)
    return torch.nn.functional.conv2d(x, kernel, stride=down, groups=c)


@operation("upfirdn2d")
def _upfirdn2d(x: Tensor, filter: Tensor, up: int, down: int, padding: list[int], flip: bool, gain: float) -> Tensor:
    kernel = backend.kernel_for(x, "upfirdn2d")
    if kernel is not None and kernel.serves(up, down):
        try:
            size = _output_size(x.shape, filter.shape, up, down, padding)
            return kernel.forward(x, filter, up, down, padding, flip, gain, size)
        except Exception as error:
            backend.give_up(error, "upfirdn2d")
    result = _reference(x, filter, up, down, padding, flip, gain)
    return result.contiguous(memory_format=_format(x))


def channels_innermost(x: Tensor) -> bool:
    """Whether x is laid out as channels_last is, perhaps as a part of a larger map."""
    return x.shape[1] > 1 and x.stride(1) == 1 and not x.is_contiguous()


def _format(x: Tensor) -> torch.memory_format:
    return torch.channels_last if channels_innermost(x) else torch.contiguous_format


@_upfirdn2d.register_fake
def _(x: Tensor, filter: Tensor, up: int, down: int, padding: list[int], flip: bool, gain: float) -> Tensor:
    size = _output_size(x.shape, filter.shape, up, down, padding)
    return x.new_empty(x.shape[0], x.shape[1], *size).contiguous(memory_format=_format(x))


def _save(ctx, inputs, output) -> None:  # noqa: ANN001
    x, filter, ctx.up, ctx.down, ctx.padding, ctx.flip, ctx.gain = inputs
    ctx.in_size, ctx.out_size = x.shape[2:], output.shape[2:]
    ctx.save_for_backward(filter)


def _backward(ctx, dy: Tensor):  # noqa: ANN001, ANN202
    (filter,) = ctx.saved_tensors
    kh, kw = filter.shape
    left, _, top, _ = ctx.padding
    padding = [
        kw - left - 1,
        ctx.in_size[1] * ctx.up - ctx.out_size[1] * ctx.down + left - ctx.up + 1,
        kh - top - 1,
        ctx.in_size[0] * ctx.up - ctx.out_size[0] * ctx.down + top - ctx.up + 1,
    ]
    dx = _upfirdn2d(dy, filter, ctx.down, ctx.up, padding, not ctx.flip, ctx.gain)
    return dx, None, None, None, None, None, None


_upfirdn2d.register_autograd(_backward, setup_context=_save)
