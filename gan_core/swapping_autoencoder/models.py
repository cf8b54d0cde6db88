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

EMBEDDED, PLACES = "portraits", "places"
FILES = ("encoder", "generator", "directions")


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
    amount: float = 1.0
    """Default amount of the second picture's texture."""


@dataclass(frozen=True)
class _EmbeddedSwap:
    label: str
    folder: str
    """In weights/."""
    model: str
    title: str
    faces: bool
    detail: float
    amount: float = 1.0

    @property
    def licence(self) -> str:
        return catalogue.embedded(f"{self.folder}/encoder").licence


_EMBEDDED = {
    EMBEDDED: _EmbeddedSwap(
        "portraits (embedded)", "people_swap", "people/swap", "the swapping autoencoder", True, 0.0
    ),
    PLACES: _EmbeddedSwap(
        "any photo (embedded)", "places_swap", "places/swap", "the swapping autoencoder of places", False, 0.8, 0.5
    ),
}


def swapping_autoencoder_models(
    published_folder: Path, weights: Path = catalogue.FOLDER
) -> dict[str, SwappingAutoencoderModel]:
    """The choices by API name, the embedded ones first; only those whose files are here."""
    models = {}
    for name, one in _EMBEDDED.items():
        if embedded_is_here(weights, name):
            sliders = _sliders(weights / one.folder)
            models[name] = SwappingAutoencoderModel(
                name, one.label, one.model, 256, one.licence, sliders, one.faces, one.detail, one.amount
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


def embedded_is_here(weights: Path = catalogue.FOLDER, name: str = EMBEDDED) -> bool:
    """Whether all files of an embedded model are there. name: what the API calls it."""
    return files_are_here(weights / _EMBEDDED[name].folder, FILES)


def declare_swapping_autoencoder_models(
    registry: ModelRegistry, published_folder: Path, weights: Path = catalogue.FOLDER
) -> None:
    """Declare every one of `swapping_autoencoder_models`."""
    models = swapping_autoencoder_models(published_folder, weights)
    for name, one in _EMBEDDED.items():
        if name in models:
            registry.declare(
                ModelSpec(
                    name=one.model,
                    build=functools.partial(_build_embedded, one=one, weights=weights),
                    resolution=models[name].resolution,
                    licence=one.licence,
                    title=one.title,
                    weights=tuple(f"{one.folder}/{file}" for file in FILES),
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


def _sliders(folder: Path) -> tuple[DirectionSlider, ...]:
    """Read from the header of the directions file alone; none if it is damaged."""
    return read_entries(folder / "directions.safetensors", "directions", DirectionSlider)


def _build_embedded(load: Load, one: _EmbeddedSwap, weights: Path) -> Any:
    load.report(0.3, f"Loading {one.title}")
    from gan_core.swapping_autoencoder.pipeline import load_embedded

    return load_embedded(weights / one.folder)


def _build_published(load: Load, entry: PublishedAutoencoder, published_folder: Path) -> Any:
    load.report(0.1, "Reading the published swapping autoencoder: a large file")
    from gan_core.swapping_autoencoder.published import load_published

    return load_published(entry, published_folder)
