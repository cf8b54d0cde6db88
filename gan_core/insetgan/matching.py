"""Where a further inset starts: of several pictures of a seed the one nearest to the canvas.

A generator of faces has an encoder to start from; one of feet has none, and an optimisation of some dozen steps does
not turn bare legs on sand into jeans on grass.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from gan_core.insetgan.objective import patch_of
from gan_core.insetgan.placement import take
from gan_core.insetgan.regions import Region, RegionFinder, outline_of
from gan_core.insetgan.sources import LARGEST_SEED, LatentSource, codes_of
from gan_core.stylegan2 import Generator

CANDIDATES = 32
_STRIDE = 7919  # from the seed of one candidate to that of the next
_BATCH = 8
_INSIDE = 0.5  # how much a pixel inside counts beside one of the frame: the insets' feet should stand where they stood
_FRAME = 12  # width of what is compared, pixels of the canvas


@torch.no_grad()
def matching(
    generator: Generator,
    source: LatentSource,
    picture: Tensor,
    region: Region,
    finder: RegionFinder,
    candidates: int = CANDIDATES,
) -> LatentSource:
    """The codes of the candidate that agrees best; `source` itself where it is given codes, or has no place.

    picture: the canvas's, (1, 3, H, W) in [-1, 1].
    """
    if source.codes is not None:
        return source
    side = generator.resolution
    place = finder(picture, picture.new_zeros(1, 3, side, side), region)
    if place is None:
        return source
    below = take(picture, place.to_canvas((picture.shape[-2], picture.shape[-1])).to(picture), place.size)
    outline = outline_of(region, place.size, min(_FRAME, min(place.size) // 2), below)
    counts = outline.frame + _INSIDE * (outline.inside - outline.frame)
    seeds = [(source.seed + k * _STRIDE) % LARGEST_SEED for k in range(candidates)]
    codes = torch.cat([codes_of(generator, replace(source, seed=seed), {}) for seed in seeds])
    drawn = (generator.synthesis(part, noise="none") for part in codes.split(_BATCH))
    patches = torch.cat([patch_of(part, region, place.size) for part in drawn])
    best = int(((patches - below).abs() * counts).mean((1, 2, 3)).argmin())
    return replace(source, codes=codes[best : best + 1])
