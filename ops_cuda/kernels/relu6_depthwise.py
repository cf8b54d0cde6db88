"""Triton kernels of relu6_depthwise: pixels by channels, channels innermost; taps come from the cache."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from ops_cuda.relu6_depthwise import same_padding

TILE = 1024  # numbers a program draws
_ANY = ["in_h", "in_w", "out_h", "out_w", "pixels", "top", "left"]


@triton.jit(do_not_specialize=_ANY)
def _forward_kernel(
    x_ptr, in_bias_ptr, weight_ptr, bias_ptr, y_ptr, channels, in_h, in_w, out_h, out_w, pixels, top, left,
    STRIDE: tl.constexpr, K: tl.constexpr, PIXELS: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    pixel = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    channel = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    known = channel < channels
    column, rest = pixel % out_w, pixel // out_w
    row, picture = rest % out_h, (rest // out_h).to(tl.int64)
    in_bias = tl.load(in_bias_ptr + channel, mask=known, other=0.0).to(tl.float32)[None, :]
    bias = tl.load(bias_ptr + channel, mask=known, other=0.0).to(tl.float32)[None, :]
    total = tl.zeros((PIXELS, CHANNELS), dtype=tl.float32) + bias
    for ky in tl.static_range(K):
        for kx in tl.static_range(K):
            y, x = row * STRIDE + ky - top, column * STRIDE + kx - left
            inside = (pixel < pixels) & (y >= 0) & (y < in_h) & (x >= 0) & (x < in_w)
            place = ((picture * in_h + y) * in_w + x) * channels
            mask = inside[:, None] & known[None, :]
            value = tl.load(x_ptr + place[:, None] + channel[None, :], mask=mask, other=0.0).to(tl.float32)
            value = tl.minimum(tl.maximum(value + in_bias, 0.0), 6.0)
            value = tl.where(mask, value, 0.0)  # padding stays zero, whatever the bias
            tap = tl.load(weight_ptr + channel * (K * K) + ky * K + kx, mask=known, other=0.0).to(tl.float32)
            total += value * tap[None, :]
    total = tl.minimum(tl.maximum(total, 0.0), 6.0)
    place = pixel.to(tl.int64) * channels
    mask = (pixel < pixels)[:, None] & known[None, :]
    tl.store(y_ptr + place[:, None] + channel[None, :], total.to(y_ptr.dtype.element_ty), mask=mask)


@triton.jit(do_not_specialize=_ANY)
def _backward_kernel(
    dy_ptr, y_ptr, x_ptr, in_bias_ptr, weight_ptr, dx_ptr, channels, in_h, in_w, out_h, out_w, pixels, top, left,
    STRIDE: tl.constexpr, K: tl.constexpr, PIXELS: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    pixel = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    channel = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    known = channel < channels
    column, rest = pixel % in_w, pixel // in_w
    row, picture = rest % in_h, (rest // in_h).to(tl.int64)
    total = tl.zeros((PIXELS, CHANNELS), dtype=tl.float32)
    for ky in tl.static_range(K):
        for kx in tl.static_range(K):
            y, x = row + top - ky, column + left - kx
            inside = (pixel < pixels) & (y >= 0) & (x >= 0)
            if STRIDE == 2:
                inside = inside & (y % 2 == 0) & (x % 2 == 0)
                y, x = y // 2, x // 2
            inside = inside & (y < out_h) & (x < out_w)
            place = ((picture * out_h + y) * out_w + x) * channels
            mask = inside[:, None] & known[None, :]
            place = place[:, None] + channel[None, :]
            slope = tl.load(dy_ptr + place, mask=mask, other=0.0).to(tl.float32)
            value = tl.load(y_ptr + place, mask=mask, other=0.0).to(tl.float32)
            tap = tl.load(weight_ptr + channel * (K * K) + ky * K + kx, mask=known, other=0.0).to(tl.float32)
            total += tl.where((value > 0.0) & (value < 6.0), slope, 0.0) * tap[None, :]
    place = (pixel.to(tl.int64) * channels)[:, None] + channel[None, :]
    mask = (pixel < pixels)[:, None] & known[None, :]
    in_bias = tl.load(in_bias_ptr + channel, mask=known, other=0.0).to(tl.float32)[None, :]
    # In the precision of x, as the reference adds: at a kink both must say the same.
    value = (tl.load(x_ptr + place, mask=mask, other=0.0).to(tl.float32) + in_bias).to(tl.float32)
    total = tl.where((value > 0.0) & (value < 6.0), total, 0.0)
    tl.store(dx_ptr + place, total.to(dx_ptr.dtype.element_ty), mask=mask)


def _grid(pixels: int, channels: int) -> tuple[tuple[int, int], int, int]:
    lanes = min(128, triton.next_power_of_2(channels))
    tile = TILE // lanes
    return (triton.cdiv(pixels, tile), triton.cdiv(channels, lanes)), tile, lanes


def forward(x: Tensor, in_bias: Tensor, weight: Tensor, bias: Tensor, stride: int) -> Tensor:
    """See `ops_cuda.relu6_depthwise`; x is channels_last."""
    x = x.contiguous(memory_format=torch.channels_last)
    n, c, h, w = x.shape
    k = weight.shape[-1]
    size = (-(-h // stride), -(-w // stride))
    y = torch.empty((n, c, *size), dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
    pixels = n * size[0] * size[1]
    grid, tile, lanes = _grid(pixels, c)
    top, left = same_padding(h, k, stride)[0], same_padding(w, k, stride)[0]
    _forward_kernel[grid](
        x, in_bias.contiguous(), weight.contiguous(), bias.contiguous(), y, c, h, w, *size, pixels, top, left,
        STRIDE=stride, K=k, PIXELS=tile, CHANNELS=lanes,
    )  # fmt: skip
    return y


def backward(dy: Tensor, y: Tensor, x: Tensor, in_bias: Tensor, weight: Tensor, stride: int) -> Tensor:
    """Gradient with respect to x, channels_last."""
    dy, y, x = (t.contiguous(memory_format=torch.channels_last) for t in (dy.to(x.dtype), y, x))
    n, c, h, w = x.shape
    k = weight.shape[-1]
    dx = torch.empty_like(x)
    grid, tile, lanes = _grid(n * h * w, c)
    top, left = same_padding(h, k, stride)[0], same_padding(w, k, stride)[0]
    _backward_kernel[grid](
        dy, y, x, in_bias.contiguous(), weight.contiguous(), dx, c, h, w, *y.shape[2:], n * h * w, top, left,
        STRIDE=stride, K=k, PIXELS=tile, CHANNELS=lanes,
    )  # fmt: skip
    return dx
