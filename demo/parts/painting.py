"""A region painted by hand in a gr.ImageEditor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image


def painted(editor: Mapping[str, Any] | None, size: tuple[int, int]) -> np.ndarray | None:
    """What was painted in a gr.ImageEditor of type numpy, (H, W) bool at `size` (width, height); None if nothing."""
    layers = (editor or {}).get("layers") or []
    together: np.ndarray | None = None
    for layer in layers:
        alpha = np.asarray(layer)
        if alpha.ndim != 3 or alpha.shape[2] != 4:
            continue
        mask = Image.fromarray((alpha[..., 3] > 0).astype(np.uint8) * 255).resize(size, Image.Resampling.BOX)
        here = np.asarray(mask) > 127
        together = here if together is None else together | here
    return together if together is not None and together.any() else None
