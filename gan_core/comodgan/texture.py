"""The picture's own texture in a hole that the network filled.

The network continues shapes and light; its texture is what it saw in training. A search of patches alone has the
picture's texture, but begun from nothing it has no idea of what is missing. So the search begins from the network's
fill: at half the size, then at the whole, each patch of the hole is found again among the known ones, and every pixel
becomes the mean of what the patches over it say, weighted by their likeness (Wexler et al. 2007, with the search of
Barnes et al. 2009). By colours alone smooth patches would be the likest to any foliage; so patches are compared by the
network's contrast, too. Only the hole is changed.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_core.comodgan.patches import SIDE, PatchGrid, at_nodes, field_of, improve, nearest, voted

_COARSE = 64  # least side at which half the size is searched first
_PASSES = 3  # of search and vote at each size
_ROUNDS = 4  # of the search in each pass
_FOCUS = 1.0  # of the last vote at each size, so that the result is sharp
_LIVELY = 1.0  # weight of the contrast around a pixel, in its colour's unit
_AROUND = 7  # pixels a side over which that is taken
_FEWEST_SOURCES = 0.15  # least share of the square's patches to copy from; with fewer the same few would be everywhere


def with_own_texture(done: Tensor, known: Tensor, hole: Tensor | None = None) -> Tensor:
    """A completed square whose hole is made of patches of its known part.

    Args:
        done: (1, 3, S, S) in [-1, 1], completed by a network.
        known: (1, 1, S, S), 1 where it is the photograph's, 0 in the hole and outside of the photograph.
        hole: (1, 1, S, S), 1 where patches are wanted; None for everything that is not known.

    Returns:
        (1, 3, S, S) in [-1, 1]. Where nothing is wanted, `done` to the last bit; the same where less than a seventh of
        the square can be copied from.
    """
    wanted = 1 - known if hole is None else hole
    side = done.shape[-1]
    if side < 2 * SIDE:
        return done
    pad = -side % 4  # both sizes are even
    full = [F.pad(x, (0, pad, 0, pad)) for x in (done, known, wanted)]
    sizes = [full]
    if side >= 2 * _COARSE:
        picture, share, marked = full[0], F.avg_pool2d(full[1], 2), F.avg_pool2d(full[2], 2)
        sizes.insert(0, [F.avg_pool2d(picture, 2), (share == 1).to(known), (marked > 0).to(known)])
    better: Tensor | None = None
    field: Tensor | None = None
    draw = torch.Generator().manual_seed(0)
    for start, seen, marked in sizes:
        lively = _LIVELY * _contrast(start)
        now = start if better is None else _enlarged_into(better, start, marked)
        for turn in range(_PASSES):
            grid = PatchGrid.of(torch.cat([now, lively], 1), seen, marked)
            if not len(grid.nodes) or grid.source.float().mean() < _FEWEST_SOURCES:
                return done
            begun = nearest(grid) if field is None else at_nodes(field, grid)
            reach = max(now.shape[-1] // 4, 1)
            found, cost = improve(grid, begun, rounds=_ROUNDS, reach=reach, generator=draw)
            field = field_of(grid, found)
            mean = voted(grid, found, cost, focus=_FOCUS if turn == _PASSES - 1 else 0.0)
            now = torch.where(marked == 1, mean[:, :3], start)
        better = now
    assert better is not None
    return torch.where(wanted == 1, better[..., :side, :side].clamp(-1, 1), done)


def _enlarged_into(coarse: Tensor, start: Tensor, marked: Tensor) -> Tensor:
    """The picture of half the size, enlarged, in the hole of the full one."""
    return torch.where(marked == 1, F.interpolate(coarse, start.shape[2:], mode="bilinear", align_corners=False), start)


def _contrast(picture: Tensor) -> Tensor:
    """Standard deviation (1, 1, S, S) of the lightness around each pixel."""
    edge = _AROUND // 2
    light = F.pad(picture.mean(1, keepdim=True), (edge, edge, edge, edge), mode="replicate")
    mean, square = (F.avg_pool2d(x, _AROUND, 1) for x in (light, light.square()))
    return (square - mean.square()).clamp_min(0).sqrt()
