"""The Self-Conditioned GANs whose weights are on this machine. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gan_core.model_spec import Load, ModelSpec, files_are_here, read_entries
from gan_core.registry import ModelRegistry
from weights import catalogue

EMBEDDED = "portraits"
FOLDER = "portraits_edges"
FILES = ("generator", "directions", "predictors")
_LICENCE = "CC0-1.0"


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


def self_conditioned_models(weights: Path = catalogue.FOLDER) -> dict[str, SelfConditionedModel]:
    """The choices by API name, the embedded one first; only those whose files are here.

    The authors' checkpoints lack directions for the plain edit that results are compared with. They can be read
    (`gan_core.checkpoints.self_conditioned`) but are not offered here.
    """
    if not embedded_is_here(weights):
        return {}
    sliders = _sliders(weights)
    return {EMBEDDED: SelfConditionedModel(EMBEDDED, "portraits (embedded)", "portraits/edges", 256, _LICENCE, sliders)}


def embedded_is_here(weights: Path = catalogue.FOLDER) -> bool:
    """Whether all files of the embedded model are there."""
    return files_are_here(weights / FOLDER, FILES)


def declare_self_conditioned_models(
    registry: ModelRegistry, face: str, encoder: str, weights: Path = catalogue.FOLDER
) -> None:
    """Declare every one of `self_conditioned_models`.

    face, encoder: registry names of the face generator and of the encoder that reads pictures; both are shared.
    """
    for model in self_conditioned_models(weights).values():
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


def _build_embedded(load: Load, weights: Path, face: str, encoder: str) -> Any:
    load.report(0.3, "Loading the self-conditioned generator")
    from gan_core.e4e.encoding import encode_with
    from gan_core.self_conditioned.pipeline import load_embedded

    return load_embedded(weights, plain=load.part(face), encode=encode_with(load.part(encoder)))
