"""Visibility of a seam, and the amount of detail on both sides of it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from gan_core.faces.head import HeadNet
from gan_core.insetgan.compositing import narrowed
from gan_core.insetgan.latents import Composite, Schedule
from gan_core.insetgan.placement import Placement, put
from gan_core.insetgan.regions import BY_HEAD_FINDER, Region, outline_of

_OFFSETS = (-3.0, -1.0, 1.0, 3.0)  # pixels from the border, outwards
SIDES = ("top", "bottom", "left", "right")


def seam_energy(image: Tensor, placement: Placement, sides: Sequence[str] = SIDES, *, outline: str = "box") -> float:
    """Mean gradient jump across the border of a placement in an image (1, 3, H, W) in [-1, 1], times 100.

    At each pixel of the border, with a1, b1 one pixel inside and outside of it and a3, b3 three: |(b1 - a1) - ((a1 -
    a3) + (b3 - b1)) / 2|, which is 0 where the picture is continuous, and large where it jumps. Parts of the border
    outside the picture do not count; 0 if nothing is left. outline: "ellipse" for the border of the ellipse inside the
    placement, which has no sides.
    """
    lines = [_ellipse(placement)] if outline == "ellipse" else [_side(placement, side) for side in sides]
    matrix = placement.to_canvas((image.shape[-2], image.shape[-1]))
    return _jumps(image, [uv @ matrix[:, :2].T + matrix[:, 2] for uv in lines])


def seam_along(image: Tensor, cover: Tensor) -> float:
    """The same along the border of any shape. cover: (1, 1, H, W) in [0, 1], what of the image is the inset."""
    smooth = cover.float().cpu()
    for _ in range(2):
        smooth = F.avg_pool2d(F.pad(smooth, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    rows, columns = torch.gradient(smooth[0, 0])
    slope = torch.stack([columns, rows], -1)  # (H, W, 2), inwards
    steep = slope.norm(dim=-1)
    border = ((smooth[0, 0] - 0.5).abs() < 0.2) & (steep > 0.08)
    if not border.any():
        return 0.0
    y, x = torch.nonzero(border, as_tuple=True)
    normal = -slope[border] / steep[border][:, None]
    at = torch.stack([x, y], -1) + 0.5 + normal * ((smooth[0, 0][border] - 0.5) / steep[border])[:, None]
    size = torch.tensor([image.shape[-1], image.shape[-2]])
    return _jumps(image, [torch.stack([2 * (at + offset * normal) / size - 1 for offset in _OFFSETS])])


def seam(made: Composite, region: Region, head: HeadNet | None, picture: Tensor | None = None) -> float:
    """The seam's energy along the region's outline of the first inset, in the hard paste or in another `picture`.

    head: for regions that are cut out by it.
    """
    place, picture = made.placements[0], made.hard if picture is None else picture
    if region.outline not in BY_HEAD_FINDER or head is None:
        return seam_energy(picture, place, outline=region.outline)
    device = next(head.parameters()).device
    frame = narrowed(Schedule().frame, place.size)
    inside = outline_of(region, place.size, frame, made.insets[0].to(device), head.masks).inside.cpu()
    size = (picture.shape[-2], picture.shape[-1])
    return seam_along(picture, put(torch.zeros(1, 1, *size), torch.ones_like(inside), inside, place.from_canvas(size)))


def _jumps(image: Tensor, lines: Sequence[Tensor]) -> float:
    """Mean jump over lines of points (4, L, 2), which run from -1 to 1 over the image, times 100."""
    height, width = image.shape[-2:]
    total, count = 0.0, 0
    for at in lines:
        edge = torch.tensor([1 - 1 / width, 1 - 1 / height])
        within = (at.abs() <= edge).all(-1).all(0)  # (L,)
        if not within.any():
            continue
        values = F.grid_sample(image.float().cpu(), at[None], mode="bilinear", align_corners=False)[0]  # (3, 4, L)
        a3, a1, b1, b3 = values[:, :, within].unbind(1)
        jump = ((b1 - a1) - ((a1 - a3) + (b3 - b1)) / 2).abs()
        total, count = total + float(jump.sum()), count + jump.numel()
    return 100 * total / count if count else 0.0


def _side(placement: Placement, side: str) -> Tensor:
    """Points (4, L, 2) along one side: far inside, near inside, near outside, far outside."""
    du, dv = {"top": (0, -1), "bottom": (0, 1), "left": (-1, 0), "right": (1, 0)}[side]
    along = torch.linspace(-0.96, 0.96, max(8, round(placement.width if du == 0 else placement.height)))
    lines = []
    for offset in _OFFSETS:
        if du == 0:
            u, v = along, torch.full_like(along, dv * (1 + 2 * offset / placement.height))
        else:
            u, v = torch.full_like(along, du * (1 + 2 * offset / placement.width)), along
        lines.append(torch.stack([u, v], -1))
    return torch.stack(lines)


def _ellipse(placement: Placement) -> Tensor:
    """The same along the ellipse that touches the four sides."""
    half = torch.tensor([placement.width / 2, placement.height / 2])
    turn = torch.linspace(0, 2 * torch.pi, max(16, round(3.1 * float(half.sum()))) + 1)[:-1]
    border = torch.stack([turn.cos(), turn.sin()], -1)
    normal = F.normalize(border / half, dim=-1)
    return torch.stack([border + offset * normal / half for offset in _OFFSETS])


def detail(image: Tensor, placement: Placement) -> tuple[float, float]:
    """Mean absolute Laplacian inside and outside of a placement in an image (1, 3, H, W) in [-1, 1], times 100.

    A band along the border, of a tenth of the placement's sides, counts to neither.
    """
    size = (image.shape[-2], image.shape[-1])
    grey = image.float().mean(1, keepdim=True)
    kernel = grey.new_tensor([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]]).view(1, 1, 3, 3)
    edges = F.conv2d(F.pad(grey, (1, 1, 1, 1), mode="replicate"), kernel).abs()[0, 0]
    at = F.affine_grid(placement.from_canvas(size)[None], [1, 1, *size], align_corners=False)[0].abs().to(edges.device)
    inside, outside = (at < 0.8).all(-1), (at > 1.2).any(-1)
    within, beyond = (100 * float(edges[part].mean()) if part.any() else 0.0 for part in (inside, outside))
    return within, beyond
