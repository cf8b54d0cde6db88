"""Which models exist: their names, their builders, and what their sliders are. Imports no torch.

Adding a model is one `ModelSpec` here (and, for one that edits faces, one `FaceEditorModel`).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gan_core.comodgan.models import declare_completion_models
from gan_core.insetgan.models import declare_inset_models
from gan_core.registry import Load, ModelRegistry, ModelSpec
from gan_core.self_conditioned.models import declare_edge_models
from gan_core.swapping_autoencoder.models import declare_swap_models
from weights import catalogue
from weights.published import is_complete, published

logger = logging.getLogger(__name__)

FACE_GENERATOR = "portraits/face"
HFGI_EMBEDDED = "portraits/hfgi"
HFGI_PUBLISHED = "ffhq/hfgi"
_HFGI_FILES = ("encoder", "alignment", "consultation", "directions", "head")


@dataclass(frozen=True)
class Slider:
    """An attribute as the interface shows it, known before the model is loaded."""

    name: str
    label: str
    low: float = -3.0
    high: float = 3.0
    kind: str = "hyperplane"
    """"hyperplane" (a named attribute) or "principal" (a principal direction of the latents)."""
    note: str = ""
    region: str = "crop"
    """What it may change: "face", "face_and_hair", "around_face", "head" or the whole "crop"."""


@dataclass(frozen=True)
class FaceEditorModel:
    """A choice of weights for editing faces."""

    name: str
    """What the API calls it."""
    label: str
    model: str
    """Its name in the registry."""
    sliders: tuple[Slider, ...]
    resolution: int
    licence: str


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
    registry.declare(
        ModelSpec(
            name=HFGI_EMBEDDED,
            build=_build_hfgi,
            resolution=generator.resolution,
            licence=generator.licence,
            title="the face editor",
            weights=tuple(f"portraits_hfgi/{name}" for name in _HFGI_FILES),
            parts=(FACE_GENERATOR,),
        )
    )
    if has_published_hfgi(published_folder):
        entry = published("hfgi_ffhq")
        registry.declare(
            ModelSpec(
                name=HFGI_PUBLISHED,
                build=lambda load: _build_published_hfgi(load, published_folder / entry.name),
                resolution=entry.resolution,
                licence=entry.licence,
                title="the published face editor",
                weights=(entry.name,),
            )
        )
    declare_swap_models(registry, published_folder)
    declare_inset_models(registry, published_folder, FACE_GENERATOR)
    declare_edge_models(registry, published_folder, FACE_GENERATOR, HFGI_EMBEDDED)
    declare_completion_models(registry, published_folder)


def face_editors(published_folder: Path) -> dict[str, FaceEditorModel]:
    """The choices for editing faces by API name, the embedded one first."""
    generator = catalogue.embedded("portraits_face/generator")
    embedded = FaceEditorModel(
        "portraits", "portraits (embedded)", HFGI_EMBEDDED, embedded_sliders(), 256, generator.licence
    )
    editors = {embedded.name: embedded}
    if has_published_hfgi(published_folder):
        entry = published("hfgi_ffhq")
        sliders = tuple(_published_sliders(published_folder / entry.name))
        editors["ffhq"] = FaceEditorModel(
            "ffhq", "ffhq (published)", HFGI_PUBLISHED, sliders, entry.resolution, entry.licence
        )
    return editors


def embedded_sliders() -> tuple[Slider, ...]:
    """Read from the header of the directions file alone; none while the file is missing or damaged."""
    path = catalogue.embedded("portraits_hfgi/directions").path
    try:
        entries: list[Mapping[str, Any]] = catalogue.read_config(path).get("attributes", [])
        return tuple(Slider(**entry) for entry in entries)
    except (OSError, ValueError, TypeError) as error:
        logger.warning("no sliders: %s", error)
        return ()


def has_published_hfgi(published_folder: Path) -> bool:
    """Whether the authors' weights are here, as one file or as the release's three."""
    folder = published_folder / "hfgi_ffhq"
    return (folder / "ckpt.pt").is_file() or is_complete(published("hfgi_ffhq"), published_folder)


def _published_sliders(folder: Path) -> list[Slider]:
    sliders = [Slider("smile", "Smile"), Slider("age", "Age"), Slider("pose", "Pose")]
    sliders = [slider for slider in sliders if (folder / f"{slider.name}.pt").is_file()]
    if (folder / "ffhq_pca.pt").is_file():
        names = {"eyes": "Eyes", "beard": "Beard", "lips": "Lips"}
        sliders += [Slider(name, label, kind="principal") for name, label in names.items()]
    return sliders


def _build_face_generator(load: Load) -> Any:
    load.report(0.2, "Loading the face generator")
    from gan_core.hfgi.pipeline import load_generator

    return load_generator(catalogue.FOLDER)


def _build_hfgi(load: Load) -> Any:
    load.report(0.3, "Loading the face editor")
    from gan_core.hfgi.pipeline import load_embedded

    return load_embedded(catalogue.FOLDER, generator=load.part(FACE_GENERATOR))


def _build_published_hfgi(load: Load, folder: Path) -> Any:
    load.report(0.1, "Reading the published face editor: a large file")
    from gan_core.hfgi.published import load_published

    return load_published(folder)
