"""Published checkpoints: read safely, told apart by their tensors' names, built into this project's
modules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gan_core.checkpoints import comodgan, hfgi, nvidia, rosinality, sc_gan, stylegan_human, swapping_autoencoder
from gan_core.checkpoints.keys import BuiltCheckpoint
from gan_core.checkpoints.reader import read_tensors
from gan_core.errors import BadCheckpoint

# the first that recognises the names builds; stricter ones first
_ADAPTERS = (hfgi, sc_gan, comodgan, swapping_autoencoder, stylegan_human, nvidia, rosinality)
FORMATS = tuple(adapter.FORMAT for adapter in _ADAPTERS)


def build(tensors: Mapping[str, Any]) -> BuiltCheckpoint:
    """This project's modules from tensors under published names, as `read_tensors` gives them.

    Raises BadCheckpoint if the names are of no supported format, or a tensor is missing, misshapen or
    unknown.
    """
    for adapter in _ADAPTERS:
        if adapter.recognise(tensors):
            return adapter.build(tensors)
    raise BadCheckpoint(f"The checkpoint's tensors are of no supported format ({', '.join(FORMATS)}).")


__all__ = ["FORMATS", "BuiltCheckpoint", "build", "read_tensors"]
