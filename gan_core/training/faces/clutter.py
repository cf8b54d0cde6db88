"""Random backgrounds without faces: noise of many scales, shapes, stripes, cloth, shuffled pictures."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from gan_core.training.faces.photometric import chance, per_picture, uniform


def pixel_grid(height: int, width: int, device: torch.device) -> Tensor:
    """(H, W, 2) continuous coordinates (x, y) of the pixels' centres."""
    y, x = torch.meshgrid(
        torch.arange(height, device=device) + 0.5, torch.arange(width, device=device) + 0.5, indexing="ij"
    )
    return torch.stack([x, y], -1)


def octave_noise(n: int, size: int, device: torch.device) -> Tensor:
    """(n, 3, size, size) in 0..1: coloured noise with a random weight at each scale."""
    total = torch.rand(n, 3, 1, 1, device=device).expand(n, 3, size, size)
    side = 2
    while side <= size:
        noise = torch.randn(n, 3, side, side, device=device)
        noise = noise + 1.5 * torch.randn(n, 1, side, side, device=device)
        amount = per_picture(uniform(n, 0, 0.25, device) ** 1.5 * chance(n, 0.6, device))
        total = total + F.interpolate(noise, size=(size, size), mode="bilinear", align_corners=False) * amount
        side *= 2
    return total.clamp(0, 1)


def stripes(n: int, size: int, device: torch.device) -> Tensor:
    """(n, 3, size, size) in 0..1: gratings and checks of two random colours."""
    grid = pixel_grid(size, size, device) / size
    angle, waves = uniform(n, 0, math.pi, device), uniform(n, 2, 30, device)
    u = grid[None, ..., 0] * angle.cos().view(-1, 1, 1) + grid[None, ..., 1] * angle.sin().view(-1, 1, 1)
    v = grid[None, ..., 1] * angle.cos().view(-1, 1, 1) - grid[None, ..., 0] * angle.sin().view(-1, 1, 1)
    phase = waves.view(-1, 1, 1) * 2 * math.pi
    wave = (u * phase).sin() * torch.where(chance(n, 0.5, device).bool().view(-1, 1, 1), (v * phase).sin(), 1.0)
    mix = (wave[:, None] * per_picture(uniform(n, 0.7, 12, device))).sigmoid()
    first, second = torch.rand(2, n, 3, 1, 1, device=device)
    return torch.lerp(first.expand(-1, -1, size, size), second.expand(-1, -1, size, size), mix)


def paint_shapes(x: Tensor, count: int, small: float = 0.03, large: float = 0.3) -> Tensor:
    """Ellipses and boxes of random colour, softness and opacity over (N, 3, H, W)."""
    n, _, h, w = x.shape
    grid = pixel_grid(h, w, x.device) / max(h, w)
    for _ in range(count):
        centre = torch.rand(n, 1, 1, 2, device=x.device)
        radius = small * (large / small) ** torch.rand(n, 1, 1, 2, device=x.device)
        angle = uniform(n, 0, math.pi, x.device).view(-1, 1, 1)
        d = grid[None] - centre
        u = d[..., 0] * angle.cos() + d[..., 1] * angle.sin()
        v = d[..., 1] * angle.cos() - d[..., 0] * angle.sin()
        p = torch.stack([u, v], -1).abs() / radius
        box = chance(n, 0.4, x.device).view(-1, 1, 1).bool()
        level = torch.where(box, p.amax(-1), p.norm(dim=-1))
        alpha = ((1 - level) * uniform(n, 5, 60, x.device).view(-1, 1, 1)).sigmoid()[:, None]
        alpha = alpha * per_picture(uniform(n, 0.4, 1, x.device) * chance(n, 0.7, x.device))
        colour = torch.rand(n, 3, 1, 1, device=x.device)
        x = torch.lerp(x, colour.expand_as(x), alpha)
    return x


def sample(pictures: Tensor, where: Tensor) -> Tensor:
    """pictures (N, 3, S, S) at `where` (N, h, w, 2) in 0..1 of their sides; edges repeat."""
    return F.grid_sample(pictures, where * 2 - 1, mode="bilinear", padding_mode="border", align_corners=False)


def _random_window(n: int, size: int, device: torch.device, low: float, high: float) -> Tensor:
    """(n, size, size, 2): coordinates of a rotated square window of a 0..1 picture, mirrored at the picture's
    border."""
    grid = pixel_grid(size, size, device) / size - 0.5
    angle, side = uniform(n, -math.pi, math.pi, device), uniform(n, low, high, device)
    c, s = (angle.cos() * side).view(-1, 1, 1), (angle.sin() * side).view(-1, 1, 1)
    u, v = grid[None, ..., 0] * c - grid[None, ..., 1] * s, grid[None, ..., 0] * s + grid[None, ..., 1] * c
    return torch.stack([u, v], -1) + torch.rand(n, 1, 1, 2, device=device)


def _reflect(t: Tensor, low: float, high: float) -> Tensor:
    """Fold numbers back into low..high."""
    span = high - low
    t = torch.remainder(t - low, 2 * span)
    return low + torch.where(t > span, 2 * span - t, t)


def shuffled(pictures: Tensor, where: Tensor, cells: int) -> Tensor:
    """`sample` with the picture's cells x cells blocks in random order: all parts of a face, but no face."""
    n = where.shape[0]
    order = torch.rand(n, cells * cells, device=where.device).argsort(1)
    scaled = where.clamp(0, 0.9999) * cells
    block = scaled.long()
    other = order.gather(1, (block[..., 1] * cells + block[..., 0]).flatten(1)).view(block.shape[:3])
    moved = torch.stack([other % cells, other // cells], -1) + (scaled - block)
    return sample(pictures, moved / cells)


def clutter(n: int, size: int, portraits: Tensor, textures: Tensor | None) -> Tensor:
    """(n, 3, size, size) in 0..1 without a whole face.

    portraits: (M, 3, S, S) float 0..1 busts whose lower part shows clothes and whose blocks may be shuffled;
    textures: (K, 3, S, S) pictures without people, or None.
    """
    device = portraits.device
    kind = torch.randint(0, 6 if textures is not None else 5, (n,), device=device)
    x = octave_noise(n, size, device)
    picked = portraits[torch.randint(portraits.shape[0], (n,), device=device)]
    window = _random_window(n, size, device, 0.2, 0.9)
    # The part of a bust below 0.86 of its height shows clothes, never a whole face.
    cloth = sample(picked, torch.stack([_reflect(window[..., 0], 0, 1), _reflect(window[..., 1], 0.86, 1)], -1))
    broken = shuffled(picked, _reflect(_random_window(n, size, device, 0.4, 1.6), 0, 1), 4)
    options = [x, stripes(n, size, device), cloth, broken, broken]
    if textures is not None:
        natural = textures[torch.randint(textures.shape[0], (n,), device=device)]
        options.append(sample(natural, _reflect(_random_window(n, size, device, 0.3, 1.5), 0, 1)))
    for i, option in enumerate(options[1:], start=1):
        x = torch.where(per_picture(kind == i), option, x)
    x = torch.lerp(x, octave_noise(n, size, device), per_picture(uniform(n, 0, 0.4, device)))
    return torch.where(per_picture(chance(n, 0.5, device)).bool(), paint_shapes(x, 5), x)
