"""The Self-Conditioned GANs whose weights are on this machine. Imports no torch."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gan_core.model_spec import Load, ModelSpec, files_are_here, read_entries
from gan_core.registry import ModelRegistry
from weights import catalogue
from weights.published import CONVERTED, offered_by

EMBEDDED = "portraits"
FOLDER = "people_edges"
FILES = ("generator", "directions", "predictors")
MOST_ATTRIBUTES = 3
"""Attributes that a published model may have; the authors' have two or three."""


@dataclass(frozen=True)
class AttributeSlider:
    """An attribute as the interface shows it, known before the model is loaded; its values go from 0 to 1."""

    name: str
    label: str
    low: str
    """What 0 means."""
    high: str
    """What 1 means."""
    measure: str = ""
    """The predictor's measure for it, "" for none."""
    note: str = ""


@dataclass(frozen=True)
class SelfConditionedModel:
    """A choice of weights."""

    name: str
    """What the API calls it."""
    label: str
    model: str
    """Its name in the registry."""
    resolution: int
    licence: str
    sliders: tuple[AttributeSlider, ...]


def self_conditioned_models(
    weights: Path = catalogue.FOLDER, published_folder: Path | None = None
) -> dict[str, SelfConditionedModel]:
    """The choices by API name, the embedded one first; only those whose files are here.

    published_folder: of the authors' models, which lack the plain edit that results are compared with (see
    `published.py`); None offers none of them.
    """
    models = {}
    if embedded_is_here(weights):
        generator = catalogue.embedded(f"{FOLDER}/generator")
        models[EMBEDDED] = SelfConditionedModel(
            EMBEDDED, "people (embedded)", "people/edges", 256, generator.licence, _sliders(weights)
        )
    for entry in offered_by("self_conditioned") if published_folder else ():
        count = _attributes_of(published_folder / entry.name / CONVERTED) if published_folder else 0
        if count:
            models[entry.choice] = SelfConditionedModel(
                entry.choice,
                f"{entry.choice} (published, no plain direction)",
                f"{entry.choice}/edges",
                entry.resolution,
                entry.licence,
                numbered_sliders(count),
            )
    return models


def numbered_sliders(count: int) -> tuple[AttributeSlider, ...]:
    """The sliders of a published model, whose file does not name its attributes."""
    note = "not named in its file: see what it does"
    return tuple(AttributeSlider(f"attribute_{i}", f"Attribute {i}", "0", "1", note=note) for i in range(1, count + 1))


def _attributes_of(path: Path) -> int:
    """How many attributes a converted model has; 0 if it is not here or damaged."""
    try:
        count = catalogue.read_config(path)["modules"]["generator"]["attributes"]
    except (OSError, ValueError, KeyError, TypeError):
        return 0
    return count if isinstance(count, int) and 0 < count <= MOST_ATTRIBUTES else 0


def embedded_is_here(weights: Path = catalogue.FOLDER) -> bool:
    """Whether all files of the embedded model are there."""
    return files_are_here(weights / FOLDER, FILES)


def declare_self_conditioned_models(
    registry: ModelRegistry,
    face: str,
    encoder: str,
    weights: Path = catalogue.FOLDER,
    published_folder: Path | None = None,
) -> None:
    """Declare every one of `self_conditioned_models`.

    face, encoder: registry names of the face generator and of the encoder that reads pictures; both are shared.
    """
    entries = {entry.choice: entry.name for entry in offered_by("self_conditioned")}
    for model in self_conditioned_models(weights, published_folder).values():
        if published_folder and model.name in entries:
            folder = published_folder / entries[model.name]
            registry.declare(
                ModelSpec(
                    name=model.model,
                    build=functools.partial(_build_published, folder=folder),
                    resolution=model.resolution,
                    licence=model.licence,
                    title=f"the published self-conditioned generator ({model.name})",
                    weights=(folder.name,),
                )
            )
            continue
        registry.declare(
            ModelSpec(
                name=model.model,
                build=lambda load: _build_embedded(load, weights, face, encoder),
                resolution=model.resolution,
                licence=model.licence,
                title="the self-conditioned generator",
                weights=tuple(f"{FOLDER}/{name}" for name in FILES),
                parts=(face, encoder),
            )
        )


def _sliders(weights: Path) -> tuple[AttributeSlider, ...]:
    """Read from the header of the directions file alone; none if it is damaged."""

    def slider(method: str = "", **entry: Any) -> AttributeSlider:
        return AttributeSlider(**entry)

    return read_entries(weights / FOLDER / "directions.safetensors", "attributes", slider)


def _build_published(load: Load, folder: Path) -> Any:
    load.report(0.1, "Reading the published self-conditioned generator: a large file")
    from gan_core.self_conditioned.published import load_published

    return load_published(folder)


def _build_embedded(load: Load, weights: Path, face: str, encoder: str) -> Any:
    load.report(0.3, "Loading the self-conditioned generator")
    from gan_core.e4e.encoding import encode_with
    from gan_core.self_conditioned.pipeline import load_embedded

    return load_embedded(weights, plain=load.part(face), encode=encode_with(load.part(encoder)))
