"""Classical ways to fill a hole, to compare networks with: OpenCV's two, and patches found by a parallel PatchMatch.

All take and give pictures as the networks' `complete` does; known pixels are kept to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from gan_core.comodgan.blending import spread
from gan_core.comodgan.patches import PatchGrid, at_nodes, field_of, improve, voted

Filler = Callable[[Tensor, Tensor], Tensor]
RADIUS = 3  # OpenCV's examples
_COARSEST = 32  # pixels a side at which patches are first searched
_FEWEST = 0.03  # least share of patches to copy from; at a coarse size with fewer the hole is only smooth
_PASSES = 4  # of search and vote at each size


def telea(images: Tensor, holes: Tensor) -> Tensor:
    """Fast marching (Telea 2004). images: (N, 3, H, W) in [-1, 1]; holes: (N, 1, H, W), 1 = hole."""
    return _opencv(images, holes, "INPAINT_TELEA")


def navier_stokes(images: Tensor, holes: Tensor) -> Tensor:
    """Isophotes continued as a flow (Bertalmio et al. 2001). Arguments as for `telea`."""
    return _opencv(images, holes, "INPAINT_NS")


def _opencv(images: Tensor, holes: Tensor, method: str) -> Tensor:
    import cv2

    done = []
    for image, hole in zip(images.cpu(), holes.cpu(), strict=True):
        pixels = ((image + 1) * 127.5).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
        mask = hole[0].to(torch.uint8).numpy()
        grey = np.full_like(pixels, 127)  # with nothing to go by
        filled = grey if mask.all() else cv2.inpaint(pixels, mask, RADIUS, getattr(cv2, method))
        done.append(torch.from_numpy(filled).permute(2, 0, 1).float() / 127.5 - 1)
    return torch.where(holes.bool(), torch.stack(done).to(images), images)


def patch_match(images: Tensor, holes: Tensor) -> Tensor:
    """Patches of the known part (Wexler et al. 2007, with the search of Barnes et al. 2009), coarse to fine.

    At each size the hole's patches are found again in the known part, and every pixel becomes the mean of what the
    patches over it say, weighted by their likeness. Arguments as for `telea`; sides of at least 32 pixels.
    """
    return torch.cat([_match_one(i[None], h[None]) for i, h in zip(images, holes, strict=True)])


def _match_one(image: Tensor, hole: Tensor) -> Tensor:
    """One picture (1, 3, H, W) with its hole (1, 1, H, W)."""
    levels = [(image * (1 - hole), 1 - hole)]
    while min(levels[-1][0].shape[2:]) >= 2 * _COARSEST:
        seen, known = levels[-1]
        share = F.avg_pool2d(known, 2)
        levels.append((F.avg_pool2d(seen, 2) / share.clamp_min(1e-3) * (share > 0), (share > 0.5).float()))
    seen, known = levels[-1]
    done = torch.where(known == 1, seen, spread(seen, known, 6))
    offsets: Tensor | None = None
    random = torch.Generator().manual_seed(0)
    for seen, known in reversed(levels):
        if done.shape != seen.shape:
            done = F.interpolate(done, seen.shape[2:], mode="bilinear", align_corners=False)
        done = torch.where(known == 1, seen, done)
        for _ in range(_PASSES):
            grid = PatchGrid.of(done, known, 1 - known)
            enough = grid.source.float().mean() > (_FEWEST if len(known[0, 0]) < len(image[0, 0]) else 0)
            if not enough or not len(grid.nodes):
                offsets = None
                break
            if offsets is None:
                begun = torch.full((len(grid.nodes), 2), max(done.shape), device=done.device)  # nowhere: at random
            else:
                begun = at_nodes(offsets, grid)
            found, cost = improve(grid, begun, rounds=4, reach=max(done.shape[-1] // 4, 1), generator=random)
            offsets = field_of(grid, found)
            done = torch.where(known == 1, seen, voted(grid, found, cost))
    return torch.where(hole == 1, done.clamp(-1, 1), image)


FILLERS: dict[str, Filler] = {"Telea": telea, "Navier-Stokes": navier_stokes, "PatchMatch": patch_match}
