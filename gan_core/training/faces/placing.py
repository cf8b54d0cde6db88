"""Affine maps, the FFHQ square and turns of a head in depth, for batches of tensors."""

from __future__ import annotations

import torch
from torch import Tensor

from gan_core.training.faces.photometric import chance

HEAD_CENTRE, HEAD_RADIUS = (0.5, 0.56), (0.33, 0.42)  # the head in FFHQ frame coordinates


def affine(points: Tensor, matrix: Tensor) -> Tensor:
    """points (N, ..., 2) through matrix (N, 2, 3)."""
    n = matrix.shape[0]
    flat = points.reshape(n, -1, 2)
    return (flat @ matrix[:, :, :2].transpose(1, 2) + matrix[:, None, :, 2]).view(points.shape)


def inverse_2x2(m: Tensor) -> Tensor:
    """Inverse of (N, 2, 2) in closed form: torch's function checks for singularity and so waits for the device."""
    a, b, c, d = m[:, 0, 0], m[:, 0, 1], m[:, 1, 0], m[:, 1, 1]
    return torch.stack([d, -b, -c, a], -1).view(-1, 2, 2) / (a * d - b * c).view(-1, 1, 1)


def inverse(matrix: Tensor) -> Tensor:
    """Inverse of affine maps (N, 2, 3)."""
    linear = inverse_2x2(matrix[:, :, :2])
    return torch.cat([linear, -(linear @ matrix[:, :, 2:])], 2)


def compose(second: Tensor, first: Tensor) -> Tensor:
    """The affine map (N, 2, 3) that applies `first`, then `second`."""
    linear = second[:, :, :2] @ first[:, :, :2]
    return torch.cat([linear, second[:, :, :2] @ first[:, :, 2:] + second[:, :, 2:]], 2)


def placement(centre: Tensor, side: Tensor, angle: Tensor, *, squash: float = 0.0) -> Tensor:
    """(N, 2, 3) maps from the frame to pixels: square of `side`, turned by `angle`, middle at `centre`."""
    n = side.shape[0]
    c, s = angle.cos(), angle.sin()
    rotation = torch.stack([torch.stack([c, -s], -1), torch.stack([s, c], -1)], -2) * side.view(-1, 1, 1)
    if squash:
        stretch = torch.diag_embed(torch.exp(torch.randn(n, 2, device=side.device) * squash))
        stretch[:, 0, 1] = torch.randn(n, device=side.device) * squash
        rotation = rotation @ stretch
    middle = torch.full((n, 2, 1), 0.5, device=side.device)
    return torch.cat([rotation, centre[:, :, None] - rotation @ middle], 2)


def head_turn(n: int, device: torch.device, spread: float) -> Tensor:
    """(n, 3, 3) rotations about the vertical and the horizontal axis; spread in radians."""
    yaw = (torch.randn(n, device=device) * spread).clamp(-0.7, 0.7) * chance(n, 0.6, device)
    pitch = (torch.randn(n, device=device) * spread * 0.5).clamp(-0.35, 0.35) * chance(n, 0.5, device)
    zero, one = torch.zeros_like(yaw), torch.ones_like(yaw)
    about_y = torch.stack([yaw.cos(), zero, yaw.sin(), zero, one, zero, -yaw.sin(), zero, yaw.cos()], -1)
    about_x = torch.stack([one, zero, zero, zero, pitch.cos(), -pitch.sin(), zero, pitch.sin(), pitch.cos()], -1)
    return about_y.view(-1, 3, 3) @ about_x.view(-1, 3, 3)


def _head_units(q: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    centre, radius = q.new_tensor(HEAD_CENTRE), q.new_tensor(HEAD_RADIUS)
    p = (q - centre) / radius
    return p, centre, radius


def unturn(q: Tensor, turn: Tensor) -> Tensor:
    """Positions of the turned head's frame points q (N, ..., 2) before turning."""
    p, centre, radius = _head_units(q)
    depth = (1 - p.pow(2).sum(-1, keepdim=True)).clamp_min(0).sqrt()
    n = turn.shape[0]
    back = turn.transpose(1, 2)[:, :2]  # inverse rotation, depth dropped
    flat = torch.cat([p, depth], -1).view(n, -1, 3) @ back.transpose(1, 2)
    return flat.view(q.shape) * radius + centre


def turn_points(q: Tensor, turn: Tensor) -> Tensor:
    """Positions of frame points q (N, P, 2) after the head has turned: the inverse of `unturn` for visible points."""
    p, centre, radius = _head_units(q)
    squared = p.pow(2).sum(-1, keepdim=True)
    space = torch.cat([p, (1 - squared).clamp_min(0).sqrt()], -1) @ turn.transpose(1, 2)
    beside = p @ inverse_2x2(turn.transpose(1, 2)[:, :2, :2]).transpose(1, 2)
    moved = torch.where((space[..., 2:] > 0) & (squared < 1), space[..., :2], beside)
    return moved * radius + centre


def frame_of(five: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """`geometry.ffhq_frame` for batches: five (N, 5, 2) -> centre (N, 2), side (N,), angle (N,)."""
    between = five[:, 1] - five[:, 0]
    eyes = (five[:, 0] + five[:, 1]) / 2
    down = (five[:, 3] + five[:, 4]) / 2 - eyes
    axis = between + torch.stack([down[:, 1], -down[:, 0]], -1)
    side = 2 * torch.maximum(2.0 * between.norm(dim=-1), 1.8 * down.norm(dim=-1))
    return eyes + 0.1 * down, side, torch.atan2(axis[:, 1], axis[:, 0])
