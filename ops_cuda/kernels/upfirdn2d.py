"""Triton kernels of upfirdn2d: an input row is loaded once for all output rows that it reaches, channels innermost.

Two kernels: plain filtering and downsampling, where a program keeps four output rows in registers while it walks down
the input; and upsampling by 2, where a program draws the four output pixels around each input pixel.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from ops_cuda.upfirdn2d import channels_innermost

ROWS = 4  # output rows of a program in the first kernel, which names as many sums
# Sizes and padding: what they are divisible by helps nothing, and would ask for a compilation each.
_ANY = ["in_h", "in_w", "out_h", "out_w", "column_tiles", "left", "top"]


@triton.jit
def _tap(filter_ptr, ky: tl.constexpr, kx: tl.constexpr, KH: tl.constexpr, KW: tl.constexpr, FLIP: tl.constexpr):
    if FLIP:
        return tl.load(filter_ptr + ky * KW + kx)
    return tl.load(filter_ptr + (KH - 1 - ky) * KW + (KW - 1 - kx))


@triton.jit(do_not_specialize=_ANY)
def _down_kernel(
    x_ptr, filter_ptr, y_ptr, channels, in_h, in_w, out_h, out_w, column_tiles,
    xs_n, xs_c, xs_h, xs_w, ys_n, ys_c, ys_h, ys_w, left, top, gain,
    DOWN: tl.constexpr, KH: tl.constexpr, KW: tl.constexpr, FLIP: tl.constexpr,
    PIXELS: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    tile = tl.program_id(0)
    row = tile // column_tiles * 4
    column = tile % column_tiles * PIXELS + tl.arange(0, PIXELS)
    channel = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    in_channels = channel < channels
    x_ptr += tl.program_id(2).to(tl.int64) * xs_n
    y_ptr += tl.program_id(2).to(tl.int64) * ys_n
    sum0 = tl.zeros((PIXELS, CHANNELS), dtype=tl.float32)
    sum1 = tl.zeros((PIXELS, CHANNELS), dtype=tl.float32)
    sum2 = tl.zeros((PIXELS, CHANNELS), dtype=tl.float32)
    sum3 = tl.zeros((PIXELS, CHANNELS), dtype=tl.float32)
    for i in tl.static_range(3 * DOWN + KH):
        y = row * DOWN + i - top
        row_inside = (y >= 0) & (y < in_h)
        for kx in tl.static_range(KW):
            x = column * DOWN + kx - left
            inside = (row_inside & (x >= 0) & (x < in_w))[:, None] & in_channels[None, :]
            value = tl.load(x_ptr + (y * xs_h + x * xs_w)[:, None] + channel[None, :] * xs_c, mask=inside, other=0.0)
            value = value.to(tl.float32)
            if i < KH:
                sum0 += value * _tap(filter_ptr, i, kx, KH, KW, FLIP)
            if i >= DOWN and i < DOWN + KH:
                sum1 += value * _tap(filter_ptr, i - DOWN, kx, KH, KW, FLIP)
            if i >= 2 * DOWN and i < 2 * DOWN + KH:
                sum2 += value * _tap(filter_ptr, i - 2 * DOWN, kx, KH, KW, FLIP)
            if i >= 3 * DOWN:
                sum3 += value * _tap(filter_ptr, i - 3 * DOWN, kx, KH, KW, FLIP)
    offsets = (row * ys_h + column * ys_w)[:, None] + channel[None, :] * ys_c
    inside = (column < out_w)[:, None] & in_channels[None, :]
    kind = y_ptr.dtype.element_ty
    tl.store(y_ptr + offsets, (sum0 * gain).to(kind), mask=inside)
    tl.store(y_ptr + offsets + ys_h, (sum1 * gain).to(kind), mask=inside & (row + 1 < out_h))
    tl.store(y_ptr + offsets + 2 * ys_h, (sum2 * gain).to(kind), mask=inside & (row + 2 < out_h))
    tl.store(y_ptr + offsets + 3 * ys_h, (sum3 * gain).to(kind), mask=inside & (row + 3 < out_h))


@triton.jit(do_not_specialize=_ANY[:5])
def _up_kernel(
    x_ptr, filter_ptr, y_ptr, channels, in_h, in_w, out_h, out_w, column_tiles,
    xs_n, xs_c, xs_h, xs_w, ys_n, ys_c, ys_h, ys_w, gain,
    LEFT: tl.constexpr, TOP: tl.constexpr, KH: tl.constexpr, KW: tl.constexpr, FLIP: tl.constexpr,
    PIXELS: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    tile = tl.program_id(0)
    row = tile // column_tiles
    column = tile % column_tiles * PIXELS + tl.arange(0, PIXELS)
    channel = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    in_channels = channel < channels
    x_ptr += tl.program_id(2).to(tl.int64) * xs_n
    y_ptr += tl.program_id(2).to(tl.int64) * ys_n
    for a in tl.static_range(2):
        for b in tl.static_range(2):
            total = tl.zeros((PIXELS, CHANNELS), dtype=tl.float32)
            # Output pixel 2 r + a meets the input only at every second tap; the first of them is that of its parity.
            for ky in tl.static_range((TOP + a) % 2, KH, 2):
                y = row + (a + ky - TOP) // 2
                for kx in tl.static_range((LEFT + b) % 2, KW, 2):
                    x = column + (b + kx - LEFT) // 2
                    inside = ((y >= 0) & (y < in_h) & (x >= 0) & (x < in_w))[:, None] & in_channels[None, :]
                    place = (y * xs_h + x * xs_w)[:, None] + channel[None, :] * xs_c
                    value = tl.load(x_ptr + place, mask=inside, other=0.0).to(tl.float32)
                    total += value * _tap(filter_ptr, ky, kx, KH, KW, FLIP)
            place = ((2 * row + a) * ys_h + (2 * column + b) * ys_w)[:, None] + channel[None, :] * ys_c
            inside = ((2 * row + a < out_h) & (2 * column + b < out_w))[:, None] & in_channels[None, :]
            tl.store(y_ptr + place, (total * gain).to(y_ptr.dtype.element_ty), mask=inside)


def serves(up: int, down: int) -> bool:
    """Whether there is a kernel for these factors."""
    return (up, down) in ((1, 1), (1, 2), (2, 1))


def forward(
    x: Tensor,
    filter: Tensor,
    up: int,
    down: int,
    padding: list[int],
    flip: bool,
    gain: float,
    size: tuple[int, int],
) -> Tensor:
    """See `ops_cuda.upfirdn2d`; `size` is the output's height and width."""
    n, c, h, w = x.shape
    channels_last = channels_innermost(x)
    y = torch.empty(
        (n, c, *size), dtype=x.dtype, device=x.device,
        memory_format=torch.channels_last if channels_last else torch.contiguous_format,
    )  # fmt: skip
    if channels_last:
        image, target = x, y
        lanes = min(128, triton.next_power_of_2(c))
    else:  # every channel is a picture of its own
        image = x.contiguous().view(n * c, 1, h, w)
        target = y.view(n * c, 1, *size)
        n, c, lanes = n * c, 1, 1
    columns = w if up == 2 else size[1]
    pixels = 1024 // lanes if channels_last else 256  # the same for all sizes: small maps cost nothing
    if up == 2 and triton.cdiv(size[1], 2) > w:  # the padding adds pixels beyond the last input pixel's four
        columns = triton.cdiv(size[1], 2)
    tiles = triton.cdiv(columns, pixels)
    rows = max(h, triton.cdiv(size[0], 2)) if up == 2 else triton.cdiv(size[0], ROWS)
    grid = (rows * tiles, triton.cdiv(c, lanes), n)
    filter = filter.float().contiguous()
    kh, kw = filter.shape
    shared = {"KH": kh, "KW": kw, "FLIP": flip, "PIXELS": pixels, "CHANNELS": lanes}
    sizes = (c, h, w, *size, tiles, *image.stride(), *target.stride())
    if up == 2:
        _up_kernel[grid](image, filter, target, *sizes, float(gain), LEFT=padding[0], TOP=padding[2], **shared)
    else:
        _down_kernel[grid](image, filter, target, *sizes, padding[0], padding[2], float(gain), DOWN=down, **shared)
    return y
