"""Animated pictures: as many as went in, of bounded size, marked."""

import numpy as np
import pytest
from PIL import Image

from gan_core.errors import BadValue
from gan_core.video.animations import FORMATS, write_animation

NOTE = "edited with <GAN Studio>: smile from -3 to +3"


def frames(count=6, size=(700, 400), noisy=False):
    random = np.random.default_rng(0)
    pictures = []
    for i in range(count):
        pixels = np.full((size[1], size[0], 3), 90, np.uint8)
        pixels[100:200, 60 * i : 60 * i + 100] = (220, 40, 40)
        if noisy:
            pixels = random.integers(0, 255, pixels.shape, dtype=np.uint8)
        pictures.append(Image.fromarray(pixels))
    return pictures


@pytest.mark.parametrize("kind", FORMATS)
def test_it_moves_repeats_and_says_how_it_was_made(tmp_path, kind):
    path = write_animation(frames(), tmp_path / f"sweep.{kind}", rate=10, note=NOTE)
    with Image.open(path) as picture:
        assert picture.format.lower() == kind and picture.n_frames == 6 and picture.info["loop"] == 0
        assert max(picture.size) == 512
        if kind == "webp":
            assert b"&lt;GAN Studio&gt;" in picture.info["xmp"]
            assert b"compositeWithTrainedAlgorithmicMedia" in picture.info["xmp"]
        else:
            assert picture.info["comment"].decode() == NOTE
        seen = []
        for i in range(6):
            picture.seek(i)
            seen.append(np.asarray(picture.convert("RGB"), int))
            assert picture.info["duration"] == 100
        assert np.abs(seen[0] - seen[3]).mean() > 5
        assert np.abs(seen[0][10, 10] - 90).max() < 12, "the backdrop is as it was"
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("kind", FORMATS)
def test_a_large_one_is_made_smaller(tmp_path, kind):
    path = write_animation(frames(noisy=True), tmp_path / f"sweep.{kind}", rate=10, note=NOTE, most_bytes=300_000)
    with Image.open(path) as picture:
        assert max(picture.size) < 512
    assert path.stat().st_size <= 300_000 or max(picture.size) == 216


def test_small_pictures_are_not_enlarged_and_wrong_ones_refused(tmp_path):
    path = write_animation(frames(2, (120, 90)), tmp_path / "small.webp", rate=10, note=NOTE)
    with Image.open(path) as picture:
        assert picture.size == (120, 90)
    with pytest.raises(BadValue, match="webp, gif"):
        write_animation(frames(2), tmp_path / "sweep.avi", rate=10, note=NOTE)
    with pytest.raises(BadValue, match="at least one"):
        write_animation([], tmp_path / "none.gif", rate=10, note=NOTE)
    assert [one.name for one in tmp_path.iterdir()] == ["small.webp"]
