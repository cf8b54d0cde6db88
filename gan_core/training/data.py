"""A folder of pictures as one uint8 tensor on the training device."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from gan_core.errors import BadImage
from gan_core.training.split import is_held_out

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")


def find_pictures(folder: Path | str) -> list[Path]:
    """All picture files below a folder, in a fixed order.

    Raises:
        BadImage: there are none.
    """
    paths = sorted(p for p in Path(folder).rglob("*") if p.suffix.lower() in SUFFIXES)
    if not paths:
        raise BadImage(f"There are no pictures ({', '.join(SUFFIXES)}) in {folder}.")
    return paths


def person_of(path: Path) -> str:
    """Id of the person in a picture: the file name after its first underscore (portraits), else the whole name."""
    return path.stem.split("_", 1)[-1]


def load_pictures(paths: list[Path], height: int, width: int | None = None) -> Tensor:
    """Pictures, uint8 (N, 3, height, width), on the CPU: cut about the middle and resized (area filter).

    width: that of a square if None.
    """
    width = height if width is None else width

    def read(path: Path) -> np.ndarray:
        with Image.open(path) as opened:
            picture = opened.convert("RGB")
            scale = min(picture.width / width, picture.height / height)
            w, h = round(width * scale), round(height * scale)
            left, top = (picture.width - w) // 2, (picture.height - h) // 2
            part = picture.crop((left, top, left + w, top + h))
            return np.asarray(
                part.resize((width, height), Image.Resampling.BOX if scale >= 1 else Image.Resampling.BICUBIC)
            )

    pictures = torch.empty(len(paths), height, width, 3, dtype=torch.uint8)
    with ThreadPoolExecutor(8) as pool:
        for i, array in enumerate(pool.map(read, paths)):  # one by one: tall pictures take gigabytes
            pictures[i] = torch.from_numpy(array.copy())
    return pictures.permute(0, 3, 1, 2).contiguous()


def split_pictures(folder: Path | str) -> tuple[list[Path], list[Path]]:
    """Paths to train on, and paths of held-out people."""
    paths = find_pictures(folder)
    held_out = [p for p in paths if is_held_out(person_of(p))]
    return [p for p in paths if not is_held_out(person_of(p))], held_out


class PictureStream:
    """Endless batches of a uint8 tensor (N, 3, H, W), half of them mirrored, on its device."""

    def __init__(self, pictures: Tensor) -> None:
        self.pictures = pictures

    def __len__(self) -> int:
        return len(self.pictures)

    def draw(self, count: int) -> Tensor:
        """Pictures (count, 3, H, W), float32 in [-1, 1]."""
        return random_batch(self.pictures, count)

    def rows(self, count: int) -> Tensor:
        """Indices (count,) of random pictures."""
        return torch.randint(len(self.pictures), (count,), device=self.pictures.device)

    def at(self, index: Tensor, mirrored: Tensor) -> Tensor:
        """These pictures (N, 3, H, W), float32 in [-1, 1]; those of `mirrored` (N,) are mirror images."""
        batch = self.pictures[index].float().mul_(2 / 255).sub_(1)
        return torch.where(mirrored[:, None, None, None], batch.flip(3), batch)


def random_batch(pictures: Tensor, count: int) -> Tensor:
    """`count` pictures drawn with replacement, half of them mirrored, float32 in [-1, 1]; no synchronisation."""
    index = torch.randint(pictures.shape[0], (count,), device=pictures.device)
    batch = pictures[index].float().mul_(2 / 255).sub_(1)
    mirror = torch.rand(count, 1, 1, 1, device=batch.device) < 0.5
    return torch.where(mirror, batch.flip(3), batch)
