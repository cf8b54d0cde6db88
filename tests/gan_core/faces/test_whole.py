"""What a model of objects takes of a photo: its middle, with geometry that puts the edit back where it was."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from gan_core.errors import FaceTooSmall
from gan_core.faces import paste_back
from gan_core.faces.preview import at_size
from gan_core.faces.whole import whole_square


def photo(width: int, height: int) -> Image.Image:
    """Red from left to right, green from top to bottom."""
    y, x = np.mgrid[:height, :width]
    return Image.fromarray(np.stack([255 * x / width, 255 * y / height, 0 * x], -1).astype(np.uint8))


def test_the_middle_square() -> None:
    aligned = whole_square(photo(640, 480), 128)
    pixels = np.asarray(aligned.crop, float)
    assert aligned.quad.tolist() == [[80, 0], [80, 480], [560, 480], [560, 0]]
    assert pixels.shape == (128, 128, 3)
    assert abs(pixels[64, 0, 0] - 255 / 8) < 3 and abs(pixels[64, -1, 0] - 255 * 7 / 8) < 3
    assert pixels[0, 64, 1] < 3 and pixels[-1, 64, 1] > 251


@pytest.mark.parametrize("size", [(640, 480), (900, 480), (640, 600)])
def test_a_wide_picture_lies_between_black_bars(size) -> None:
    width, height = size
    aligned = whole_square(photo(width, height), 128, wide=True)
    pixels = np.asarray(aligned.crop, float)
    assert not pixels[:16].any() and not pixels[112:].any() and pixels[16:112].any((1, 2)).all()
    shown = min(width, height * 4 / 3)
    assert abs(pixels[64, -1, 0] - 255 * (width + shown) / 2 / width) < 3, "4 to 3, not distorted"
    assert abs(pixels[111, 64, 1] - 255 * (height + shown * 0.75) / 2 / height) < 4


@pytest.mark.parametrize("wide", [False, True])
def test_a_change_returns_to_its_place(wide) -> None:
    before = photo(640, 480)
    for picture in (before, before.resize((320, 240))):
        aligned = at_size(whole_square(before, 128, wide=wide), picture.size)
        edited = np.asarray(aligned.crop).copy()
        edited[60:68, 40:48, 2] = 255
        after = np.asarray(paste_back(picture, aligned, Image.fromarray(edited), reference=aligned.crop), int)
        y, x = np.nonzero(after[..., 2] > 100)
        scale = picture.width / 640
        side, left, top = (640, 0, -80) if wide else (480, 80, 0)
        assert abs(x.mean() / scale - (left + 44 / 128 * side)) < 3
        assert abs(y.mean() / scale - (top + 64 / 128 * side)) < 3


def test_a_tiny_picture_is_refused() -> None:
    with pytest.raises(FaceTooSmall):
        whole_square(photo(640, 12), wide=True)
