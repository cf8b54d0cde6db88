"""Light, colour, blur, noise and compression artefacts on batches of pictures, on any device."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def uniform(n: int, low: float, high: float, device: torch.device) -> Tensor:
    """(n,) uniform random numbers in low..high."""
    return torch.rand(n, device=device) * (high - low) + low


def chance(n: int, probability: float, device: torch.device) -> Tensor:
    """(n,) float, 1 with this probability, else 0."""
    return (torch.rand(n, device=device) < probability).float()


def per_picture(values: Tensor) -> Tensor:
    """(n,) -> (n, 1, 1, 1)."""
    return values.view(-1, 1, 1, 1)


def gaussian_blur(x: Tensor, sigma: float) -> Tensor:
    """Separable Gaussian blur of (N, C, H, W)."""
    radius = max(1, math.ceil(2.5 * sigma))
    taps = torch.exp(-((torch.arange(-radius, radius + 1, device=x.device, dtype=x.dtype) / sigma) ** 2) / 2)
    taps = (taps / taps.sum()).expand(x.shape[1], 1, -1)
    x = F.conv2d(F.pad(x, (radius, radius, 0, 0), mode="replicate"), taps[:, :, None], groups=x.shape[1])
    return F.conv2d(F.pad(x, (0, 0, radius, radius), mode="replicate"), taps[..., None], groups=x.shape[1])


def light_and_colour(x: Tensor, strength: float = 1.0) -> Tensor:
    """Random exposure, contrast, gamma, colour cast, saturation, black and white, and a gradient of light. x in
    0..1."""
    n, _, h, w = x.shape
    device = x.device
    x = x.clamp(0, 1) ** per_picture(torch.exp(torch.randn(n, device=device) * 0.22 * strength))
    grey = x.mean(1, keepdim=True)
    saturation = per_picture(uniform(n, 0.2, 1.6, device) * (1 - chance(n, 0.15, device)))
    x = grey + (x - grey) * saturation
    cast = 1 + torch.randn(n, 3, 1, 1, device=device) * 0.07 * strength
    mixing = torch.eye(3, device=device) + torch.randn(n, 3, 3, device=device) * 0.03 * strength
    x = torch.einsum("nij,njhw->nihw", mixing, x) * cast
    level = x.mean((1, 2, 3), keepdim=True)
    x = (x - level) * per_picture(torch.exp(torch.randn(n, device=device) * 0.2 * strength)) + level
    x = x * per_picture(torch.exp(torch.randn(n, device=device) * 0.2 * strength))
    angle, steep = uniform(n, 0, 2 * math.pi, device), torch.randn(n, device=device) * 0.35
    steep = steep * chance(n, 0.5, device)
    column = torch.linspace(-1, 1, w, device=device).view(1, 1, 1, w)
    row = torch.linspace(-1, 1, h, device=device).view(1, 1, h, 1)
    slope = per_picture(angle.cos()) * column + per_picture(angle.sin()) * row
    return (x * torch.exp(per_picture(steep) * slope)).clamp(0, 1)


def soften(x: Tensor) -> Tensor:
    """Blur of a random width, or the loss of a coarser camera (reduced and enlarged again)."""
    n, _, h, w = x.shape
    some, strong = gaussian_blur(x, 0.9), gaussian_blur(x, 2.0)
    pick = torch.rand(n, device=x.device)
    x = torch.lerp(x, some, per_picture(uniform(n, 0, 1, x.device) * (pick < 0.5)))
    x = torch.lerp(x, strong, per_picture(uniform(n, 0, 1, x.device) * (pick < 0.15)))
    factor = 1 / (1.2 + 2.4 * torch.rand(()).item())
    coarse = F.interpolate(x, size=(max(8, int(h * factor)), max(8, int(w * factor))), mode="area")
    coarse = F.interpolate(coarse, size=(h, w), mode="bicubic", align_corners=False)
    return torch.lerp(x, coarse, per_picture(chance(n, 0.25, x.device)))


def _dct_basis(device: torch.device, dtype: torch.dtype) -> Tensor:
    k = torch.arange(8, device=device, dtype=dtype)
    basis = torch.cos((2 * k[None] + 1) * k[:, None] * math.pi / 16) / 2
    basis[0] /= math.sqrt(2)
    return basis


def block_artefacts(x: Tensor) -> Tensor:
    """JPEG artefacts: 8x8 cosine coefficients rounded to steps that grow with frequency."""
    n, c, h, w = x.shape
    basis = _dct_basis(x.device, x.dtype)
    frequency = torch.arange(8, device=x.device, dtype=x.dtype)
    step = per_picture(10 ** uniform(n, -2.3, -0.7, x.device))[..., None, None]
    step = step * (1 + 0.6 * (frequency[:, None] + frequency[None]))
    blocks = x.view(n, c, h // 8, 8, w // 8, 8).permute(0, 1, 2, 4, 3, 5)
    coefficients = torch.einsum("ui,ncabij,vj->ncabuv", basis, blocks, basis)
    coefficients = torch.round(coefficients / step) * step
    blocks = torch.einsum("ui,ncabuv,vj->ncabij", basis, coefficients, basis)
    return blocks.permute(0, 1, 2, 4, 3, 5).reshape(n, c, h, w)


def camera(x: Tensor) -> Tensor:
    """All effects above and sensor noise: (N, 3, H, W) in 0..1 -> 0..1. H and W multiples of 8."""
    n = x.shape[0]
    x = soften(light_and_colour(x))
    noise = torch.randn_like(x) + torch.randn_like(x[:, :1])
    amount = uniform(n, 0, 0.06, x.device) * chance(n, 0.5, x.device)
    x = x + noise * per_picture(amount)
    x = torch.lerp(x, block_artefacts(x), per_picture(chance(n, 0.35, x.device)))
    return x.clamp(0, 1)
