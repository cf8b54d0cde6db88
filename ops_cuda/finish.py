"""All that follows a modulated convolution when drawing, in one pass over its output; no gradients.

    v = lrelu(raw * scale + noise + bias, 0.2) * sqrt(2)         demodulation, noise, bias, activation
    v = v * (1 + condition_scale) + condition_shift              only where HFGI's consultation acts
    features = v * styles                                        modulated already for the next convolution
    image = up(previous image) + sum over channels of v * rgb_styles * rgb_weight + rgb_bias      (ToRGB)

So a feature map is read once and written once, and not written at all after the last layer. After a convolution that
computes the four pixels of an upsampling side by side as channels (`gan_core.stylegan2.fused`), the same pass puts them
in their places.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from ops_cuda import backend
from ops_cuda.upfirdn2d import setup_filter, upfirdn2d

SLOPE, GAIN = 0.2, math.sqrt(2.0)


def finish(
    raw: Tensor,
    scale: Tensor,
    bias: Tensor,
    *,
    noise: Tensor | None = None,
    shuffle: bool = False,
    condition: tuple[Tensor, Tensor] | None = None,
    styles: Tensor | None = None,
    rgb_weight: Tensor | None = None,
    rgb_styles: Tensor | None = None,
    rgb_bias: Tensor | None = None,
    image: Tensor | None = None,
) -> tuple[Tensor | None, Tensor | None]:
    """Finish a layer; see the module's docstring.

    Args:
        raw: (N, O, H, W), the convolution's output; with `shuffle` (N, 4 O, H / 2, W / 2), where channel
            (2 a + b) O + o is channel o of output pixel (2 y + a, 2 x + b).
        scale: (N, O) demodulation, float32.
        bias: (O,), float32.
        noise: (1 or N, 1, H, W), float32, already multiplied by its strength.
        condition: scale and shift of the features, each (N, O, H, W).
        styles: (N, O), float32, of the next convolution; None when there is none.
        rgb_weight, rgb_styles, rgb_bias: (3, O), (N, O), (3,) of the layer's ToRGB, float32; all or none.
        image: (N, 3, H / 2, W / 2), float32: the picture so far, enlarged by the [1, 3, 3, 1] filter.

    Returns:
        Features (N, O, H, W) in raw's dtype (None without `styles`), and image (N, 3, H, W), float32 (None without
        ToRGB).

    Raises:
        ValueError: raw's channels do not fit scale and bias.
    """
    if raw.shape[1] != scale.shape[1] * (4 if shuffle else 1) or bias.shape != scale.shape[1:]:
        raise ValueError(f"raw of shape {tuple(raw.shape)} does not fit scale of shape {tuple(scale.shape)}")
    condition_scale, condition_shift = condition if condition is not None else (None, None)
    features, picture = _finish(
        raw, scale, bias, noise, shuffle, condition_scale, condition_shift, styles, rgb_weight, rgb_styles, rgb_bias,
        image,
    )  # fmt: skip
    return (None if styles is None else features), (None if rgb_weight is None else picture)


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
    styles: Tensor | None,
    rgb_weight: Tensor | None,
    rgb_styles: Tensor | None,
    rgb_bias: Tensor | None,
    image: Tensor | None,
) -> tuple[Tensor, Tensor]:
    wide = torch.promote_types(raw.dtype, torch.float32)
    v = (_unshuffle(raw) if shuffle else raw).to(wide) * scale.to(wide)[:, :, None, None]
    if noise is not None:
        v = v + noise.to(wide)
    v = F.leaky_relu(v + bias.to(wide)[:, None, None], SLOPE) * GAIN
    if condition_scale is not None:
        v = v * (1 + condition_scale.to(wide)) + condition_shift.to(wide)
    features, picture = v.new_empty(0, dtype=raw.dtype), v.new_empty(0)
    if styles is not None:
        features = (v * styles.to(wide)[:, :, None, None]).to(raw.dtype)
        features = features.contiguous(memory_format=torch.channels_last)
    if rgb_weight is not None:
        picture = torch.einsum("nohw,no,ko->nkhw", v, rgb_styles.to(wide), rgb_weight.to(wide))
        picture = picture + rgb_bias.to(wide)[:, None, None]
        if image is not None:
            picture = picture + _enlarge(image.to(wide))
        picture = picture.contiguous()
    return features, picture


@torch.library.custom_op("gan_studio::finish", mutates_args=())
def _finish(
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
    arguments = (
        raw, scale, bias, noise, shuffle, condition_scale, condition_shift, styles, rgb_weight, rgb_styles, rgb_bias,
        image,
    )  # fmt: skip
    kernel = backend.kernel_for(raw, "finish")
    if kernel is not None:
        try:
            return kernel.forward(*arguments)
        except Exception as error:
            backend.give_up(error)
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
    styles: Tensor | None,
    rgb_weight: Tensor | None,
    rgb_styles: Tensor | None,
    rgb_bias: Tensor | None,
    image: Tensor | None,
) -> tuple[Tensor, Tensor]:
    n, c, h, w = raw.shape
    c, h, w = (c // 4, 2 * h, 2 * w) if shuffle else (c, h, w)
    features, picture = raw.new_empty(0), raw.new_empty(0, dtype=torch.promote_types(raw.dtype, torch.float32))
    if styles is not None:
        features = raw.new_empty(n, c, h, w).contiguous(memory_format=torch.channels_last)
    if rgb_weight is not None:
        picture = picture.new_empty(n, 3, h, w)
    return features, picture
