"""Where an inset lies on the canvas, and moving pictures between the two.

The paper's boxes are upright (section 3.1). For tilted heads a placement also has an angle, which is 0 for a plain box.
All sampling has fixed sizes and is differentiable, so that a box may move while a recorded graph is replayed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

Points = Sequence[Sequence[float]]
Size = tuple[int, int]


@dataclass(frozen=True)
class Placement:
    """A rectangle on the canvas, in its pixels: (0, 0) is the outer corner of the first one."""

    x: float  # of the middle
    y: float
    width: float
    height: float
    angle: float = 0.0  # radians, positive: the rectangle's right end lower

    @classmethod
    def of_box(cls, box: Sequence[float]) -> Placement:
        """An upright box (x0, y0, x1, y1), ends excluded."""
        x0, y0, x1, y1 = box
        return cls((x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0)

    def scaled(self, times: float) -> Placement:
        """The same on a canvas so many times larger."""
        return Placement(times * self.x, times * self.y, times * self.width, times * self.height, self.angle)

    @property
    def size(self) -> Size:
        """Height and width in whole pixels, at least one each."""
        return max(1, round(self.height)), max(1, round(self.width))

    def corners(self) -> list[tuple[float, float]]:
        """Top left, top right, bottom right, bottom left."""
        return [self.at(u, v) for u, v in ((-1, -1), (1, -1), (1, 1), (-1, 1))]

    def at(self, u: float, v: float) -> tuple[float, float]:
        """The canvas point of (u, v), which run from -1 to 1 over the rectangle."""
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        a, b = u * self.width / 2, v * self.height / 2
        return self.x + a * cos - b * sin, self.y + a * sin + b * cos

    def to_canvas(self, canvas: Size) -> Tensor:
        """(2, 3): from (u, v, 1) over the rectangle to the same over a canvas of (height, width) pixels."""
        height, width = canvas
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        return torch.tensor(
            [
                [self.width / width * cos, -self.height / width * sin, 2 * self.x / width - 1],
                [self.width / height * sin, self.height / height * cos, 2 * self.y / height - 1],
            ],
            dtype=torch.float32,
        )

    def from_canvas(self, canvas: Size) -> Tensor:
        """(2, 3): the inverse of `to_canvas`."""
        there = self.to_canvas(canvas).double()
        linear = torch.linalg.inv(there[:, :2])
        return torch.cat([linear, -linear @ there[:, 2:]], 1).float()


def take(canvas: Tensor, to_canvas: Tensor, size: Size) -> Tensor:
    """The part (N, C, *size) of the canvas (N, C, H, W) under a placement, bilinear; edges are continued."""
    return _sampled(canvas, to_canvas, size, "border")


def put(canvas: Tensor, patch: Tensor, alpha: Tensor, from_canvas: Tensor, *, cubic: bool = False) -> Tensor:
    """The canvas (N, C, H, W) with `patch` (N, C, h, w) laid over it with opacity `alpha` (1, 1, of any size).

    Without rotation and at whole pixels this is a plain paste; else the outline is smoothed over a pixel. cubic: sample
    bicubically, which blurs less and may overshoot; for final pictures.
    """
    size = (canvas.shape[-2], canvas.shape[-1])
    cover = _sampled(alpha, from_canvas, size, "zeros")
    laid = _sampled(patch, from_canvas, size, "border", "bicubic" if cubic else "bilinear")
    return canvas + cover * (laid - canvas)


def resized(image: Tensor, size: Size) -> Tensor:
    """`image` at (height, width), bilinear, without aliasing where it is made smaller."""
    if tuple(image.shape[-2:]) == tuple(size):
        return image
    return F.interpolate(image, size, mode="bilinear", align_corners=False, antialias=True)


def similarity(source: Points, target: Points) -> tuple[float, float, tuple[float, float], tuple[float, float]]:
    """Least-squares turn and scale that take points to others: scale, angle, and the two middles that correspond."""
    n = len(source)
    sx, sy = sum(p[0] for p in source) / n, sum(p[1] for p in source) / n
    tx, ty = sum(p[0] for p in target) / n, sum(p[1] for p in target) / n
    a = b = norm = 0.0
    for (px, py), (qx, qy) in zip(source, target, strict=True):
        px, py, qx, qy = px - sx, py - sy, qx - tx, qy - ty
        a += px * qx + py * qy
        b += px * qy - py * qx
        norm += px * px + py * py
    if norm < 1e-9:
        raise ValueError("the points lie on top of each other")
    return math.hypot(a, b) / norm, math.atan2(b, a), (sx, sy), (tx, ty)


def placed(box: Sequence[float], source: Points, target: Points, *, upright: bool = False) -> Placement:
    """Where `box` (x0, y0, x1, y1), in the pixels of the inset, comes to lie on the canvas.

    source, target: points of the inset and the same of the canvas. upright: without turning.
    """
    scale, angle, (sx, sy), (tx, ty) = similarity(source, target)
    if upright:
        angle = 0.0
    x0, y0, x1, y1 = box
    dx, dy = scale * ((x0 + x1) / 2 - sx), scale * ((y0 + y1) / 2 - sy)
    cos, sin = math.cos(angle), math.sin(angle)
    return Placement(tx + dx * cos - dy * sin, ty + dx * sin + dy * cos, scale * (x1 - x0), scale * (y1 - y0), angle)


def _sampled(image: Tensor, matrix: Tensor, size: Size, outside: str, mode: str = "bilinear") -> Tensor:
    n = image.shape[0]
    grid = F.affine_grid(matrix.to(image)[None].expand(n, -1, -1), [n, 1, *size], align_corners=False)
    return F.grid_sample(image, grid, mode=mode, padding_mode=outside, align_corners=False)
