"""Modulated and demodulated convolution, StyleGAN2 (Karras et al. 2020), section 2.2, equations 1 and 3.

    w'[n, o, i, k] = s[n, i] * w[o, i, k]
    d[n, o]        = 1 / sqrt(sum over i, k of w'[n, o, i, k]^2 + 1e-8)
    y[n, o]        = d[n, o] * sum over i of conv(w[o, i], s[n, i] * x[n, i])

Scaling the activations by s and the outputs by d keeps one weight for the whole batch, which is what matrix units
and cuDNN want; for a single sample scaling the weight is cheaper.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ops_cuda.bias_act import bias_act
from ops_cuda.conv2d import conv2d, conv_transpose2d
from ops_cuda.upfirdn2d import upfirdn2d

EPSILON = 1e-8


def modulated_conv2d(
    x: Tensor,
    weight: Tensor,
    styles: Tensor,
    *,
    demodulate: bool = True,
    up: int = 1,
    resample_filter: Tensor | None = None,
) -> Tensor:
    """Convolve each sample with the weight scaled by its own style.

    Args:
        x: (N, I, H, W).
        weight: (O, I, k, k) with odd k, already multiplied by 1 / sqrt(I * k * k).
        styles: (N, I), scale of each input channel.
        demodulate: divide by the norm of the scaled weight, so that unit-variance input gives unit-variance output.
        up: 1, or 2 for a stride-2 transposed convolution followed by `resample_filter`.
        resample_filter: (kh, kw) with even sides and sum 1; needed with up=2.

    Returns:
        (N, O, H * up, W * up) in x's dtype; sums over channels and the norm are taken in float32 or better.

    Raises:
        ValueError: shapes that do not fit, or up=2 without a filter.
    """
    if weight.ndim != 4 or weight.shape[1] != x.shape[1] or weight.shape[2] % 2 == 0:
        raise ValueError(f"weight of shape {tuple(weight.shape)} does not fit x of shape {tuple(x.shape)}")
    if styles.shape != (x.shape[0], x.shape[1]):
        raise ValueError(f"styles have shape {tuple(styles.shape)}, expected {(x.shape[0], x.shape[1])}")
    if up not in (1, 2) or (up == 2 and resample_filter is None):
        raise ValueError("up must be 1, or 2 with a resample_filter")
    y = torch.ops.gan_studio.modulated_conv2d(x, weight, styles, demodulate, up)
    return _smoothed(y, weight, resample_filter) if up == 2 else y


def scaled_conv2d(
    x: Tensor, weight: Tensor, styles: Tensor, *, up: int = 1, resample_filter: Tensor | None = None
) -> Tensor:
    """`modulated_conv2d` without demodulation, always by scaling the activations: for callers that demodulate in the
    pass that follows (`bias_act` with a scale), and where the weight needs no gradient."""
    y = _convolve(bias_act(x, act="linear", scale=styles), weight.to(x.dtype), up)
    return _smoothed(y, weight, resample_filter) if up == 2 else y


def _smoothed(y: Tensor, weight: Tensor, resample_filter: Tensor) -> Tensor:
    # The transposed convolution gives 2n + k - 2 pixels, the filter takes taps - 1 away, 2n must remain.
    total = resample_filter.shape[0] + 1 - weight.shape[2]
    first, last = (total + 1) // 2, total // 2
    return upfirdn2d(y, resample_filter, padding=(first, last, first, last), gain=4.0)


def demodulation(weight: Tensor, styles: Tensor) -> Tensor:
    """Equation 3's factor d, (N, O), for weight (O, I, k, k) and styles (N, I)."""
    energy = weight.square().sum([2, 3])
    return (styles.square() @ energy.t() + EPSILON).rsqrt()


def _modulated_conv2d(x: Tensor, weight: Tensor, styles: Tensor, demodulate: bool, up: int) -> Tensor:
    factor = demodulation(weight, styles) if demodulate else None
    if x.shape[0] == 1:
        weight = weight * styles[0, None, :, None, None]
        if factor is not None:
            weight = weight * factor[0, :, None, None, None]
        return _convolve(x, weight.to(x.dtype), up)
    y = _convolve(bias_act(x, act="linear", scale=styles), weight.to(x.dtype), up)
    return y if factor is None else bias_act(y, act="linear", scale=factor)


def _convolve(x: Tensor, weight: Tensor, up: int) -> Tensor:
    if up == 1:
        return conv2d(x, weight, padding=weight.shape[2] // 2)
    return conv_transpose2d(x, weight.transpose(0, 1), stride=2)


# Made of operations that have kernels and gradients of their own, so it is registered as their composition.
torch.library.define(
    "gan_studio::modulated_conv2d", "(Tensor x, Tensor weight, Tensor styles, bool demodulate, int up) -> Tensor"
)
torch.library.impl("gan_studio::modulated_conv2d", "CompositeImplicitAutograd", _modulated_conv2d)
