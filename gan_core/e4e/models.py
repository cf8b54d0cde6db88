"""The embedded encoder of faces, which papers share that need the latents of a photo. Imports no torch."""

from __future__ import annotations

from typing import Any

from gan_core.model_spec import Load, ModelSpec
from gan_core.registry import ModelRegistry
from weights import catalogue

EMBEDDED = "portraits/e4e"
EDITOR = "people/hfgi"
"""Registry name of the face editor: its encoder is the newest one, and it restores what codes lose of a photo."""
_WEIGHTS = "portraits_hfgi/encoder"


def declare_encoder(registry: ModelRegistry, face: str) -> None:
    """Declare the encoder. face: registry name of the generator into whose W+ it encodes, which is shared."""
    encoder = catalogue.embedded(_WEIGHTS)
    registry.declare(
        ModelSpec(
            name=EMBEDDED,
            build=lambda load: _build(load, face),
            resolution=encoder.resolution,
            licence=encoder.licence,
            title="the encoder of faces",
            weights=(_WEIGHTS,),
            parts=(face,),
        )
    )


def _build(load: Load, face: str) -> Any:
    load.report(0.3, "Loading the encoder of faces")
    from gan_core.e4e.encoding import load_face_encoder

    return load_face_encoder(catalogue.FOLDER, load.part(face))
