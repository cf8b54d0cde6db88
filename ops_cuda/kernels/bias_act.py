"""Triton kernels of bias_act: one read and one write of the feature map, forward and backward, sums on the way.

A map is seen as (samples, pixels, channels) with the memory's own strides; a program works on a tile of pixels by
channels, so that what belongs to a channel or to a pixel is loaded once a tile.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

TILE = 4096  # elements of a tile
ROUNDS = 8  # tiles a program sums over before it writes its sums down


@triton.jit
def _tile(tile_p, pixels, channels, stride_c, stride_p, BLOCK_P: tl.constexpr, BLOCK_C: tl.constexpr):
    """Pixel and channel indices of a tile, its offsets within the sample, and what of it is inside the map."""
    p = tile_p * BLOCK_P + tl.arange(0, BLOCK_P)
    c = tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C)
    offsets = p[:, None] * stride_p + c[None, :] * stride_c
    return p, c, offsets, (p < pixels)[:, None] & (c < channels)[None, :]


@triton.jit
def _forward_kernel(
    x_ptr, bias_ptr, noise_ptr, scale_ptr, y_ptr, channels, pixels, stride_c, stride_p, noise_batch,
    slope, gain, clamp,
    HAS_BIAS: tl.constexpr, HAS_NOISE: tl.constexpr, HAS_SCALE: tl.constexpr,
    BLOCK_P: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    sample = tl.program_id(2)
    base = sample.to(tl.int64) * channels * pixels
    p, c, offsets, inside = _tile(tl.program_id(0), pixels, channels, stride_c, stride_p, BLOCK_P, BLOCK_C)
    y = tl.load(x_ptr + base + offsets, mask=inside).to(tl.float32)
    if HAS_SCALE:
        y *= tl.load(scale_ptr + sample * channels + c, mask=c < channels).to(tl.float32)[None, :]
    if HAS_NOISE:
        y += tl.load(noise_ptr + sample * noise_batch + p, mask=p < pixels).to(tl.float32)[:, None]
    if HAS_BIAS:
        y += tl.load(bias_ptr + c, mask=c < channels).to(tl.float32)[None, :]
    y = tl.where(y < 0, y * slope, y) * gain
    if clamp >= 0:
        y = tl.minimum(tl.maximum(y, -clamp), clamp)
    tl.store(y_ptr + base + offsets, y.to(y_ptr.dtype.element_ty), mask=inside)


@triton.jit
def _backward_kernel(
    dy_ptr, y_ptr, dx_ptr, sum_ptr, channels, pixels, stride_c, stride_p, slope, gain, clamp,
    SUMMED: tl.constexpr, ROUNDS: tl.constexpr, BLOCK_P: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    sample = tl.program_id(2)
    base = sample.to(tl.int64) * channels * pixels
    total = tl.zeros((BLOCK_P, BLOCK_C), dtype=tl.float32)
    for i in range(ROUNDS):
        tile = tl.program_id(0) * ROUNDS + i
        p, c, offsets, inside = _tile(tile, pixels, channels, stride_c, stride_p, BLOCK_P, BLOCK_C)
        dy = tl.load(dy_ptr + base + offsets, mask=inside, other=0.0).to(tl.float32)
        y = tl.load(y_ptr + base + offsets, mask=inside, other=0.0).to(tl.float32)
        dx = tl.where(y < 0, dy * slope, dy) * gain
        if clamp >= 0:
            dx = tl.where(tl.abs(y) < clamp, dx, 0.0)
        tl.store(dx_ptr + base + offsets, dx.to(dx_ptr.dtype.element_ty), mask=inside)
        if SUMMED:
            total += dx
    if SUMMED:
        c = tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C)
        row = sample * tl.num_programs(0) + tl.program_id(0)
        tl.store(sum_ptr + row * channels + c, tl.sum(total, 0), mask=c < channels)


@triton.jit
def _backward_scaled_kernel(
    dy_ptr, x_ptr, bias_ptr, noise_ptr, scale_ptr, dx_ptr, sum_ptr, weighted_ptr, dnoise_ptr,
    channels, pixels, stride_c, stride_p, noise_batch, slope, gain, clamp,
    HAS_BIAS: tl.constexpr, HAS_NOISE: tl.constexpr,
    ROUNDS: tl.constexpr, BLOCK_P: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    sample = tl.program_id(2)
    samples = tl.num_programs(2)
    base = sample.to(tl.int64) * channels * pixels
    c = tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C)
    scale = tl.load(scale_ptr + sample * channels + c, mask=c < channels, other=0.0).to(tl.float32)[None, :]
    total = tl.zeros((BLOCK_P, BLOCK_C), dtype=tl.float32)
    weighted = tl.zeros((BLOCK_P, BLOCK_C), dtype=tl.float32)
    for i in range(ROUNDS):
        tile = tl.program_id(0) * ROUNDS + i
        p, c, offsets, inside = _tile(tile, pixels, channels, stride_c, stride_p, BLOCK_P, BLOCK_C)
        d = tl.load(dy_ptr + base + offsets, mask=inside, other=0.0).to(tl.float32)
        x = tl.load(x_ptr + base + offsets, mask=inside, other=0.0).to(tl.float32)
        y = x * scale
        if HAS_NOISE:
            y += tl.load(noise_ptr + sample * noise_batch + p, mask=p < pixels, other=0.0).to(tl.float32)[:, None]
        if HAS_BIAS:
            y += tl.load(bias_ptr + c, mask=c < channels, other=0.0).to(tl.float32)[None, :]
        y = tl.where(y < 0, y * slope, y) * gain
        d = tl.where(y < 0, d * slope, d) * gain
        if clamp >= 0:
            d = tl.where(tl.abs(y) < clamp, d, 0.0)
        tl.store(dx_ptr + base + offsets, (d * scale).to(dx_ptr.dtype.element_ty), mask=inside)
        total += d
        weighted += d * x
        if HAS_NOISE:  # one row for each tile of channels
            at = (tl.program_id(1) * samples + sample).to(tl.int64) * pixels + p
            tl.store(dnoise_ptr + at, tl.sum(d, 1), mask=p < pixels)
    row = (tl.program_id(0) * samples + sample) * channels + c
    tl.store(sum_ptr + row, tl.sum(total, 0), mask=c < channels)
    tl.store(weighted_ptr + row, tl.sum(weighted, 0), mask=c < channels)


def _dense(x: Tensor) -> tuple[Tensor, bool]:
    """x itself if its memory has no holes, else a copy, channels innermost; and whether channels are innermost."""
    if x.is_contiguous():
        return x, x.ndim == 2
    if x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last):
        return x, True
    return x.contiguous(memory_format=torch.channels_last if x.ndim == 4 else torch.contiguous_format), True


def _shape(x: Tensor, channels_last: bool) -> tuple[int, int, int, int, int]:
    """Samples, pixels, channels, and the strides of channels and pixels."""
    if x.ndim == 2:
        return 1, x.shape[0], x.shape[1], 1, x.shape[1]
    n, c, h, w = x.shape
    return (n, h * w, c, 1, c) if channels_last else (n, h * w, c, h * w, 1)


def _blocks(pixels: int, channels: int, channels_last: bool) -> dict[str, int]:
    """Sides of a tile: as long as possible along the memory's inner axis, up to a cache line or so.

    They depend on the size as little as may be, since each pair is compiled.
    """
    c = triton.next_power_of_2(channels)
    if channels_last:
        c = min(c, 128)
        return {"BLOCK_P": TILE // c, "BLOCK_C": c}
    p = max(64, min(triton.next_power_of_2(pixels), 1024))
    return {"BLOCK_P": p, "BLOCK_C": min(c, TILE // p)}


def forward(
    x: Tensor,
    bias: Tensor | None,
    noise: Tensor | None,
    scale: Tensor | None,
    slope: float,
    gain: float,
    clamp: float,
) -> Tensor:
    """See `ops_cuda.bias_act`."""
    x, channels_last = _dense(x)
    y = torch.empty_like(x)
    samples, pixels, channels, *strides = _shape(x, channels_last)
    blocks = _blocks(pixels, channels, channels_last)
    grid = (triton.cdiv(pixels, blocks["BLOCK_P"]), triton.cdiv(channels, blocks["BLOCK_C"]), samples)
    _forward_kernel[grid](
        x, *(x if t is None else t.contiguous() for t in (bias, noise, scale)), y,
        channels, pixels, *strides, pixels if noise is not None and noise.shape[0] > 1 else 0, slope, gain, clamp,
        HAS_BIAS=bias is not None, HAS_NOISE=noise is not None, HAS_SCALE=scale is not None, **blocks,
        num_warps=8,
    )  # fmt: skip
    return y


def backward(dy: Tensor, y: Tensor, slope: float, gain: float, clamp: float, summed: bool) -> tuple[Tensor, Tensor]:
    """dy times the derivative of the activation, told from the sign of its output y; and its sum a channel."""
    y, channels_last = _dense(y)
    dy = dy.contiguous(memory_format=torch.channels_last if channels_last and y.ndim == 4 else torch.contiguous_format)
    dx = torch.empty_like(dy)
    samples, pixels, channels, *strides = _shape(y, channels_last)
    blocks = _blocks(pixels, channels, channels_last)
    rounds = ROUNDS if summed else 1
    grid = (triton.cdiv(pixels, blocks["BLOCK_P"] * rounds), triton.cdiv(channels, blocks["BLOCK_C"]), samples)
    sums = dy.new_empty(samples * grid[0] if summed else 0, channels if summed else 0, dtype=torch.float32)
    _backward_kernel[grid](
        dy, y, dx, sums, channels, pixels, *strides, slope, gain, clamp,
        SUMMED=summed, ROUNDS=rounds, **blocks, num_warps=8,
    )  # fmt: skip
    return dx, sums.sum(0)


def backward_scaled(
    dy: Tensor,
    x: Tensor,
    bias: Tensor | None,
    noise: Tensor | None,
    scale: Tensor,
    slope: float,
    gain: float,
    clamp: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """See `_scaled_bias_act_grad`."""
    x, channels_last = _dense(x)
    dy = dy.contiguous(memory_format=torch.channels_last if channels_last else torch.contiguous_format)
    dx = torch.empty_like(dy)
    samples, pixels, channels, *strides = _shape(x, channels_last)
    blocks = _blocks(pixels, channels, channels_last)
    grid = (triton.cdiv(pixels, blocks["BLOCK_P"] * ROUNDS), triton.cdiv(channels, blocks["BLOCK_C"]), samples)
    sums, weighted = dy.new_empty(2, grid[0], samples, channels, dtype=torch.float32)
    dnoise = dy.new_empty((grid[1], samples, 1, *x.shape[2:]) if noise is not None else (1, 0), dtype=torch.float32)
    _backward_scaled_kernel[grid](
        dy, x, *(x if t is None else t.contiguous() for t in (bias, noise, scale)), dx, sums, weighted, dnoise,
        channels, pixels, *strides, pixels if noise is not None and noise.shape[0] > 1 else 0, slope, gain, clamp,
        HAS_BIAS=bias is not None, HAS_NOISE=noise is not None, ROUNDS=ROUNDS, **blocks, num_warps=8,
    )  # fmt: skip
    return dx, sums.sum(0), weighted.sum(0), dnoise.sum(0)
