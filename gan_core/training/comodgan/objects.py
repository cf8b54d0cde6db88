"""Holes in the shape of things that people remove from photographs: blobs, figures of people, and poles and wires.

The paper's free-form masks (`gan_core.comodgan.masks`) have no such shapes: one closed outline, often as high as the
picture, whose surroundings go on behind it. All are drawn procedurally.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from gan_core.comodgan import masks
from gan_core.comodgan.masks import Mask
from gan_core.errors import BadValue

_MOST = 4  # objects in a mask
_LEAST_SHARE = 0.002  # of the picture
Point = tuple[float, float]


def mixed_bank(count: int, side: int, share: float, seed: int = 0) -> NDArray[np.uint8]:
    """Masks (count, side, side) of 0 and 1 (1 = hole): a share (0 to 1) of objects, the others of `masks.bank`.

    Raises BadValue if the share is out of range.
    """
    if not 0 <= share <= 1:
        raise BadValue(f"The share of holes shaped like objects must be from 0 to 1, not {share}.")
    objects = round(count * share)
    parts = [masks.bank(count - objects, side, seed)] if count > objects else []
    if objects:
        with ThreadPoolExecutor() as pool:
            drawn = pool.map(lambda i: object_mask(np.random.default_rng((seed, 1, i)), side), range(objects))
            parts.append(np.stack(list(drawn)).astype(np.uint8))
    return np.concatenate(parts)


def object_mask(rng: np.random.Generator, side: int) -> Mask:
    """A mask (side, side), bool, of one to four objects of one size or of several, True where the hole is."""
    canvas = Image.new("1", (side, side))
    shapes = (_blob, _figure, _figure, _pole)
    while True:
        size = math.exp(rng.uniform(math.log(0.2), math.log(1.2)))  # height of the largest, share of the side
        for _ in range(1 + rng.binomial(_MOST - 1, 0.3)):
            shape = shapes[int(rng.integers(len(shapes)))]
            middle = (float(rng.uniform(0.1, 0.9) * side), float(rng.uniform(0.1, 0.9) * side))
            shape(ImageDraw.Draw(canvas), rng, middle, side * size * rng.uniform(0.6, 1))
        mask = np.array(canvas)
        if mask.mean() >= _LEAST_SHARE:
            return mask


def _blob(pencil: ImageDraw.ImageDraw, rng: np.random.Generator, middle: Point, height: float) -> None:
    """A smooth closed outline: a stretched circle whose radius varies."""
    around = np.linspace(0, 2 * math.pi, 60, endpoint=False)
    radius = np.ones_like(around)
    for k in range(2, 7):
        radius += rng.normal(0, 0.35 / k) * np.cos(k * around + rng.uniform(0, 2 * math.pi))
    radius = np.clip(radius, 0.3, 2) * height / 2
    narrow, turned = rng.uniform(0.35, 1), rng.uniform(0, math.pi)
    x, y = radius * np.cos(around) * narrow, radius * np.sin(around)
    cos, sin = math.cos(turned), math.sin(turned)
    outline = np.stack([middle[0] + cos * x - sin * y, middle[1] + sin * x + cos * y], 1)
    pencil.polygon([(float(a), float(b)) for a, b in outline], fill=1)


def _figure(pencil: ImageDraw.ImageDraw, rng: np.random.Generator, middle: Point, height: float) -> None:
    """A standing or walking person, generously outlined; some carry something or cast a shadow."""
    lean, margin = rng.uniform(-0.08, 0.08), rng.uniform(0.01, 0.07)

    def at(across: float, down: float) -> Point:
        """A point of the figure: down from -0.5 (crown) to 0.5 (feet), in heights."""
        return middle[0] + height * (across - lean * down), middle[1] + height * down

    def limb(points: list[tuple[float, float]], width: float) -> None:
        width = height * (width + margin)
        placed = [at(*point) for point in points]
        pencil.line(placed, fill=1, width=max(round(width), 1))
        for x, y in placed:
            pencil.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill=1)

    broad, stride = rng.uniform(0.09, 0.15), rng.uniform(0, 0.16)
    limb([(0, -0.45), (0, -0.42)], 0.12)
    limb([(-broad / 2, -0.28), (broad / 2, -0.28), (broad / 3, 0), (-broad / 3, 0), (-broad / 2, -0.28)], 0.09)
    limb([(0, -0.25), (0, 0)], broad)
    for way in (-1, 1):
        knee, elbow = rng.uniform(-0.03, 0.03), rng.uniform(0, 0.12)
        limb([(way * 0.05, 0), (way * stride / 2 + knee, 0.24), (way * stride, 0.48)], 0.075)
        limb(
            [(way * broad / 2, -0.29), (way * (broad / 2 + elbow), -0.13), (way * (broad / 2 + elbow / 2), 0.03)], 0.05
        )
    if rng.random() < 0.3:  # a bag
        limb([(broad * 0.8, -0.1), (broad * 0.8, 0.05)], 0.14)
    if rng.random() < 0.3:  # the shadow
        limb([(0, 0.49), (rng.uniform(-0.9, 0.9), rng.uniform(0.45, 0.6))], 0.09)


def _pole(pencil: ImageDraw.ImageDraw, rng: np.random.Generator, middle: Point, height: float) -> None:
    """A long thin thing: upright as a pole, or across the picture as a wire."""
    upright = rng.random() < 0.6
    turned = (math.pi / 2 if upright else 0) + rng.normal(0, 0.08 if upright else 0.3)
    reach = height * rng.uniform(0.6, 1.2)
    x, y = reach * math.cos(turned), reach * math.sin(turned)
    ends = (middle[0] - x, middle[1] - y, middle[0] + x, middle[1] + y)
    pencil.line(ends, fill=1, width=max(round(height * rng.uniform(0.02, 0.12)), 2))
