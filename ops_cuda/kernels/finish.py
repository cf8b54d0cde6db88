"""Triton kernel of `ops_cuda.finish`: a tile holds all channels of some pixels, so ToRGB's sum stays inside it."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from ops_cuda.finish import GAIN, JOINED, SLOPE

TILE = 4096  # elements of a tile


@triton.jit
def _kernel(
    raw_ptr, scale_ptr, bias_ptr, noise_ptr, condition_scale_ptr, condition_shift_ptr, skip_ptr, styles_ptr,
    rgb_weight_ptr, rgb_styles_ptr, rgb_bias_ptr, image_ptr, features_ptr, picture_ptr, plain_ptr,
    channels, height, width, before, after, noise_batch, scale_row, styles_row, rgb_row, slope, gain, joined,
    SHUFFLE: tl.constexpr, HAS_NOISE: tl.constexpr, HAS_CONDITION: tl.constexpr, SKIP: tl.constexpr,
    MIRROR: tl.constexpr, HAS_STYLES: tl.constexpr, HAS_RGB: tl.constexpr, HAS_IMAGE: tl.constexpr,
    HAS_PLAIN: tl.constexpr, BLOCK_P: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    sample = tl.program_id(1)
    base = sample.to(tl.int64) * channels * height * width
    p = tl.program_id(0) * BLOCK_P + tl.arange(0, BLOCK_P)
    c = tl.arange(0, BLOCK_C)
    if MIRROR:  # p counts the pixels of the output, q those that they come from
        out_width = width + before + after
        pixels = (height + before + after) * out_width
        y, x = tl.abs(p // out_width - before), tl.abs(p % out_width - before)
        y, x = tl.where(y < height, y, 2 * height - 2 - y), tl.where(x < width, x, 2 * width - 2 - x)
        q = y * width + x
    else:
        pixels = height * width
        y, x = p // width, p % width
        q = p
    out_base = sample.to(tl.int64) * channels * pixels
    in_p, in_c = p < pixels, c < channels
    inside = in_p[:, None] & in_c[None, :]
    source = q[:, None] * channels + c[None, :]
    target = p[:, None] * channels + c[None, :]
    if SHUFFLE:
        corner = ((y // 2) * (width // 2) + x // 2) * 4 + (y % 2) * 2 + x % 2
        v = tl.load(raw_ptr + base + corner[:, None] * channels + c[None, :], mask=inside, other=0.0).to(tl.float32)
    else:
        v = tl.load(raw_ptr + base + source, mask=inside, other=0.0).to(tl.float32)
    v *= tl.load(scale_ptr + sample * scale_row + c, mask=in_c, other=0.0)[None, :]
    if HAS_NOISE:
        v += tl.load(noise_ptr + sample * noise_batch + q, mask=in_p, other=0.0)[:, None]
    v += tl.load(bias_ptr + c, mask=in_c, other=0.0)[None, :]
    v = tl.where(v < 0, v * slope, v) * gain
    if HAS_CONDITION:
        factor = tl.load(condition_scale_ptr + base + source, mask=inside, other=0.0).to(tl.float32)
        shift = tl.load(condition_shift_ptr + base + source, mask=inside, other=0.0).to(tl.float32)
        v = v * (1 + factor) + shift
    if SKIP == 1:
        v = (v + tl.load(skip_ptr + base + source, mask=inside, other=0.0).to(tl.float32)) * joined
    if SKIP == 2:  # enlarged: each pixel lies a quarter of the way from the nearest one; edges are continued
        low_h, low_w = height // 2, width // 2
        near_y, near_x = y // 2, x // 2
        far_y = tl.minimum(tl.maximum(near_y + (y % 2) * 2 - 1, 0), low_h - 1)
        far_x = tl.minimum(tl.maximum(near_x + (x % 2) * 2 - 1, 0), low_w - 1)
        low = skip_ptr + sample.to(tl.int64) * channels * low_h * low_w + c[None, :]
        sum0 = tl.load(low + (near_y * low_w + near_x)[:, None] * channels, mask=inside, other=0.0).to(tl.float32)
        sum1 = tl.load(low + (near_y * low_w + far_x)[:, None] * channels, mask=inside, other=0.0).to(tl.float32)
        sum2 = tl.load(low + (far_y * low_w + near_x)[:, None] * channels, mask=inside, other=0.0).to(tl.float32)
        sum3 = tl.load(low + (far_y * low_w + far_x)[:, None] * channels, mask=inside, other=0.0).to(tl.float32)
        v = (v + 0.5625 * sum0 + 0.1875 * (sum1 + sum2) + 0.0625 * sum3) * joined
    if HAS_PLAIN:
        tl.store(plain_ptr + out_base + target, v.to(plain_ptr.dtype.element_ty), mask=inside)
    if HAS_STYLES:
        styles = tl.load(styles_ptr + sample * styles_row + c, mask=in_c, other=0.0)[None, :]
        tl.store(features_ptr + out_base + target, (v * styles).to(features_ptr.dtype.element_ty), mask=inside)
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
    skip: Tensor | None,
    mirror: list[int],
    plain: bool,
    styles: Tensor | None,
    rgb_weight: Tensor | None,
    rgb_styles: Tensor | None,
    rgb_bias: Tensor | None,
    image: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """See `ops_cuda.finish`."""
    last = {"memory_format": torch.channels_last}
    n, c, h, w = raw.shape
    c, h, w = (c // 4, 2 * h, 2 * w) if shuffle else (c, h, w)
    out = (n, c, h + sum(mirror), w + sum(mirror))
    features, kept = (
        torch.empty(out, dtype=raw.dtype, device=raw.device, **last) if wanted else None
        for wanted in (styles is not None, plain)
    )
    picture = torch.empty((n, 3, *out[2:]), device=raw.device) if rgb_weight is not None else None
    (scale, scale_row), (styles, styles_row), (rgb_styles, rgb_row) = map(_rows, (scale, styles, rgb_styles))
    maps = [None if t is None else t.contiguous(**last) for t in (raw, condition_scale, condition_shift, skip)]
    raw, condition_scale, condition_shift, skip = maps
    dense = [None if t is None else t.float().contiguous() for t in (bias, noise, rgb_weight, rgb_bias, image)]
    bias, noise, rgb_weight, rgb_bias, image = dense
    block_c = triton.next_power_of_2(c)
    block_p = min(max(1, TILE // block_c), triton.next_power_of_2(out[2] * out[3]))
    pointers = (
        raw, scale, bias, noise, condition_scale, condition_shift, skip, styles, rgb_weight, rgb_styles, rgb_bias,
        image, features, picture, kept,
    )  # fmt: skip
    _kernel[(triton.cdiv(out[2] * out[3], block_p), n)](
        *(raw if t is None else t for t in pointers), c, h, w, *mirror,
        h * w if noise is not None and noise.shape[0] > 1 else 0, scale_row, styles_row, rgb_row, SLOPE, GAIN, JOINED,
        SHUFFLE=shuffle, HAS_NOISE=noise is not None, HAS_CONDITION=condition_scale is not None,
        SKIP=0 if skip is None else 1 if skip.shape[2] == h else 2, MIRROR=any(mirror),
        HAS_STYLES=styles is not None, HAS_RGB=rgb_weight is not None, HAS_IMAGE=image is not None,
        HAS_PLAIN=plain, BLOCK_P=block_p, BLOCK_C=block_c, num_warps=8 if block_p * block_c >= TILE else 4,
    )  # fmt: skip
    nothing = raw.new_empty(0), scale.new_empty(0), raw.new_empty(0)
    return tuple(n if t is None else t for t, n in zip((features, picture, kept), nothing, strict=True))
