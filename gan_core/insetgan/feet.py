"""Which square of a body a generator of feet draws: the second inset of "Compose a body" (InsetGAN, section 4)."""

from __future__ import annotations

import numpy as np

from gan_core.insetgan.regions import Region

FEET_SIZE = 128  # side of the square in pixels of a body of 512 x 256
FEET = Region("feet", "", (0.03, 0.48, 0.97, 1.0))
"""The part of the square that is used: from below the calves, so that little of what is behind the legs changes."""
_ABOVE = 84  # pixels of it above the ankles


def feet_box(ankles: np.ndarray, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """The square (x0, y0, x1, y1), whole pixels, of ankles (2, 2) in a picture of `size` (width, height).

    It is moved into the picture where it would leave it.
    """
    x, y = np.asarray(ankles, np.float64).mean(0)
    left = min(max(round(x - FEET_SIZE / 2), 0), size[0] - FEET_SIZE)
    top = min(max(round(y - _ABOVE), 0), size[1] - FEET_SIZE)
    return left, top, left + FEET_SIZE, top + FEET_SIZE
