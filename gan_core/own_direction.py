"""A direction of a person's own: what tells one small set of latents from another.

The mean of one set minus the mean of the other. With a few examples a side it is steadier than the normal of a
separating plane (InterFaceGAN, Shen et al. 2020), which any single picture can turn. It belongs to the model whose
latents they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from gan_core.checkpoints import store
from gan_core.errors import BadCheckpoint, BadValue, WeightsMissing

FEWEST, MOST = 2, 20
"""Examples in each set. Two of one example each differ in everything that tells two pictures apart."""
STEP = 1 / 3
LONGEST_NAME = 40
LARGEST_FILE = 1 << 20
"""Bytes; a direction of 18 latents of 512 numbers has 37,000."""
_FORMAT = "gan-studio-direction"
_OTHER = "This file is no direction that was saved here. Please choose another one."


@dataclass(frozen=True)
class OwnDirection:
    """A direction with its name."""

    name: str
    model: str
    """Its name in the registry."""
    vector: Tensor
    """On the CPU, of the latents' shape: the difference of the two means."""

    def offset(self, strength: float) -> Tensor:
        """What a strength adds to latents; 1 is a third of the difference: with few examples the whole of it holds much
        that was not meant, and leaves the range that the generator draws well."""
        return strength * STEP * self.vector


def difference(name: str, model: str, having: Sequence[Tensor], lacking: Sequence[Tensor]) -> OwnDirection:
    """The direction from the latents that lack something to those that have it, all of one shape.

    Raises BadValue for sets that are too small, too large, or the same, and for a name that is too long.
    """
    for what, examples in (("have it", having), ("lack it", lacking)):
        if not FEWEST <= len(examples) <= MOST:
            raise BadValue(f"Please give from {FEWEST} to {MOST} examples that {what}, not {len(examples)}.")
    vector = torch.stack([one.float().cpu() for one in having]).mean(0)
    vector = vector - torch.stack([one.float().cpu() for one in lacking]).mean(0)
    if not float(vector.abs().max()):
        raise BadValue("Both sets are the same, so nothing tells them apart. Please change one of them.")
    return OwnDirection(checked_name(name), model, vector)


def checked_name(name: str | None) -> str:
    """The name on one line, a general one where there is none. Raises BadValue if it is too long."""
    name = " ".join((name or "").split()) or "My direction"
    if len(name) > LONGEST_NAME:
        raise BadValue(f"Please give it a name of at most {LONGEST_NAME} letters.")
    return name


def save(direction: OwnDirection, path: Path) -> None:
    """Write it to a file for `read`."""
    config = {"format": _FORMAT, "name": direction.name, "model": direction.model}
    store.save(path, {"direction": direction.vector}, config=config, half=False)


def read(path: Path, model: str, shape: Sequence[int]) -> OwnDirection:
    """A direction that `save` wrote, for this model, whose latents have this shape.

    Raises BadValue if the file is another one or belongs to another model.
    """
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise BadValue(_OTHER)
        tensors, config = store.read(path)
    except (BadCheckpoint, WeightsMissing, OSError) as error:
        raise BadValue(_OTHER) from error
    vector = tensors.get("direction")
    if config.get("format") != _FORMAT or vector is None or not isinstance(config.get("name"), str):
        raise BadValue(_OTHER)
    if config.get("model") != model:
        raise BadValue(
            f"This direction was made with other weights ({str(config.get('model'))[:60]}) and means nothing in these."
        )
    if tuple(vector.shape) != tuple(shape) or not bool(torch.isfinite(vector).all()):
        raise BadValue(_OTHER)
    return OwnDirection(checked_name(config["name"][:LONGEST_NAME]), model, vector)
