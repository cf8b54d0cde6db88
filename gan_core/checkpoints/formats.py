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
from gan_core.checkpoints.keys import BuiltCheckpoint, build_with

# the first that recognises the names builds; stricter ones first
_ADAPTERS = (hfgi, self_conditioned, comodgan, swapping_autoencoder, stylegan_human, nvidia, rosinality)
FORMATS = tuple(adapter.FORMAT for adapter in _ADAPTERS)


def build(tensors: Mapping[str, Any]) -> BuiltCheckpoint:
    """This project's modules from tensors under published names, as `reader.read_tensors` gives them.

    Raises BadCheckpoint if the names are of no supported format, or a tensor is missing, misshapen or unknown.
    """
    return build_with(_ADAPTERS, tensors)
