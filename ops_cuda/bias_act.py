"""Noise + bias + activation + gain + clamp in one pass: what follows every convolution of StyleGAN2.

    y = clamp(act(x + noise + bias) * gain)

StyleGAN2 (Karras et al. 2020), section 2.2: noise and bias come after demodulation; leaky ReLU of slope 0.2 is
followed by a gain of sqrt(2), which keeps the variance of unit-variance input.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ops_cuda import backend

ACTIVATIONS = {"linear": (1.0, 1.0), "lrelu": (0.2, math.sqrt(2.0))}  # name -> slope below zero, default gain


def bias_act(
    x: Tensor,
    bias: Tensor | None = None,
    *,
    act: str = "lrelu",
    alpha: float | None = None,
    gain: float | None = None,
    clamp: float | None = None,
    noise: Tensor | None = None,
) -> Tensor:
    """Add noise and bias, apply the activation, multiply by the gain, clamp.

    Args:
        x: (N, C) or (N, C, H, W), any floating dtype.
        bias: (C,) or None.
        act: "lrelu" or "linear".
        alpha: slope below zero (must be positive); None for 0.2.
        gain: factor after the activation (must be positive); None for sqrt(2) after "lrelu", 1 after "linear".
        clamp: largest absolute value of the result; None for no limit.
        noise: (1 or N, 1, H, W), already multiplied by its strength, or None.

    Returns:
        A tensor of x's shape and dtype.

    Raises:
        ValueError: unknown activation, or shapes that do not fit.
    """
    if act not in ACTIVATIONS:
        raise ValueError(f"unknown activation {act!r}; known: {', '.join(ACTIVATIONS)}")
    slope, default_gain = ACTIVATIONS[act]
    if alpha is not None and act != "linear":
        slope = alpha
    if bias is not None and bias.shape != (x.shape[1],):
        raise ValueError(f"bias has shape {tuple(bias.shape)}, expected ({x.shape[1]},)")
    if noise is not None and (
        x.ndim != 4 or noise.shape[1:] != (1, *x.shape[2:]) or noise.shape[0] not in (1, x.shape[0])
    ):
        raise ValueError(f"noise has shape {tuple(noise.shape)}, which does not fit x of shape {tuple(x.shape)}")
    gain = default_gain if gain is None else gain
    if slope <= 0 or gain <= 0:
        raise ValueError("slope and gain must be positive")
    return _bias_act(x, bias, noise, slope, gain, -1.0 if clamp is None else float(clamp))


def _reference(x: Tensor, bias: Tensor | None, noise: Tensor | None, slope: float, gain: float, clamp: float) -> Tensor:
    y = x
    if noise is not None:
        y = y + noise.to(x.dtype)
    if bias is not None:
        y = y + bias.to(x.dtype).view(1, -1, *[1] * (x.ndim - 2))
    y = y.clone() if y is x else y
    if slope != 1.0:
        torch.nn.functional.leaky_relu_(y, slope)
    if gain != 1.0:
        y.mul_(gain)
    if clamp >= 0:
        y.clamp_(-clamp, clamp)
    return y


@torch.library.custom_op("gan_studio::bias_act", mutates_args=())
def _bias_act(x: Tensor, bias: Tensor | None, noise: Tensor | None, slope: float, gain: float, clamp: float) -> Tensor:
    kernel = backend.kernel_for(x, "bias_act")
    if kernel is not None:
        try:
            return kernel.forward(x, bias, noise, slope, gain, clamp)
        except Exception as error:
            backend.give_up(error)
    return _reference(x, bias, noise, slope, gain, clamp)


@_bias_act.register_fake
def _(x: Tensor, bias: Tensor | None, noise: Tensor | None, slope: float, gain: float, clamp: float) -> Tensor:
    return torch.empty_like(x)


@torch.library.custom_op("gan_studio::bias_act_grad", mutates_args=())
def _bias_act_grad(dy: Tensor, y: Tensor, slope: float, gain: float, clamp: float) -> Tensor:
    # The sign of y is the sign of the activation's input, because slope and gain are positive.
    kernel = backend.kernel_for(dy, "bias_act")
    if kernel is not None:
        try:
            return kernel.backward(dy, y, slope, gain, clamp)
        except Exception as error:
            backend.give_up(error)
    factor = torch.where(y < 0, gain * slope, gain)
    if clamp >= 0:
        factor = factor * (y.abs() < clamp)
    return dy * factor.to(dy.dtype)


@_bias_act_grad.register_fake
def _(dy: Tensor, y: Tensor, slope: float, gain: float, clamp: float) -> Tensor:
    return torch.empty_like(dy)


def _save(ctx, inputs, output) -> None:  # noqa: ANN001
    x, bias, noise, ctx.slope, ctx.gain, ctx.clamp = inputs
    ctx.bias_dtype = None if bias is None else bias.dtype
    ctx.noise_shape, ctx.noise_dtype = (None, None) if noise is None else (noise.shape, noise.dtype)
    ctx.save_for_backward(output)


def _backward(ctx, dy: Tensor):  # noqa: ANN001, ANN202
    (y,) = ctx.saved_tensors
    dx = _bias_act_grad(dy, y, ctx.slope, ctx.gain, ctx.clamp)
    dbias = dnoise = None
    if ctx.needs_input_grad[1]:
        dbias = dx.sum([0, *range(2, dx.ndim)], dtype=torch.promote_types(dx.dtype, torch.float32)).to(ctx.bias_dtype)
    if ctx.needs_input_grad[2]:
        dnoise = dx.sum(1, keepdim=True, dtype=torch.promote_types(dx.dtype, torch.float32))
        dnoise = dnoise.sum_to_size(ctx.noise_shape).to(ctx.noise_dtype)
    return dx, dbias, dnoise, None, None, None


_bias_act.register_autograd(_backward, setup_context=_save)


def _save_grad(ctx, inputs, output) -> None:  # noqa: ANN001
    _, y, ctx.slope, ctx.gain, ctx.clamp = inputs
    ctx.save_for_backward(y)


def _backward_grad(ctx, ddx: Tensor):  # noqa: ANN001, ANN202
    # Piecewise linear: the second derivative with respect to y is zero almost everywhere.
    (y,) = ctx.saved_tensors
    return _bias_act_grad(ddx, y, ctx.slope, ctx.gain, ctx.clamp), None, None, None, None


_bias_act_grad.register_autograd(_backward_grad, setup_context=_save_grad)
