"""Stray strokes, as a hand adds them to a drawing: curves that lead nowhere, and scribbles. Drawn procedurally."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

_FINER = 2  # strokes are drawn at this many times the side, then averaged
_MOST = 4  # strokes on a sheet
_LENGTH = (0.04, 0.5)  # of a stroke, share of the side
_WIDTH = (1.5, 3.0)  # pixels of a picture 256 pixels wide
_STEP = 2.0  # pixels of such a picture, between two points of a stroke


def stroke_bank(count: int, side: int, seed: int = 0) -> NDArray[np.uint8]:
    """Sheets (count, side, side) of one to four stray strokes each, 255 = line; the same for the same seed."""
    return np.stack([_sheet(np.random.default_rng((seed, 2, i)), side) for i in range(count)])


def _sheet(rng: np.random.Generator, side: int) -> NDArray[np.uint8]:
    canvas = Image.new("L", (side * _FINER, side * _FINER))
    width = max(round(rng.uniform(*_WIDTH) * side * _FINER / 256), 1)
    for _ in range(rng.integers(1, _MOST + 1)):
        points = _scribble(rng) if rng.random() < 0.25 else _curve(rng)
        placed = [(float(x), float(y)) for x, y in points * side * _FINER]
        ImageDraw.Draw(canvas).line(placed, fill=255, width=width, joint="curve")
    return np.asarray(canvas.resize((side, side), Image.Resampling.BOX))


def _curve(rng: np.random.Generator) -> NDArray[np.float64]:
    """Points (K, 2), x and y as shares of the side, of a line whose bend changes slowly."""
    length = math.exp(rng.uniform(*np.log(_LENGTH)))
    count = max(round(length * 256 / _STEP), 2)
    bend = rng.normal(0, 0.05) + np.cumsum(rng.normal(0, 0.012, count))
    heading = rng.uniform(0, 2 * math.pi) + np.cumsum(bend)
    steps = np.stack([np.cos(heading), np.sin(heading)], 1) * (length / count)
    return rng.uniform(0.05, 0.95, 2) + np.cumsum(steps, 0)


def _scribble(rng: np.random.Generator) -> NDArray[np.float64]:
    """Points (K, 2) of a line that goes to and fro, as when hair or a shadow is filled in."""
    turns, reach = int(rng.integers(4, 12)), rng.uniform(0.02, 0.08)
    along = np.linspace(0, rng.uniform(0.05, 0.2), turns)
    across = reach * rng.uniform(0.7, 1.3, turns) * np.where(np.arange(turns) % 2, 1, -1)
    angle = rng.uniform(0, 2 * math.pi)
    cos, sin = math.cos(angle), math.sin(angle)
    return rng.uniform(0.1, 0.9, 2) + np.stack([cos * along - sin * across, sin * along + cos * across], 1)
