"""The examples of "Fill a hole", with masks ready: people with a part hidden, places with a thing to remove."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

Outline = Sequence[tuple[float, float]]  # corners, across and down, as shares of the picture's sides

FIRST = "place_terrace", "person_1023"  # the first of these that is offered is shown when the tab opens
_PARTS = ("bottom", "left", "all_but_eyes", "centre", "face", "bottom")  # of the people, in turn: ready-made masks
_THINGS: dict[str, tuple[Outline, ...]] = {
    "place_garden": (  # a rock and two posts
        ((0.08, 0.43), (0.13, 0.39), (0.17, 0.42), (0.2, 0.5), (0.1, 0.51)),
        ((0.13, 0.53), (0.17, 0.53), (0.17, 0.61), (0.13, 0.61)),
        ((0.23, 0.53), (0.27, 0.53), (0.27, 0.61), (0.23, 0.61)),
    ),
    "place_hall": (((0.19, 0.42), (0.22, 0.2), (0.37, 0.2), (0.41, 0.34), (0.42, 0.66), (0.18, 0.67)),),  # a fireplace
    "place_square": (  # a bench and its shadow
        ((0.04, 0.77), (0.18, 0.71), (0.42, 0.61), (0.6, 0.61), (0.62, 0.73), (0.32, 0.97), (0.28, 1.0), (0.04, 1.0)),
    ),
    "place_terrace": (((0.22, 0.08), (0.33, 0.04), (0.38, 0.13), (0.38, 0.44), (0.24, 0.44)),),  # a tower
}


def ready_made(name: str, people: Sequence[str]) -> str | None:
    """Name of the ready-made mask of an example that shows a person; None for others.

    name: of the file, without its suffix; people: those of all people offered, in order.
    """
    return _PARTS[people.index(name) % len(_PARTS)] if name in people else None


def thing(name: str, size: tuple[int, int]) -> np.ndarray | None:
    """The mask (H, W), bool, of what is to be removed from an example; None for those without. size: (W, H)."""
    if name not in _THINGS:
        return None
    canvas = Image.new("1", size)
    for outline in _THINGS[name]:
        ImageDraw.Draw(canvas).polygon([(x * size[0], y * size[1]) for x, y in outline], fill=1)
    return np.array(canvas)
