"""Scale + noise + bias + activation + gain + clamp in one pass: what surrounds every convolution of StyleGAN2.

    y = clamp(act(x * scale + noise + bias) * gain)

StyleGAN2 (Karras et al. 2020), section 2.2: noise and bias come after demodulation (the scale); leaky ReLU of slope 0.2
is followed by a gain of sqrt(2), which keeps the variance of unit-variance input.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ops_cuda import backend
from ops_cuda.operation import operation

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
    scale: Tensor | None = None,
) -> Tensor:
    """Scale, add noise and bias, apply the activation, multiply by the gain, clamp.

    Args:
        x: (N, C) or (N, C, H, W), any floating dtype.
        bias: (C,) or None.
        act: "lrelu" or "linear".
        alpha: slope below zero (must be positive); None for 0.2.
        gain: factor after the activation (must be positive); None for sqrt(2) after "lrelu", 1 after "linear".
        clamp: largest absolute value of the result; None for no limit.
        noise: (1 or N, 1, H, W), already multiplied by its strength, or None.
        scale: (N, C), a factor for each channel of each sample (modulation, demodulation), or None.

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
    if scale is not None and (x.ndim != 4 or scale.shape != x.shape[:2]):
        raise ValueError(f"scale has shape {tuple(scale.shape)}, which does not fit x of shape {tuple(x.shape)}")
    gain = default_gain if gain is None else gain
    if slope <= 0 or gain <= 0:
        raise ValueError("slope and gain must be positive")
    limit = -1.0 if clamp is None else float(clamp)
    if scale is None:
        return _bias_act(x, bias, noise, slope, gain, limit)
    return _scaled_bias_act(x, bias, noise, scale, slope, gain, limit)


def _wide(x: Tensor) -> torch.dtype:
    return torch.promote_types(x.dtype, torch.float32)


def _reference(
    x: Tensor,
    bias: Tensor | None,
    noise: Tensor | None,
    scale: Tensor | None,
    slope: float,
    gain: float,
    clamp: float,
) -> Tensor:
    y = x
    if scale is not None:
        y = y * scale.to(x.dtype)[:, :, None, None]
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


def _derivative(y: Tensor, slope: float, gain: float, clamp: float) -> Tensor:
    """Derivative of the activation, from its output y: slope and gain are positive, so y has the sign of the input."""
    factor = torch.where(y < 0, gain * slope, gain)
    if clamp >= 0:
        factor = factor * (y.abs() < clamp)
    return factor.to(y.dtype)


# ---------------------------------------------------------------- without scale: the backward pass reads the output


@operation("bias_act")
def _bias_act(x: Tensor, bias: Tensor | None, noise: Tensor | None, slope: float, gain: float, clamp: float) -> Tensor:
    kernel = backend.kernel_for(x, "bias_act")
    if kernel is not None:
        try:
            return kernel.forward(x, bias, noise, None, slope, gain, clamp)
        except Exception as error:
            backend.give_up(error, "bias_act")
    return _reference(x, bias, noise, None, slope, gain, clamp)


@_bias_act.register_fake
def _(x: Tensor, bias: Tensor | None, noise: Tensor | None, slope: float, gain: float, clamp: float) -> Tensor:
    return torch.empty_like(x)


@operation("bias_act_grad")
def _bias_act_grad(
    dy: Tensor, y: Tensor, slope: float, gain: float, clamp: float, summed: bool
) -> tuple[Tensor, Tensor]:
    """dy times the derivative, and (if `summed`, else empty) its sum over samples and pixels, (C,)."""
    kernel = backend.kernel_for(dy, "bias_act", "backward")
    if kernel is not None:
        try:
            return kernel.backward(dy, y, slope, gain, clamp, summed)
        except Exception as error:
            backend.give_up(error, "bias_act", "backward")
    dx = dy * _derivative(y, slope, gain, clamp)
    return dx, dx.sum([0, *range(2, dx.ndim)], dtype=_wide(dx)) if summed else dx.new_empty(0, dtype=_wide(dx))


@_bias_act_grad.register_fake
def _(dy: Tensor, y: Tensor, slope: float, gain: float, clamp: float, summed: bool) -> tuple[Tensor, Tensor]:
    return torch.empty_like(y, dtype=dy.dtype), dy.new_empty(dy.shape[1] if summed else 0, dtype=_wide(dy))


def _save(ctx, inputs, output) -> None:  # noqa: ANN001
    _, bias, noise, ctx.slope, ctx.gain, ctx.clamp = inputs
    ctx.bias_dtype = None if bias is None else bias.dtype
    ctx.noise_shape, ctx.noise_dtype = (None, None) if noise is None else (noise.shape, noise.dtype)
    ctx.save_for_backward(output)


def _backward(ctx, dy: Tensor):  # noqa: ANN001, ANN202
    (y,) = ctx.saved_tensors
    dx, total = _bias_act_grad(dy, y, ctx.slope, ctx.gain, ctx.clamp, ctx.needs_input_grad[1])
    dbias = total.to(ctx.bias_dtype) if ctx.needs_input_grad[1] else None
    dnoise = None
    if ctx.needs_input_grad[2]:
        dnoise = dx.sum(1, keepdim=True, dtype=_wide(dx)).sum_to_size(ctx.noise_shape).to(ctx.noise_dtype)
    return dx, dbias, dnoise, None, None, None


_bias_act.register_autograd(_backward, setup_context=_save)


def _save_grad(ctx, inputs, output) -> None:  # noqa: ANN001
    _, y, ctx.slope, ctx.gain, ctx.clamp, _ = inputs
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(y)


def _backward_grad(ctx, ddx: Tensor | None, dtotal: Tensor | None):  # noqa: ANN001, ANN202
    # Piecewise linear: the second derivative with respect to y is zero almost everywhere.
    (y,) = ctx.saved_tensors
    if dtotal is not None:
        spread = dtotal.to(y.dtype).view(1, -1, *[1] * (y.ndim - 2))
        ddx = spread.expand_as(y) if ddx is None else ddx + spread
    if ddx is None:
        return None, None, None, None, None, None
    return _bias_act_grad(ddx, y, ctx.slope, ctx.gain, ctx.clamp, False)[0], None, None, None, None, None


_bias_act_grad.register_autograd(_backward_grad, setup_context=_save_grad)


# ---------------------------------------------------------------- with scale: the backward pass reads the input


@operation("scaled_bias_act")
def _scaled_bias_act(
    x: Tensor, bias: Tensor | None, noise: Tensor | None, scale: Tensor, slope: float, gain: float, clamp: float
) -> Tensor:
    kernel = backend.kernel_for(x, "bias_act")
    if kernel is not None:
        try:
            return kernel.forward(x, bias, noise, scale, slope, gain, clamp)
        except Exception as error:
            backend.give_up(error, "bias_act")
    return _reference(x, bias, noise, scale, slope, gain, clamp)


@_scaled_bias_act.register_fake
def _(
    x: Tensor, bias: Tensor | None, noise: Tensor | None, scale: Tensor, slope: float, gain: float, clamp: float
) -> Tensor:
    return torch.empty_like(x)


@operation("scaled_bias_act_grad")
def _scaled_bias_act_grad(
    dy: Tensor,
    x: Tensor,
    bias: Tensor | None,
    noise: Tensor | None,
    scale: Tensor,
    slope: float,
    gain: float,
    clamp: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """With d the gradient before the activation: d * scale; the sums over pixels of d and of d * x, each (N, C); and
    the sum over channels of d, (N, 1, H, W), or empty without noise."""
    kernel = backend.kernel_for(dy, "bias_act", "backward_scaled")
    if kernel is not None:
        try:
            return kernel.backward_scaled(dy, x, bias, noise, scale, slope, gain, clamp)
        except Exception as error:
            backend.give_up(error, "bias_act", "backward_scaled")
    d = dy * _derivative(_reference(x, bias, noise, scale, slope, gain, clamp), slope, gain, clamp)
    wide = _wide(d)
    dnoise = d.new_empty(0, dtype=wide) if noise is None else d.sum(1, keepdim=True, dtype=wide)
    return (
        d * scale.to(d.dtype)[:, :, None, None],
        d.sum([2, 3], dtype=wide),
        (d * x).sum([2, 3], dtype=wide),
        dnoise,
    )


@_scaled_bias_act_grad.register_fake
def _(
    dy: Tensor,
    x: Tensor,
    bias: Tensor | None,
    noise: Tensor | None,
    scale: Tensor,
    slope: float,
    gain: float,
    clamp: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    n, c, h, w = x.shape
    noise_shape = (0,) if noise is None else (n, 1, h, w)
    sums = dy.new_empty(n, c, dtype=_wide(dy)), dy.new_empty(n, c, dtype=_wide(dy))
    return torch.empty_like(x, dtype=dy.dtype), *sums, dy.new_empty(noise_shape, dtype=_wide(dy))


def _save_scaled(ctx, inputs, output) -> None:  # noqa: ANN001
    x, bias, noise, scale, ctx.slope, ctx.gain, ctx.clamp = inputs
    ctx.save_for_backward(x, bias, noise, scale)


def _backward_scaled(ctx, dy: Tensor):  # noqa: ANN001, ANN202
    x, bias, noise, scale = ctx.saved_tensors
    settings = (ctx.slope, ctx.gain, ctx.clamp)
    dx, total, weighted, dnoise = _scaled_bias_act_grad(dy, x, bias, noise, scale, *settings)
    return (
        dx,
        total.sum(0).to(bias.dtype) if ctx.needs_input_grad[1] else None,
        dnoise.sum_to_size(noise.shape).to(noise.dtype) if ctx.needs_input_grad[2] else None,
        weighted.to(scale.dtype) if ctx.needs_input_grad[3] else None,
        None,
        None,
        None,
    )


_scaled_bias_act.register_autograd(_backward_scaled, setup_context=_save_scaled)


def _save_scaled_grad(ctx, inputs, output) -> None:  # noqa: ANN001
    dy, x, bias, noise, scale, ctx.slope, ctx.gain, ctx.clamp = inputs
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(dy, x, bias, noise, scale)


def _backward_scaled_grad(ctx, ddx, dtotal, dweighted, ddnoise):  # noqa: ANN001, ANN202
    # Plain operations: only path-length regularisation and the like come here.
    dy, x, bias, noise, scale = ctx.saved_tensors
    with torch.no_grad():
        y = _reference(x, bias, noise, scale, ctx.slope, ctx.gain, ctx.clamp)
        slope = _derivative(y, ctx.slope, ctx.gain, ctx.clamp)
    wide = scale.to(x.dtype)[:, :, None, None]
    grad_dy = torch.zeros_like(dy)
    grad_x = grad_scale = None
    if ddx is not None:
        grad_dy = grad_dy + ddx * wide
        grad_scale = (ddx * slope * dy).sum([2, 3], dtype=_wide(x)).to(scale.dtype)
    if dtotal is not None:
        grad_dy = grad_dy + dtotal.to(x.dtype)[:, :, None, None]
    if dweighted is not None:
        grad_dy = grad_dy + dweighted.to(x.dtype)[:, :, None, None] * x
        grad_x = slope * dy * dweighted.to(x.dtype)[:, :, None, None]
    if ddnoise is not None and noise is not None:
        grad_dy = grad_dy + ddnoise.to(x.dtype)
    return grad_dy * slope, grad_x, None, None, grad_scale, None, None, None


_scaled_bias_act_grad.register_autograd(_backward_scaled_grad, setup_context=_save_scaled_grad)
