"""Triton kernel of upfirdn2d: each output pixel gathers its taps, channels along the lanes."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor


@triton.jit
def _kernel(
    x_ptr, filter_ptr, y_ptr, channels, in_h, in_w, out_h, out_w, pixels,
    xs_n, xs_c, xs_h, xs_w, ys_n, ys_c, ys_h, ys_w, left, top, gain,
    UP: tl.constexpr, DOWN: tl.constexpr, KH: tl.constexpr, KW: tl.constexpr, FLIP: tl.constexpr,
    PIXELS: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    pixel = tl.program_id(0).to(tl.int64) * PIXELS + tl.arange(0, PIXELS)
    channel = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    column = pixel % out_w
    row = pixel // out_w % out_h
    sample = pixel // (out_w * out_h)
    inside = pixel < pixels
    in_channels = channel < channels
    total = tl.zeros((PIXELS, CHANNELS), dtype=tl.float32)
    for ky in tl.static_range(KH):
        y = row * DOWN + ky - top
        hit_y = inside & (y >= 0) & (y < in_h * UP)
        if UP > 1:
            hit_y = hit_y & (y % UP == 0)
        for kx in tl.static_range(KW):
            x = column * DOWN + kx - left
            hit = hit_y & (x >= 0) & (x < in_w * UP)
            if UP > 1:
                hit = hit & (x % UP == 0)
            if FLIP:
                tap = tl.load(filter_ptr + ky * KW + kx)
            else:
                tap = tl.load(filter_ptr + (KH - 1 - ky) * KW + (KW - 1 - kx))
            source = sample * xs_n + (y // UP) * xs_h + (x // UP) * xs_w
            value = tl.load(
                x_ptr + source[:, None] + channel[None, :] * xs_c,
                mask=hit[:, None] & in_channels[None, :],
                other=0.0,
            )
            total += value.to(tl.float32) * tap
    target = sample * ys_n + row * ys_h + column * ys_w
    tl.store(
        y_ptr + target[:, None] + channel[None, :] * ys_c,
        (total * gain).to(y_ptr.dtype.element_ty),
        mask=inside[:, None] & in_channels[None, :],
    )


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
    channels_last = x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
    y = torch.empty(
        (n, c, *size), dtype=x.dtype, device=x.device,
        memory_format=torch.channels_last if channels_last else torch.contiguous_format,
    )  # fmt: skip
    lanes = min(64, triton.next_power_of_2(c)) if channels_last else 1
    block = max(1, (1024 if channels_last else 256) // lanes)
    pixels = n * size[0] * size[1]
    _kernel[(triton.cdiv(pixels, block), triton.cdiv(c, lanes))](
        x, filter.float().contiguous(), y, c, h, w, *size, pixels, *x.stride(), *y.stride(),
        padding[0], padding[2], float(gain),
        UP=up, DOWN=down, KH=filter.shape[0], KW=filter.shape[1], FLIP=flip, PIXELS=block, CHANNELS=lanes,
    )  # fmt: skip
    return y
