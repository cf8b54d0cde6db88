"""Cube maps of many places in one tensor, looked up by direction on any device.

Every face is kept with its mip levels (each half as large as the one before) and with a border of one texel computed
from its neighbours, so that bilinear interpolation crosses the cube's edges without a seam. All texels lie behind each
other in one int32 tensor, red in the lowest byte: a lookup is a few gathers, whatever the number and size of the maps.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

# Directions of a cube map's faces: right, down, outward (OpenGL, seen from inside: +x right, +y up, +z forward).
CUBE = {
    "px": ((0, 0, -1), (0, -1, 0), (1, 0, 0)),
    "nx": ((0, 0, 1), (0, -1, 0), (-1, 0, 0)),
    "py": ((1, 0, 0), (0, 0, 1), (0, 1, 0)),
    "ny": ((1, 0, 0), (0, 0, -1), (0, -1, 0)),
    "pz": ((1, 0, 0), (0, -1, 0), (0, 0, 1)),
    "nz": ((-1, 0, 0), (0, -1, 0), (0, 0, -1)),
}
LEVELS = 6  # mip levels, the full size included
_BORDER = 1  # texels


def face_coordinates(rays: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Face (int64, order of `CUBE`) and position on it, both from -1 to 1, right and down, of directions (..., 3)."""
    x, y, z = rays.unbind(-1)
    ax, ay, az = x.abs(), y.abs(), z.abs()
    on_x, on_y = (ax >= ay) & (ax >= az), (ay > ax) & (ay >= az)
    depth = torch.where(on_x, x, torch.where(on_y, y, z))
    sign = torch.where(depth < 0, -1.0, 1.0).to(x.dtype)
    right = torch.where(on_x, -z * sign, torch.where(on_y, x, x * sign))
    down = torch.where(on_y, z * sign, -y)
    axis = torch.where(on_x, 0, torch.where(on_y, 2, 4))
    size = depth.abs().clamp_min(1e-12)
    return axis + (depth < 0), right / size, down / size


@dataclass
class CubeMaps:
    """See the module's docstring; N maps. The other fields are tables on the same device."""

    texels: Tensor  # int32 (P,)
    sides: Tensor  # int64 (N, LEVELS), of a face without its border
    begins: Tensor  # int64 (N, LEVELS), of the first face in `texels`

    @staticmethod
    def pack(maps: list[Tensor]) -> CubeMaps:
        """Pack cube maps, uint8 (6, S, S, 3) in the order of `CUBE`, on the CPU; each may have its own side."""
        parts: list[Tensor] = []
        sides, begins, end = [], [], 0
        borders: dict[int, tuple[Tensor, ...]] = {}
        for faces in maps:
            level = faces.float()
            for _ in range(LEVELS):
                side = level.shape[1]
                if side not in borders:
                    borders[side] = _border_taps(side)
                bordered = _bordered(level, *borders[side]).round().clamp(0, 255).to(torch.int32)
                packed = bordered[..., 0] | bordered[..., 1] << 8 | bordered[..., 2] << 16
                parts.append(packed.flatten())
                sides.append(side)
                begins.append(end)
                end += packed.numel()
                if side > 1:
                    level = level[:, : side // 2 * 2, : side // 2 * 2].unflatten(2, (-1, 2)).unflatten(1, (-1, 2))
                    level = level.mean((2, 4))
        tables = (torch.tensor(rows).view(-1, LEVELS) for rows in (sides, begins))
        return CubeMaps(torch.cat(parts), *tables)

    def to(self, device: torch.device | str) -> CubeMaps:
        """The same on another device."""
        return CubeMaps(*(getattr(self, field.name).to(device) for field in fields(self)))

    def __len__(self) -> int:
        return len(self.sides)

    def look(self, which: Tensor, rays: Tensor, level: Tensor) -> Tensor:
        """Colours (N, H, W, 3), float32 from 0 to 255, interpolated between texels and levels.

        Args:
            which: int64 (N,), maps. rays: (N, H, W, 3), directions of any length. level: (N, H, W), mip level; values
                outside the levels there are count as the nearest.
        """
        face, right, down = face_coordinates(rays)
        level = level.clamp(0, LEVELS - 1)
        lower = level.floor()
        share = (level - lower)[..., None]
        lower = lower.long()
        first = self._bilinear(which, lower, face, right, down)
        second = self._bilinear(which, (lower + 1).clamp(max=LEVELS - 1), face, right, down)
        return torch.lerp(first, second, share)

    def _bilinear(self, which: Tensor, level: Tensor, face: Tensor, right: Tensor, down: Tensor) -> Tensor:
        entry = which.view(-1, 1, 1) * LEVELS + level
        side = self.sides.flatten()[entry]
        width = side + 2 * _BORDER
        x = (right + 1) * (side / 2) + (_BORDER - 0.5)
        y = (down + 1) * (side / 2) + (_BORDER - 0.5)
        left = torch.minimum(x.floor().clamp_min(0).long(), side)
        top = torch.minimum(y.floor().clamp_min(0).long(), side)
        x, y = x - left, y - top
        corner = self.begins.flatten()[entry] + (face * width + top) * width + left
        total = torch.zeros(*x.shape, 3, device=x.device)
        for step, weight in (
            (0, (1 - x) * (1 - y)),
            (1, x * (1 - y)),
            (width, (1 - x) * y),
            (width + 1, x * y),
        ):
            packed = self.texels[corner + step]
            colours = torch.stack([packed & 255, packed >> 8 & 255, packed >> 16], -1)
            total.addcmul_(colours.float(), weight[..., None])
        return total


def rays_of(face: Tensor, right: Tensor, down: Tensor) -> Tensor:
    """Directions (..., 3) of positions on faces: the inverse of `face_coordinates`."""
    axes = torch.tensor(list(CUBE.values()), dtype=right.dtype)[face]  # (..., 3, 3)
    position = torch.stack([right, down, torch.ones_like(right)], -1)
    return (position[..., None] * axes).sum(-2)


def _border_taps(side: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """For the border of six faces: its texels in the bordered faces (K,), and the four texels (K, 4) of the faces
    without border that it is interpolated from, with their weights (K, 4); last the places of the faces' own texels."""
    wide = side + 2 * _BORDER
    face, row, column = torch.meshgrid(*(torch.arange(n) for n in (6, wide, wide)), indexing="ij")
    inside = (row >= _BORDER) & (row < wide - _BORDER) & (column >= _BORDER) & (column < wide - _BORDER)
    where = torch.arange(inside.numel()).view_as(inside)
    outside = ~inside
    u, v = (((i[outside] - _BORDER + 0.5).double() / side) * 2 - 1 for i in (column, row))
    other, right, down = face_coordinates(rays_of(face[outside], u, v))
    x = ((right + 1) * (side / 2) - 0.5).clamp(0, side - 1)
    y = ((down + 1) * (side / 2) - 0.5).clamp(0, side - 1)
    left, top = x.floor(), y.floor()
    x, y = x - left, y - top
    texels, weights = [], []
    for i, wy in ((0, 1 - y), (1, y)):
        for j, wx in ((0, 1 - x), (1, x)):
            at_row, at_column = ((n.long() + step).clamp(max=side - 1) for n, step in ((top, i), (left, j)))
            texels.append((other * side + at_row) * side + at_column)
            weights.append(wx * wy)
    return where[outside], torch.stack(texels, 1), torch.stack(weights, 1).float(), where[inside]


def _bordered(faces: Tensor, border: Tensor, texels: Tensor, weights: Tensor, own: Tensor) -> Tensor:
    """Faces (6, S, S, 3) with a border, (6, S + 2, S + 2, 3)."""
    wide = faces.shape[1] + 2 * _BORDER
    flat = faces.flatten(0, 2)
    result = faces.new_empty(6 * wide * wide, 3)
    result[own] = flat
    result[border] = (flat[texels] * weights[..., None]).sum(1)
    return result.view(6, wide, wide, 3)
