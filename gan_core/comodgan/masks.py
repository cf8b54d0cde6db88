"""Masks: free-form ones as the paper draws them for training, and ready-made ones that the app offers.

A free-form mask (section 5.1 and the authors' settings) is the union of up to ten rectangles with sides below half of
the picture's, up to five with sides below the whole, and up to twenty brush strokes. All masks here are arrays of bool,
True where the picture is to be filled.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from gan_core.errors import BadValue, UnknownName

Mask = NDArray[np.bool_]  # (H, W)

READY_MADE = ("left", "right", "top", "bottom", "centre", "eyes", "all_but_eyes", "face", "random")
Eyes = tuple[tuple[float, float], tuple[float, float]]  # (x, y) of both in pixels, the one on the left first
FFHQ_EYES = ((0.375, 0.48), (0.625, 0.48))  # in an FFHQ square, as shares of its side
_MOST_SMALL, _MOST_LARGE, _MOST_STROKES = 10, 5, 20
_TURN, _TURN_SPREAD = 2 * math.pi / 5, 2 * math.pi / 15  # mean angle between segments; its mean varies by that much
_WIDTH = (12 / 512, 48 / 512)  # of a brush, share of the side


def free_form(rng: np.random.Generator, side: int = 256) -> Mask:
    """A mask (side, side) as in the paper: a random number of shapes up to the limits, any hole ratio above 0."""
    canvas = Image.new("1", (side, side))
    while True:
        for _ in range(rng.integers(_MOST_SMALL + 1)):
            _rectangle(canvas, rng, side // 2)
        for _ in range(rng.integers(_MOST_LARGE + 1)):
            _rectangle(canvas, rng, side)
        for _ in range(rng.integers(_MOST_STROKES + 1)):
            _stroke(canvas, rng)
        mask = np.array(canvas)
        if mask.any():
            return mask


def with_ratio(rng: np.random.Generator, low: float, high: float, side: int = 256) -> Mask:
    """A mask (side, side) of the same shapes, of which a share in [low, high] is hole.

    Shapes are added one by one; one that would overshoot is left out. Raises BadValue unless 0 <= low < high <= 1.
    """
    if not 0 <= low < high <= 1:
        raise BadValue(f"A range of hole ratios must lie within 0 and 1, not {low} to {high}.")
    wanted = rng.uniform(low, high)
    mask = np.zeros((side, side), bool)
    for attempt in range(400):
        if mask.mean() >= wanted:
            break
        canvas = Image.fromarray(mask)
        if rng.random() < 0.5 and attempt < 200:
            _rectangle(canvas, rng, side // 2 if rng.random() < 2 / 3 else side)
        else:
            _stroke(canvas, rng)
        larger = np.array(canvas)
        if larger.mean() <= high:
            mask = larger
    if low <= mask.mean() <= high and mask.any():
        return mask
    return _filled_up(mask, round(max(wanted * side * side, 1)))


def bank(count: int, side: int = 256, seed: int = 0) -> NDArray[np.uint8]:
    """Many masks for training, (count, side, side) of 0 and 1 (1 = hole).

    The hole ratios of free-form ones are even over (0, 1); one in eight is ready-made instead.
    """

    def draw(i: int) -> NDArray[np.uint8]:
        rng = np.random.default_rng((seed, i))
        if i % 8 == 7:
            return ready_made(READY_MADE[i // 8 % (len(READY_MADE) - 1)], (side, side)).astype(np.uint8)
        step = (i % 50) / 50
        return with_ratio(rng, step, step + 0.02, side).astype(np.uint8)

    with ThreadPoolExecutor() as pool:
        return np.stack(list(pool.map(draw, range(count))))


def ready_made(name: str, size: tuple[int, int], *, eyes: Eyes | None = None, seed: int = 0) -> Mask:
    """One of the `READY_MADE` masks, (H, W), for a picture of `size` (width, height).

    eyes: their positions; by default those of a face in the middle. seed: of "random". Raises UnknownName.
    """
    width, height = size
    mask = np.zeros((height, width), bool)
    parts: dict[str, Any] = {
        "left": np.s_[:, : max(width // 2, 1)],
        "right": np.s_[:, width // 2 :],
        "top": np.s_[: max(height // 2, 1)],
        "bottom": np.s_[height // 2 :],
        "centre": np.s_[height // 4 : max(height - height // 4, 1), width // 4 : max(width - width // 4, 1)],
    }
    if name in parts:
        mask[parts[name]] = True
        return mask
    if name == "random":
        drawn = Image.fromarray(free_form(np.random.default_rng(seed)))
        return np.array(drawn.resize((width, height), Image.Resampling.NEAREST))
    if name not in READY_MADE:
        raise UnknownName(f"There is no mask {name!r}; there are {', '.join(READY_MADE)}.")
    if eyes is None:
        side = min(size)
        corner = np.array([(width - side) / 2, (height - side) / 2])
        left, right = corner + side * np.array(FFHQ_EYES)
    else:
        left, right = np.asarray(eyes, float)
    along, down, distance = _from_eyes(size, left, right)
    if name == "face":  # an ellipse from the hairline to the chin
        return (along / (1.3 * distance)) ** 2 + ((down - 0.36 * distance) / (1.6 * distance)) ** 2 < 1
    band = (np.abs(along) < distance) & (np.abs(down + 0.08 * distance) < 0.42 * distance)  # eyes and brows
    return band if name == "eyes" else ~band


# ---------------------------------------------------------------- shapes


def _rectangle(canvas: Image.Image, rng: np.random.Generator, longest: int) -> None:
    """A filled rectangle of sides below `longest`, which may lie partly outside."""
    side = canvas.width
    wide, high = (int(rng.integers(1, max(longest, 2))) for _ in range(2))
    x, y = int(rng.integers(-wide // 2, side)), int(rng.integers(-high // 2, side))
    ImageDraw.Draw(canvas).rectangle((x, y, x + wide, y + high), fill=1)


def _stroke(canvas: Image.Image, rng: np.random.Generator) -> None:
    """A brush stroke: a chain of segments that turns back and forth, with round joints."""
    side = canvas.width
    mean_length = math.hypot(side, side) / 8
    turn_mean = _TURN + rng.uniform(-_TURN_SPREAD, _TURN_SPREAD)
    heading = rng.uniform(0, 2 * math.pi)
    x, y = (float(rng.integers(side)) for _ in range(2))
    vertices = [(x, y)]
    for i in range(int(rng.integers(4, 18))):
        turn = rng.uniform(turn_mean - _TURN_SPREAD, turn_mean + _TURN_SPREAD)
        angle = heading + (turn if i % 2 else -turn)
        length = min(max(rng.normal(mean_length, mean_length / 2), 0), 2 * mean_length)
        x, y = x + length * math.cos(angle), y + length * math.sin(angle)
        vertices.append((x, y))
        if not (0 <= x <= side and 0 <= y <= side):
            break
    width = max(round(side * rng.uniform(*_WIDTH)), 1)
    pencil = ImageDraw.Draw(canvas)
    pencil.line(vertices, fill=1, width=width)
    for x, y in vertices:
        pencil.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill=1)


def _filled_up(mask: Mask, wanted: int) -> Mask:
    """The mask changed to exactly `wanted` pixels: a disc around its middle is added, or its last rows are removed."""
    mask = mask.copy()
    side = len(mask)
    y, x = np.mgrid[:side, :side]
    order = np.argsort(((x - side / 2) ** 2 + (y - side / 2) ** 2).ravel(), kind="stable")
    flat = mask.ravel()
    missing = wanted - int(flat.sum())
    if missing > 0:
        flat[order[~flat[order]][:missing]] = True
    elif missing < 0:
        flat[np.flatnonzero(flat)[missing:]] = False
    return mask


def _from_eyes(size: tuple[int, int], left: NDArray, right: NDArray) -> tuple[NDArray, NDArray, float]:
    """Each pixel's coordinates along and perpendicular to the eye line, from the middle of the eyes; and the distance
    of the eyes."""
    axis = right - left
    distance = max(float(np.hypot(*axis)), 1.0)
    axis = axis / distance
    y, x = np.mgrid[: size[1], : size[0]] + 0.5
    dx, dy = x - (left + right)[0] / 2, y - (left + right)[1] / 2
    return dx * axis[0] + dy * axis[1], dy * axis[0] - dx * axis[1], distance
