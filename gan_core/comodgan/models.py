"""The CoModGANs whose weights are on this machine: they fill holes, or draw from drawings. Imports no torch."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gan_core.model_spec import Load, ModelSpec
from gan_core.registry import ModelRegistry
from weights import catalogue
from weights.published import is_complete, offered_by

AUTOMATIC, DEFAULT, FACES, PLACES, DRAWING = "auto", "portraits", "faces", "places", "drawing"


@dataclass(frozen=True)
class CoModGANModel:
    """A choice of weights."""

    name: str
    """What the API calls it."""
    label: str
    model: str
    """Its name in the registry."""
    kind: str
    """"hole" (a picture with a hole) or "drawing" (lines)."""
    resolution: int
    licence: str
    alignment: str
    """The kind of its pictures: a "face" aligned as in FFHQ, a "bust" (head and shoulders), or "any" scene; AUTOMATIC
    where each hole's network is chosen by what it lies on."""
    source: str
    """Folder and stem of its embedded file, or its entry in weights/published.py."""


@dataclass(frozen=True)
class _Embedded:
    folder: str
    model: str
    kind: str
    alignment: str
    title: str

    @property
    def weights(self) -> str:
        return f"{self.folder}/generator"

    @property
    def licence(self) -> str:
        return catalogue.embedded(self.weights).licence


_FACE = _Embedded("people_fill", "people/fill", "hole", "face", "the network that completes faces")
_BUST = _Embedded("portraits_fill_bust", "portraits/fill_bust", "hole", "bust", "the network that completes portraits")
_PLACES = _Embedded("places_fill", "places/fill", "hole", "any", "the network that completes any photo")
_DRAW = _Embedded("people_draw", "people/draw", "drawing", "face", "the network that makes portraits of drawings")
# By API name; the first whose file is here.
_CHOICES = {
    DEFAULT: ("portraits (embedded)", (_BUST, _FACE)),
    FACES: ("faces (embedded)", (_FACE,)),
    PLACES: ("any photo (embedded)", (_PLACES,)),
    DRAWING: ("drawing to portrait (embedded)", (_DRAW,)),
}


def comodgan_models(published_folder: Path, weights: Path = catalogue.FOLDER) -> dict[str, CoModGANModel]:
    """The choices by API name, the embedded ones first; only those whose files are here."""
    models = {}
    for name, (label, candidates) in _CHOICES.items():
        here = next((one for one in candidates if (weights / f"{one.weights}.safetensors").is_file()), None)
        if here is not None:
            models[name] = CoModGANModel(
                name, label, here.model, here.kind, 256, here.licence, here.alignment, here.weights
            )
    for entry in offered_by("comodgan"):
        if is_complete(entry, published_folder):
            models[entry.choice] = CoModGANModel(
                entry.choice,
                f"{entry.choice} (published)",
                f"{entry.choice}/fill",
                "drawing" if entry.alignment == "drawing" else "hole",
                entry.resolution,
                entry.licence,
                entry.alignment if entry.alignment == "face" else "any",
                entry.name,
            )
    return models


def hole_choices(models: Mapping[str, CoModGANModel]) -> dict[str, CoModGANModel]:
    """The choices that fill holes, in the order of a menu: AUTOMATIC first where it can choose."""
    choices = {name: choice for name, choice in models.items() if choice.kind == "hole"}
    if choice_of_faces(choices) is None or PLACES not in choices:
        return choices
    automatic = replace(
        choices[PLACES], name=AUTOMATIC, label="automatic, by the picture", model="", alignment=AUTOMATIC, source=""
    )
    return {AUTOMATIC: automatic, **choices}


def choice_of_faces(models: Mapping[str, CoModGANModel]) -> CoModGANModel | None:
    """The choice that AUTOMATIC takes for holes on faces: FACES, or DEFAULT where that is not here."""
    return models.get(FACES) or models.get(DEFAULT)


def declare_comodgan_models(registry: ModelRegistry, published_folder: Path, weights: Path = catalogue.FOLDER) -> None:
    """Declare every one of `comodgan_models`, and each embedded network once."""
    offered = comodgan_models(published_folder, weights)
    for one in (_BUST, _FACE, _PLACES, _DRAW):
        if any(model.model == one.model for model in offered.values()):
            registry.declare(
                ModelSpec(
                    name=one.model,
                    build=functools.partial(_build_embedded, one=one, weights=weights),
                    resolution=256,
                    licence=one.licence,
                    title=one.title,
                    weights=(one.weights,),
                )
            )
    for entry in offered_by("comodgan"):
        if entry.choice in offered:
            model = offered[entry.choice]
            registry.declare(
                ModelSpec(
                    name=model.model,
                    build=functools.partial(_build_published, model=model, published_folder=published_folder),
                    resolution=model.resolution,
                    licence=model.licence,
                    title=f"the published network ({entry.choice})",
                    weights=(model.source,),
                )
            )


def _build_embedded(load: Load, one: _Embedded, weights: Path) -> Any:
    load.report(0.3, f"Loading {one.title}")
    from gan_core.comodgan.pipeline import load_embedded

    return load_embedded(weights / f"{one.weights}.safetensors", framing=one.alignment)


def _build_published(load: Load, model: CoModGANModel, published_folder: Path) -> Any:
    load.report(0.1, "Reading the published network: a large file")
    from gan_core.comodgan.published import load_published

    return load_published(model.source, published_folder, framing=model.alignment)
