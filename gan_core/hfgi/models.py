"""The face editing models (HFGI) whose weights are on this machine. Imports no torch."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gan_core.e4e.models import EDITOR as EMBEDDED
from gan_core.model_spec import Load, ModelSpec, read_entries
from gan_core.registry import ModelRegistry
from weights import catalogue
from weights.published import PublishedModel, is_complete, offered_by

_WEIGHTS = (
    *(f"people_hfgi/{name}" for name in ("encoder", "alignment", "consultation", "directions")),
    "portraits_hfgi/head",
    "portraits_face/discriminator",  # its features, for refining
)


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
    """The part that it may change, of `gan_core.hfgi.regions`; "crop" is the whole."""


MOST_NAMED, MOST_PRINCIPAL = 3, 6
"""Sliders of each kind that a published model may have."""


@dataclass(frozen=True)
class HFGIModel:
    """A choice of weights for editing faces."""

    name: str
    """What the API calls it."""
    label: str
    model: str
    """Its name in the registry."""
    sliders: tuple[Slider, ...]
    resolution: int
    licence: str
    alignment: str = "face"
    """"face", or for a model of objects "object" (the middle square of a photo) or "wide" (its middle of 4 to 3)."""


def one_of_each_region(sliders: Sequence[Slider]) -> list[str]:
    """Names of sliders, the first of each region: together they use all that any of them does."""
    return list({slider.region: slider.name for slider in reversed(sliders)}.values())


def hfgi_models(published_folder: Path) -> dict[str, HFGIModel]:
    """The choices for editing faces by API name, the embedded one first."""
    generator = catalogue.embedded("people_face/generator")
    embedded = HFGIModel("portraits", "people (embedded)", EMBEDDED, embedded_sliders(), 256, generator.licence)
    editors = {embedded.name: embedded}
    for entry in _here(published_folder):
        sliders = tuple(_published_sliders(published_folder / entry.name))
        without = "" if entry.choice == "ffhq" else ", without consultation"
        editors[entry.choice] = HFGIModel(
            entry.choice,
            f"{entry.choice} (published{without})",
            f"{entry.choice}/hfgi",
            sliders,
            entry.resolution,
            entry.licence,
            entry.alignment,
        )
    return editors


def declare_hfgi_models(registry: ModelRegistry, published_folder: Path, face: str) -> None:
    """Declare every one of `hfgi_models`. face: registry name of the embedded face generator, which is shared."""
    generator = catalogue.embedded("people_face/generator")
    registry.declare(
        ModelSpec(
            name=EMBEDDED,
            build=lambda load: _build_embedded(load, face),
            resolution=generator.resolution,
            licence=generator.licence,
            title="the face editor",
            weights=_WEIGHTS,
            parts=(face,),
        )
    )
    for entry in _here(published_folder):
        registry.declare(
            ModelSpec(
                name=f"{entry.choice}/hfgi",
                build=functools.partial(
                    _build_published, folder=published_folder / entry.name, alignment=entry.alignment
                ),
                resolution=entry.resolution,
                licence=entry.licence,
                title=f"the published face editor ({entry.choice})",
                weights=(entry.name,),
            )
        )


def embedded_sliders() -> tuple[Slider, ...]:
    """Read from the header of the directions file alone; none while the file is missing or damaged."""
    return read_entries(catalogue.embedded("people_hfgi/directions").path, "attributes", Slider)


def published_is_here(published_folder: Path) -> bool:
    """Whether the authors' HFGI is here: converted, as one file or as the release's three."""
    return any(entry.choice == "ffhq" for entry in _here(published_folder))


def _here(published_folder: Path) -> list[PublishedModel]:
    """The published editors of this machine; the edit directions beside them may be missing."""
    return [
        entry
        for entry in offered_by("hfgi")
        if is_complete(entry, published_folder) or (published_folder / entry.name / entry.sets[-1][0].file).is_file()
    ]


def _published_sliders(folder: Path) -> list[Slider]:
    sliders = [Slider("smile", "Smile"), Slider("age", "Age"), Slider("pose", "Pose")]
    sliders = [slider for slider in sliders if (folder / f"{slider.name}.pt").is_file()]
    if (folder / "ffhq_pca.pt").is_file():
        names = {"eyes": "Eyes", "beard": "Beard", "lips": "Lips"}
        sliders += [Slider(name, label, kind="principal") for name, label in names.items()]
    return sliders or list(principal_sliders())


def principal_sliders() -> tuple[Slider, ...]:
    """The sliders of a model without files of directions: principal directions of its own latents."""
    note = "not named by anybody: see what it does"
    return tuple(
        Slider(f"principal_{i}", f"Direction {i}", kind="principal", note=note) for i in range(1, MOST_PRINCIPAL + 1)
    )


def _build_embedded(load: Load, face: str) -> Any:
    load.report(0.3, "Loading the face editor")
    from gan_core.hfgi.pipeline import load_embedded

    return load_embedded(catalogue.FOLDER, generator=load.part(face))


def _build_published(load: Load, folder: Path, alignment: str) -> Any:
    load.report(0.1, "Reading the published face editor: a large file")
    from gan_core.hfgi.published import load_published

    return load_published(folder, wide=alignment == "wide")
