"""Declares all models of all papers. Imports no torch.

Each paper declares its models in its own `models.py`; this module calls them, and declares the face generator that
several papers share.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gan_core.comodgan.models import declare_comodgan_models
from gan_core.hfgi.models import EMBEDDED as HFGI_EMBEDDED
from gan_core.hfgi.models import declare_hfgi_models
from gan_core.insetgan.models import declare_insetgan_models
from gan_core.registry import Load, ModelRegistry, ModelSpec
from gan_core.self_conditioned.models import declare_self_conditioned_models
from gan_core.swapping_autoencoder.models import declare_swapping_autoencoder_models
from weights import catalogue

FACE_GENERATOR = "portraits/face"


def declare_models(registry: ModelRegistry, published_folder: Path) -> None:
    """Declare every model that this machine has the files for, and the embedded ones in any case."""
    generator = catalogue.embedded("portraits_face/generator")
    registry.declare(
        ModelSpec(
            name=FACE_GENERATOR,
            build=_build_face_generator,
            resolution=generator.resolution,
            licence=generator.licence,
            title="the face generator",
            weights=(generator.name,),
        )
    )
    declare_hfgi_models(registry, published_folder, FACE_GENERATOR)
    declare_swapping_autoencoder_models(registry, published_folder)
    declare_insetgan_models(registry, published_folder, FACE_GENERATOR)
    declare_self_conditioned_models(registry, FACE_GENERATOR, HFGI_EMBEDDED)
    declare_comodgan_models(registry, published_folder)


def _build_face_generator(load: Load) -> Any:
    load.report(0.2, "Loading the face generator")
    from gan_core.checkpoints.embedded import load_face_generator

    return load_face_generator(catalogue.FOLDER)
