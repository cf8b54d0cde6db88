"""Checkpoints of StyleGAN-Human: NVIDIA's names, with pictures half as wide as high (start 4x2).

The file's `square` argument is told from the start tensor; channel counts follow the height.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gan_core.checkpoints import nvidia
from gan_core.checkpoints.keys import BuiltCheckpoint

FORMAT = "stylegan_human"
MODULES = nvidia.MODULES


def recognise(tree: Mapping[str, Any]) -> bool:
    """Whether the names are NVIDIA's and the pictures are not square."""
    start = nvidia.generator_part(tree).get("synthesis.b4.const")
    return start is not None and len(start.shape) == 3 and start.shape[1] != start.shape[2]


def build(tree: Mapping[str, Any]) -> BuiltCheckpoint:
    """Generator, and discriminator if the file has one. Raises BadCheckpoint if a tensor is missing or too
    many."""
    return nvidia.build(tree, FORMAT)
