"""Declares all models of all papers. Imports no torch.

Each paper declares its models in its own `models.py`; this module calls them, and declares the face generators and the
encoder that several papers share.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from gan_core.comodgan.models import declare_comodgan_models
from gan_core.e4e.models import EDITOR, declare_encoder
from gan_core.hfgi.models import declare_hfgi_models
from gan_core.insetgan.models import declare_insetgan_models
from gan_core.registry import Load, ModelRegistry, ModelSpec
from gan_core.self_conditioned.models import declare_self_conditioned_models
from gan_core.swapping_autoencoder.models import declare_swapping_autoencoder_models
from weights import catalogue

FACE_GENERATOR = "portraits/face"  # of the papers that were not trained again for the next one yet
PEOPLE_GENERATOR = "people/face"


def declare_models(registry: ModelRegistry, published_folder: Path) -> None:
    """Declare every model that this machine has the files for, and the embedded ones in any case."""
    for name, folder in ((FACE_GENERATOR, "portraits_face"), (PEOPLE_GENERATOR, "people_face")):
        generator = catalogue.embedded(f"{folder}/generator")
        registry.declare(
            ModelSpec(
                name=name,
                build=functools.partial(_build_face_generator, folder=folder),
                resolution=generator.resolution,
                licence=generator.licence,
                title="the face generator",
                weights=(generator.name,),
            )
        )
    declare_encoder(registry, FACE_GENERATOR)
    declare_hfgi_models(registry, published_folder, PEOPLE_GENERATOR)
    declare_swapping_autoencoder_models(registry, published_folder)
    declare_insetgan_models(registry, published_folder, PEOPLE_GENERATOR)
    declare_self_conditioned_models(registry, PEOPLE_GENERATOR, EDITOR, published_folder=published_folder)
    declare_comodgan_models(registry, published_folder)


def _build_face_generator(load: Load, folder: str) -> Any:
    load.report(0.2, "Loading the face generator")
    from gan_core.checkpoints.embedded import load_face_generator

    return load_face_generator(catalogue.FOLDER, folder)
