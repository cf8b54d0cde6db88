"""Photographs that come with installed packages: not of the training's places, free, and nothing is downloaded.

scikit-learn and scikit-image carry a few sample photographs; those that are installed are used (SciPy downloads its
own). Faces close up and pictures that are no photographs are left out. A folder of one's own, such as a desktop's
wallpapers, can be added.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from gan_core.errors import BadImage
from gan_core.images import open_image

# package -> folder in it, names of its photographs
_CARRIED = {
    "sklearn": ("datasets/images", ("china.jpg", "flower.jpg")),
    "skimage": ("data", ("coffee.png", "rocket.jpg", "chelsea.png")),
}


def carried_photos() -> list[Path]:
    """Files of the sample photographs that are installed."""
    found = []
    for package, (folder, names) in _CARRIED.items():
        spec = importlib.util.find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            continue
        root = Path(next(iter(spec.submodule_search_locations)), folder)
        found += [root / name for name in names if (root / name).is_file()]
    return found


def squares(paths: list[Path], side: int) -> Tensor:
    """Squares of photographs, uint8 (N, 3, side, side): of each three along its longer side, at full height, and one
    of half the height from its middle if that has enough pixels. Raises BadImage."""
    taken = []
    for path in paths:
        picture = open_image(path, min_side=side)
        width, height = picture.size
        short = min(width, height)
        for along in (0.0, 0.5, 1.0):
            left, top = round((width - short) * along), round((height - short) * along)
            taken.append(picture.crop((left, top, left + short, top + short)))
        if short // 2 >= side:
            left, top = (width - short // 2) // 2, (height - short // 2) // 2
            taken.append(picture.crop((left, top, left + short // 2, top + short // 2)))
    if not taken:
        raise BadImage("No free photographs were found: install scikit-learn or scikit-image, or name a folder.")
    shrunk = [np.asarray(one.resize((side, side), Image.Resampling.BOX)) for one in taken]
    return torch.from_numpy(np.stack(shrunk)).permute(0, 3, 1, 2).contiguous()
