"""A published checkpoint of any supported format, told apart by its tensors' names, as this project's modules.

The one place that joins the adapters of all papers. A paper's own package builds with its own adapter
(`keys.build_with`), so that no paper reaches another.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gan_core.checkpoints import (
    comodgan,
    hfgi,
    nvidia,
    rosinality,
    self_conditioned,
    stylegan_human,
    swapping_autoencoder,
)
from gan_core.checkpoints.keys import BuiltCheckpoint, build_with, refused
from gan_core.errors import BadCheckpoint

# the first that recognises the names builds; stricter ones first
_ADAPTERS = (hfgi, self_conditioned, comodgan, swapping_autoencoder, stylegan_human, nvidia, rosinality)
FORMATS = tuple(adapter.FORMAT for adapter in _ADAPTERS)
MODULES = {adapter.FORMAT: adapter.MODULES for adapter in _ADAPTERS}
"""For each format the class of each module."""


def format_of(tensors: Mapping[str, Any]) -> str:
    """The format that these tensors' names are of. Raises BadCheckpoint if it is none of `FORMATS`."""
    with refused():
        for adapter in _ADAPTERS:
            if adapter.recognise(tensors):
                return adapter.FORMAT
    raise BadCheckpoint(f"This file is a checkpoint of no model known here ({', '.join(FORMATS)}).")


def build(tensors: Mapping[str, Any]) -> BuiltCheckpoint:
    """This project's modules from tensors under published names, as `reader.read_tensors` gives them.

    Raises BadCheckpoint if the names are of no supported format, or a tensor is missing, misshapen or unknown.
    """
    return build_with(_ADAPTERS, tensors)
