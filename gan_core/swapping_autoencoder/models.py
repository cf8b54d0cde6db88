"""The Swapping Autoencoders whose weights are on this machine. Imports no torch."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gan_core.model_spec import Load, ModelSpec, files_are_here, read_entries
from gan_core.registry import ModelRegistry
from gan_core.swapping_autoencoder.published import PUBLISHED, PublishedAutoencoder, is_here
from weights import catalogue
from weights.published import published

EMBEDDED = "portraits"
FOLDER = "portraits_swap"
FILES = ("encoder", "generator", "directions")
_LICENCE = "CC0-1.0"


@dataclass(frozen=True)
class DirectionSlider:
    """A direction as the interface shows it, known before the model is loaded."""

    name: str
    label: str
    kind: str
    """"texture" (a domain vector) or "structure" (a principal direction)."""
    low: float
    high: float
    note: str = ""


@dataclass(frozen=True)
class SwappingAutoencoderModel:
    """A choice of weights."""

    name: str
    """What the API calls it."""
    label: str
    model: str
    """Its name in the registry."""
    resolution: int
    """Pixels a side of the pictures that it was trained on."""
    licence: str
    sliders: tuple[DirectionSlider, ...] = ()
    faces: bool = False
    """Whether it was trained on FFHQ-aligned faces only."""
    detail: float = 0.0
    """Default share of the first picture's own fine detail in a result."""


def swapping_autoencoder_models(
    published_folder: Path, weights: Path = catalogue.FOLDER
) -> dict[str, SwappingAutoencoderModel]:
    """The choices by API name, the embedded one first; only those whose files are here."""
    models = {}
    if embedded_is_here(weights):
        models[EMBEDDED] = SwappingAutoencoderModel(
            EMBEDDED, "portraits (embedded)", "portraits/swap", 256, _LICENCE, _sliders(weights), faces=True, detail=0.5
        )
    for entry in PUBLISHED:
        if is_here(entry, published_folder):
            licence = published(entry.archive).licence
            models[entry.name] = SwappingAutoencoderModel(
                entry.name,
                f"{entry.name} (published)",
                f"{entry.name}/swap",
                entry.resolution,
                licence,
                faces=entry.faces,
            )
    return models


def embedded_is_here(weights: Path = catalogue.FOLDER) -> bool:
    """Whether all files of the embedded model are there."""
    return files_are_here(weights / FOLDER, FILES)


def declare_swapping_autoencoder_models(
    registry: ModelRegistry, published_folder: Path, weights: Path = catalogue.FOLDER
) -> None:
    """Declare every one of `swapping_autoencoder_models`."""
    models = swapping_autoencoder_models(published_folder, weights)
    if EMBEDDED in models:
        registry.declare(
            ModelSpec(
                name=models[EMBEDDED].model,
                build=lambda load: _build_embedded(load, weights),
                resolution=models[EMBEDDED].resolution,
                licence=_LICENCE,
                title="the swapping autoencoder",
                weights=tuple(f"{FOLDER}/{name}" for name in FILES),
            )
        )
    for entry in PUBLISHED:
        if entry.name in models:
            registry.declare(
                ModelSpec(
                    name=models[entry.name].model,
                    build=functools.partial(_build_published, entry=entry, published_folder=published_folder),
                    resolution=entry.resolution,
                    licence=models[entry.name].licence,
                    title=f"the published swapping autoencoder ({entry.name})",
                    weights=(entry.archive,),
                )
            )


def _sliders(weights: Path) -> tuple[DirectionSlider, ...]:
    """Read from the header of the directions file alone; none if it is damaged."""
    return read_entries(weights / FOLDER / "directions.safetensors", "directions", DirectionSlider)


def _build_embedded(load: Load, weights: Path) -> Any:
    load.report(0.3, "Loading the swapping autoencoder")
    from gan_core.swapping_autoencoder.pipeline import load_embedded

    return load_embedded(weights)


def _build_published(load: Load, entry: PublishedAutoencoder, published_folder: Path) -> Any:
    load.report(0.1, "Reading the published swapping autoencoder: a large file")
    from gan_core.swapping_autoencoder.published import load_published

    return load_published(entry, published_folder)
