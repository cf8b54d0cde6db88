"""Triton kernel of `ops_cuda.finish`: a tile holds all channels of some pixels, so ToRGB's sum stays inside it."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from ops_cuda.finish import GAIN, SLOPE

TILE = 4096  # elements of a tile


@triton.jit
def _kernel(
    raw_ptr, scale_ptr, bias_ptr, noise_ptr, condition_scale_ptr, condition_shift_ptr, styles_ptr,
    rgb_weight_ptr, rgb_styles_ptr, rgb_bias_ptr, image_ptr, features_ptr, picture_ptr,
    channels, height, width, noise_batch, scale_row, styles_row, rgb_row, slope, gain,
    SHUFFLE: tl.constexpr, HAS_NOISE: tl.constexpr, HAS_CONDITION: tl.constexpr, HAS_STYLES: tl.constexpr,
    HAS_RGB: tl.constexpr, HAS_IMAGE: tl.constexpr, BLOCK_P: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    sample = tl.program_id(1)
    pixels = height * width
    base = sample.to(tl.int64) * channels * pixels
    p = tl.program_id(0) * BLOCK_P + tl.arange(0, BLOCK_P)
    c = tl.arange(0, BLOCK_C)
    y, x = p // width, p % width
    in_p, in_c = p < pixels, c < channels
    inside = in_p[:, None] & in_c[None, :]
    target = p[:, None] * channels + c[None, :]
    if SHUFFLE:
        corner = ((y // 2) * (width // 2) + x // 2) * 4 + (y % 2) * 2 + x % 2
        source = corner[:, None] * channels + c[None, :]
    else:
        source = target
    v = tl.load(raw_ptr + base + source, mask=inside, other=0.0).to(tl.float32)
    v *= tl.load(scale_ptr + sample * scale_row + c, mask=in_c, other=0.0)[None, :]
    if HAS_NOISE:
        v += tl.load(noise_ptr + sample * noise_batch + p, mask=in_p, other=0.0)[:, None]
    v += tl.load(bias_ptr + c, mask=in_c, other=0.0)[None, :]
    v = tl.where(v < 0, v * slope, v) * gain
    if HAS_CONDITION:
        factor = tl.load(condition_scale_ptr + base + target, mask=inside, other=0.0).to(tl.float32)
        shift = tl.load(condition_shift_ptr + base + target, mask=inside, other=0.0).to(tl.float32)
        v = v * (1 + factor) + shift
    if HAS_STYLES:
        styles = tl.load(styles_ptr + sample * styles_row + c, mask=in_c, other=0.0)[None, :]
        tl.store(features_ptr + base + target, (v * styles).to(features_ptr.dtype.element_ty), mask=inside)
    if HAS_RGB:
        v *= tl.load(rgb_styles_ptr + sample * rgb_row + c, mask=in_c, other=0.0)[None, :]
        if HAS_IMAGE:
            # Each output pixel lies between two input pixels on either axis, a quarter of the way from the nearer.
            low_h, low_w = height // 2, width // 2
            near_y, near_x = y // 2, x // 2
            far_y, far_x = near_y + (y % 2) * 2 - 1, near_x + (x % 2) * 2 - 1
            in_y, in_x = in_p & (far_y >= 0) & (far_y < low_h), in_p & (far_x >= 0) & (far_x < low_w)
        for k in tl.static_range(3):
            weight = tl.load(rgb_weight_ptr + k * channels + c, mask=in_c, other=0.0)[None, :]
            colour = tl.sum(v * weight, 1) + tl.load(rgb_bias_ptr + k)
            if HAS_IMAGE:
                plane = image_ptr + (sample * 3 + k).to(tl.int64) * low_h * low_w
                colour += 0.5625 * tl.load(plane + near_y * low_w + near_x, mask=in_p, other=0.0)
                colour += 0.1875 * tl.load(plane + far_y * low_w + near_x, mask=in_y, other=0.0)
                colour += 0.1875 * tl.load(plane + near_y * low_w + far_x, mask=in_x, other=0.0)
                colour += 0.0625 * tl.load(plane + far_y * low_w + far_x, mask=in_y & in_x, other=0.0)
            tl.store(picture_ptr + (sample * 3 + k).to(tl.int64) * pixels + p, colour, mask=in_p)


def _rows(x: Tensor | None) -> tuple[Tensor | None, int]:
    """x (N, O) with its last axis dense, as float32, and the distance of its rows."""
    if x is None:
        return None, 0
    x = x.float()
    x = x if x.stride(1) == 1 else x.contiguous()
    return x, x.stride(0)


def forward(
    raw: Tensor,
    scale: Tensor,
    bias: Tensor,
    noise: Tensor | None,
    shuffle: bool,
    condition_scale: Tensor | None,
    condition_shift: Tensor | None,
    styles: Tensor | None,
    rgb_weight: Tensor | None,
    rgb_styles: Tensor | None,
    rgb_bias: Tensor | None,
    image: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """See `ops_cuda.finish`."""
    last = {"memory_format": torch.channels_last}
    raw = raw.contiguous(**last)
    n, c, h, w = raw.shape
    c, h, w = (c // 4, 2 * h, 2 * w) if shuffle else (c, h, w)
    features = torch.empty((n, c, h, w), dtype=raw.dtype, device=raw.device, **last) if styles is not None else None
    picture = torch.empty((n, 3, h, w), device=raw.device) if rgb_weight is not None else None
    (scale, scale_row), (styles, styles_row), (rgb_styles, rgb_row) = map(_rows, (scale, styles, rgb_styles))
    if condition_scale is not None:
        condition_scale, condition_shift = condition_scale.contiguous(**last), condition_shift.contiguous(**last)
    dense = [None if t is None else t.float().contiguous() for t in (bias, noise, rgb_weight, rgb_bias, image)]
    bias, noise, rgb_weight, rgb_bias, image = dense
    block_c = triton.next_power_of_2(c)
    block_p = min(max(1, TILE // block_c), triton.next_power_of_2(h * w))
    pointers = (
        raw, scale, bias, noise, condition_scale, condition_shift, styles, rgb_weight, rgb_styles, rgb_bias, image,
        features, picture,
    )  # fmt: skip
    _kernel[(triton.cdiv(h * w, block_p), n)](
        *(raw if t is None else t for t in pointers), c, h, w,
        h * w if noise is not None and noise.shape[0] > 1 else 0, scale_row, styles_row, rgb_row, SLOPE, GAIN,
        SHUFFLE=shuffle, HAS_NOISE=noise is not None, HAS_CONDITION=condition_scale is not None,
        HAS_STYLES=styles is not None, HAS_RGB=rgb_weight is not None, HAS_IMAGE=image is not None,
        BLOCK_P=block_p, BLOCK_C=block_c, num_warps=8 if block_p * block_c >= TILE else 4,
    )  # fmt: skip
    return raw.new_empty(0) if features is None else features, scale.new_empty(0) if picture is None else picture
