"""A click selects the thing under it and nothing else, however large it is; where there is nothing it says so."""

import sys
import time

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from gan_core.comodgan.selection import thing_at
from gan_core.errors import BadValue, NotInstalled

SIZE = (900, 600)
BALL, POST = (150, 120, 270, 240), (600, 100, 640, 540)


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    """Grass and sky with grain, a ball and a post."""
    width, height = SIZE
    rng = np.random.default_rng(0)
    picture = np.zeros((height, width, 3))
    picture[:400], picture[400:] = (120, 160, 210), (70, 130, 60)
    picture += rng.normal(0, 5, picture.shape)
    drawn = Image.fromarray(picture.clip(0, 255).astype(np.uint8))
    pen = ImageDraw.Draw(drawn)
    pen.ellipse(BALL, fill=(210, 60, 40))
    pen.ellipse((180, 150, 200, 170), fill=(250, 200, 190))
    pen.rectangle(POST, fill=(60, 50, 45))
    return drawn.filter(ImageFilter.GaussianBlur(1))


def dot(x: float, y: float, size: tuple[int, int] = SIZE, radius: int = 8) -> np.ndarray:
    down, across = np.mgrid[: size[1], : size[0]]
    return np.hypot(across - x, down - y) <= radius


def overlap(region: np.ndarray, expected: np.ndarray) -> float:
    return (region & expected).sum() / (region | expected).sum()


def test_a_ball(photo) -> None:
    ball = dot(210, 180, radius=60)
    for x, y in ((210, 180), (190, 160), (240, 200)):
        region = thing_at(photo, dot(x, y))
        assert region.shape == (600, 900) and overlap(region, ball) > 0.7
        assert region[ball].all(), "no rim is left"
        assert not region[:, 330:].any()


def test_a_long_thing_and_a_stroke_along_it(photo) -> None:
    post = np.zeros((600, 900), bool)
    post[POST[1] : POST[3], POST[0] : POST[2]] = True
    stroke = np.zeros_like(post)
    stroke[140:500, 612:630] = True
    region = thing_at(photo, stroke)
    assert overlap(region, post) > 0.6 and (region & post).sum() > 0.97 * post.sum()


def test_the_place_may_be_of_another_size(photo) -> None:
    region = thing_at(photo, dot(70, 60, (300, 200), 3))
    assert region.shape == (200, 300) and overlap(region, dot(70, 60, (300, 200), 20)) > 0.6


@pytest.mark.parametrize("picture", [Image.new("RGB", SIZE, "teal"), Image.new("RGB", (1024, 5))])
def test_nothing_sensible(picture) -> None:
    width, height = picture.size
    with pytest.raises(BadValue, match="Nothing that stands out"):
        thing_at(picture, dot(width / 2, height / 2, picture.size, 2))
    with pytest.raises(BadValue, match="Nothing that stands out"):
        thing_at(picture, np.zeros((height, width), bool))


def test_even_sky_is_no_thing(photo) -> None:
    with pytest.raises(BadValue, match="Nothing that stands out"):
        thing_at(photo, dot(430, 60))


def test_it_takes_less_than_two_seconds_of_processor_time(photo) -> None:
    large = photo.resize((4000, 2667))
    begin = time.process_time()
    thing_at(large, dot(210, 180))
    assert time.process_time() - begin < 2


def test_without_opencv_it_says_what_to_install(photo, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(NotInstalled, match="pip install opencv-python-headless"):
        thing_at(photo, dot(210, 180))
