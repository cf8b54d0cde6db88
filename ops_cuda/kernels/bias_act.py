"""Triton kernels of bias_act: one read and one write of the feature map, forward and backward."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

BLOCK = 2048


@triton.jit
def _forward_kernel(
    x_ptr, bias_ptr, noise_ptr, y_ptr, total, channels, pixels, noise_batch, slope, gain, clamp,
    CHANNELS_LAST: tl.constexpr, HAS_BIAS: tl.constexpr, HAS_NOISE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    index = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = index < total
    y = tl.load(x_ptr + index, mask=inside).to(tl.float32)
    if CHANNELS_LAST:
        channel = index % channels
        pixel = index // channels % pixels
    else:
        channel = index // pixels % channels
        pixel = index % pixels
    if HAS_NOISE:
        sample = index // (channels * pixels)
        y += tl.load(noise_ptr + sample * noise_batch + pixel, mask=inside).to(tl.float32)
    if HAS_BIAS:
        y += tl.load(bias_ptr + channel, mask=inside).to(tl.float32)
    y = tl.where(y < 0, y * slope, y) * gain
    if clamp >= 0:
        y = tl.minimum(tl.maximum(y, -clamp), clamp)
    tl.store(y_ptr + index, y.to(y_ptr.dtype.element_ty), mask=inside)


@triton.jit
def _backward_kernel(dy_ptr, y_ptr, dx_ptr, total, slope, gain, clamp, BLOCK: tl.constexpr):
    index = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = index < total
    dy = tl.load(dy_ptr + index, mask=inside).to(tl.float32)
    y = tl.load(y_ptr + index, mask=inside).to(tl.float32)
    dx = tl.where(y < 0, dy * slope, dy) * gain
    if clamp >= 0:
        dx = tl.where(tl.abs(y) < clamp, dx, 0.0)
    tl.store(dx_ptr + index, dx.to(dx_ptr.dtype.element_ty), mask=inside)


def _dense(x: Tensor) -> tuple[Tensor, bool]:
    """x itself if its memory has no holes, else a contiguous copy; and whether channels are innermost."""
    if x.is_contiguous():
        return x, False
    if x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last):
        return x, True
    return x.contiguous(), False


def forward(x: Tensor, bias: Tensor | None, noise: Tensor | None, slope: float, gain: float, clamp: float) -> Tensor:
    """See `ops_cuda.bias_act`."""
    x, channels_last = _dense(x)
    y = torch.empty_like(x)
    pixels = x[0, 0].numel()
    noise_batch = 0
    if noise is not None:
        noise = noise.contiguous()
        noise_batch = pixels if noise.shape[0] > 1 else 0
    _forward_kernel[(triton.cdiv(x.numel(), BLOCK),)](
        x, x if bias is None else bias.contiguous(), x if noise is None else noise, y,
        x.numel(), x.shape[1], pixels, noise_batch, slope, gain, clamp,
        CHANNELS_LAST=channels_last, HAS_BIAS=bias is not None, HAS_NOISE=noise is not None, BLOCK=BLOCK,
    )  # fmt: skip
    return y


def backward(dy: Tensor, y: Tensor, slope: float, gain: float, clamp: float) -> Tensor:
    """dy times the derivative of the activation, told from the sign of its output y."""
    y, channels_last = _dense(y)
    dy = dy.contiguous(memory_format=torch.channels_last if channels_last else torch.contiguous_format)
    dx = torch.empty_like(dy)
    _backward_kernel[(triton.cdiv(dy.numel(), BLOCK),)](dy, y, dx, dy.numel(), slope, gain, clamp, BLOCK=BLOCK)
    return dx
