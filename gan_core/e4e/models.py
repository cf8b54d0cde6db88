"""The embedded encoders of faces, which papers share that need the latents of a photo. Imports no torch."""

from __future__ import annotations

import functools
from typing import Any

from gan_core.model_spec import Load, ModelSpec
from gan_core.registry import ModelRegistry
from weights import catalogue

EMBEDDED = "portraits/e4e"
PEOPLE = "people/e4e"


def declare_encoders(registry: ModelRegistry, face: str, people: str) -> None:
    """Declare both. face, people: registry names of the generators into whose W+ they encode, which are shared."""
    for name, folder, generator in ((EMBEDDED, "portraits_hfgi", face), (PEOPLE, "people_hfgi", people)):
        encoder = catalogue.embedded(f"{folder}/encoder")
        registry.declare(
            ModelSpec(
                name=name,
                build=functools.partial(_build, folder=folder, generator=generator),
                resolution=encoder.resolution,
                licence=encoder.licence,
                title="the encoder of faces",
                weights=(encoder.name,),
                parts=(generator,),
            )
        )


def _build(load: Load, folder: str, generator: str) -> Any:
    load.report(0.3, "Loading the encoder of faces")
    from gan_core.e4e.encoding import load_face_encoder

    return load_face_encoder(catalogue.FOLDER, load.part(generator), folder)
