"""Everything after a convolution at inference, in one pass over its output; no gradients.

    v = lrelu(raw * scale + noise + bias, 0.2) * sqrt(2)         demodulation, noise, bias, activation
    v = v * (1 + condition_scale) + condition_shift              only where HFGI's consultation acts
    v = (v + skip) / sqrt(2)                                     at the end of a residual block
    features = v * styles                                        modulated already for the next convolution
    image = up(previous image) + sum over channels of v * rgb_styles * rgb_weight + rgb_bias      (ToRGB)
    plain = v                                                    for a skip, or where nothing is modulated

A feature map is read once and written once, and not written at all after the last layer. After a convolution that
computes the four pixels of an upsampling side by side as channels (`gan_core.stylegan2.fused`), the same pass puts them
in their places; before one that pads by mirroring, it writes the mirrored edges, too.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from ops_cuda import backend
from ops_cuda.operation import operation
from ops_cuda.upfirdn2d import setup_filter, upfirdn2d

SLOPE, GAIN, JOINED = 0.2, math.sqrt(2.0), math.sqrt(0.5)


class Finished(NamedTuple):
    """The results of `finish`; None for those that were not requested."""

    features: Tensor | None  # (N, O, H, W), raw's dtype; requested by `styles`
    image: Tensor | None  # (N, 3, H, W), float32; requested by `rgb_weight`
    plain: Tensor | None  # (N, O, H, W), raw's dtype; requested by `plain`


def finish(
    raw: Tensor,
    scale: Tensor,
    bias: Tensor,
    *,
    noise: Tensor | None = None,
    shuffle: bool = False,
    condition: tuple[Tensor, Tensor] | None = None,
    skip: Tensor | None = None,
    mirror: tuple[int, int] = (0, 0),
    plain: bool = False,
    styles: Tensor | None = None,
    rgb_weight: Tensor | None = None,
    rgb_styles: Tensor | None = None,
    rgb_bias: Tensor | None = None,
    image: Tensor | None = None,
) -> Finished:
    """Finish a layer; see the module's docstring.

    Args:
        raw: (N, O, H, W), the convolution's output; with `shuffle` (N, 4 O, H / 2, W / 2), where channel
            (2 a + b) O + o is channel o of output pixel (2 y + a, 2 x + b).
        scale: (N, O) demodulation, float32.
        bias: (O,), float32.
        noise: (1 or N, 1, H, W), float32, already multiplied by its strength.
        condition: scale and shift of the features, each (N, O, H, W).
        skip: (N, O, H, W), or (N, O, H / 2, W / 2) to be enlarged bilinearly; raw's dtype.
        mirror: rows and columns added before and after, by mirroring without repeating the edge, to what is returned;
            the sizes above are without them.
        plain: return v as it is, too.
        styles: (N, O), float32, of the next convolution; None when there is none.
        rgb_weight, rgb_styles, rgb_bias: (3, O), (N, O), (3,) of the layer's ToRGB, float32; all or none.
        image: (N, 3, H / 2, W / 2), float32: the picture so far, enlarged by the [1, 3, 3, 1] filter.

    Raises:
        ValueError: raw's channels do not fit scale and bias.
    """
    if raw.shape[1] != scale.shape[1] * (4 if shuffle else 1) or bias.shape != scale.shape[1:]:
        raise ValueError(f"raw of shape {tuple(raw.shape)} does not fit scale of shape {tuple(scale.shape)}")
    condition_scale, condition_shift = condition if condition is not None else (None, None)
    features, picture, kept = _finish(
        raw, scale, bias, noise, shuffle, condition_scale, condition_shift, skip, list(mirror), plain, styles,
        rgb_weight, rgb_styles, rgb_bias, image,
    )  # fmt: skip
    return Finished(
        None if styles is None else features, None if rgb_weight is None else picture, kept if plain else None
    )


def _enlarge(image: Tensor) -> Tensor:
    return upfirdn2d(image, setup_filter().to(image.device), up=2, padding=(2, 1, 2, 1), gain=4.0)


def _unshuffle(raw: Tensor) -> Tensor:
    n, c, h, w = raw.shape
    return raw.view(n, 2, 2, c // 4, h, w).permute(0, 3, 4, 1, 5, 2).reshape(n, c // 4, 2 * h, 2 * w)


def _reference(
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
    wide = torch.promote_types(raw.dtype, torch.float32)
    v = (_unshuffle(raw) if shuffle else raw).to(wide) * scale.to(wide)[:, :, None, None]
    if noise is not None:
        v = v + noise.to(wide)
    v = F.leaky_relu(v + bias.to(wide)[:, None, None], SLOPE) * GAIN
    if condition_scale is not None and condition_shift is not None:
        v = v * (1 + condition_scale.to(wide)) + condition_shift.to(wide)
    if skip is not None:
        skip = skip.to(wide)
        if skip.shape != v.shape:
            skip = F.interpolate(skip, scale_factor=2, mode="bilinear", align_corners=False)
        v = (v + skip) * JOINED
    if any(mirror):
        v = F.pad(v, (*mirror, *mirror), mode="reflect")
    features, picture, kept = v.new_empty(0, dtype=raw.dtype), v.new_empty(0), v.new_empty(0, dtype=raw.dtype)
    if styles is not None:
        features = (v * styles.to(wide)[:, :, None, None]).to(raw.dtype)
        features = features.contiguous(memory_format=torch.channels_last)
    if rgb_weight is not None and rgb_styles is not None and rgb_bias is not None:
        picture = torch.einsum("nohw,no,ko->nkhw", v, rgb_styles.to(wide), rgb_weight.to(wide))
        picture = picture + rgb_bias.to(wide)[:, None, None]
        if image is not None:
            image = _enlarge(image.to(wide))
            picture = picture + (F.pad(image, (*mirror, *mirror), mode="reflect") if any(mirror) else image)
        picture = picture.contiguous()
    if plain:
        kept = v.to(raw.dtype).contiguous(memory_format=torch.channels_last)
    return features, picture, kept


@operation("finish")
def _finish(
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
    arguments = (
        raw, scale, bias, noise, shuffle, condition_scale, condition_shift, skip, mirror, plain, styles, rgb_weight,
        rgb_styles, rgb_bias, image,
    )  # fmt: skip
    kernel = backend.kernel_for(raw, "finish")
    if kernel is not None:
        try:
            return kernel.forward(*arguments)
        except Exception as error:
            backend.give_up(error, "finish")
    return _reference(*arguments)


@_finish.register_fake
def _(
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
    n, c, h, w = raw.shape
    c, h, w = (c // 4, 2 * h, 2 * w) if shuffle else (c, h, w)
    shape = (n, c, h + sum(mirror), w + sum(mirror))
    empty, wide = raw.new_empty(0), raw.new_empty(0, dtype=torch.promote_types(raw.dtype, torch.float32))
    full = torch.empty(shape, dtype=raw.dtype, device=raw.device, memory_format=torch.channels_last)
    return (
        empty if styles is None else full,
        wide if rgb_weight is None else wide.new_empty(n, 3, *shape[2:]),
        torch.empty_like(full) if plain else empty.clone(),
    )
