"""Grids of pictures, for logs and model cards."""

from __future__ import annotations

from pathlib import Path

import torch
from PIL import Image
from torch import Tensor


def save_grid(images: Tensor, path: Path | str, columns: int, quality: int = 92) -> None:
    """Write images (N, 3, H, W) in [-1, 1] side by side, `columns` a row, as JPEG or PNG by the path's suffix."""
    n, _, h, w = images.shape
    rows = -(-n // columns)
    canvas = torch.full((rows * h, columns * w, 3), 255, dtype=torch.uint8)
    pixels = images.float().clamp(-1, 1).add(1).mul(127.5).round().to(torch.uint8).permute(0, 2, 3, 1).cpu()
    for i, picture in enumerate(pixels):
        top, left = i // columns * h, i % columns * w
        canvas[top : top + h, left : left + w] = picture
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(canvas.numpy()).save(path, quality=quality)
