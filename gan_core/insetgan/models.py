"""The pairs of body and face generators whose weights are on this machine. Imports no torch."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gan_core.e4e.models import EDITOR
from gan_core.insetgan.labels import FACE_ENTRY, PUBLISHED_REGIONS
from gan_core.model_spec import Load, ModelSpec, files_are_here, read_entries
from gan_core.registry import ModelRegistry
from weights import catalogue
from weights.published import is_complete, offered_by, published

EMBEDDED = "portraits"
BUST, FACE, ENCODER = "people_bust", "people_face", "people_hfgi"
"""Folders of the weights of the busts, of the faces for both embedded canvases, and of what reads those."""
BODIES = "bodies"
"""API name of the embedded whole bodies, and their folder of weights."""
BODY_REGIONS = ("hair", "oval", "eyes", "mouth")
PORTRAIT_REGIONS = ("oval", "hair", "outline", "face", "head", "eyes", "mouth")
"""The first is the default: a box shows the face's own backdrop beside a thin neck, and around a head cut out of
a tight portrait nothing keeps the shoulders as they were."""
_NEED_A_HEAD = ("hair", "outline")
_LICENCE = "CC0-1.0 with attribution"


@dataclass(frozen=True)
class BodyPose:
    """A pose that bodies can be given, as a person sees it."""

    joints: tuple[tuple[float, float], ...]
    """Places in 256 x 512 pixels, in the order of `body_reader.JOINTS`."""


@dataclass(frozen=True)
class BodySlider:
    """A direction in the latents of a canvas as the interface shows it, known before the model is loaded."""

    name: str
    label: str
    low: float = -3.0
    high: float = 3.0
    kind: str = "hyperplane"
    note: str = ""
    region: str = ""


@dataclass(frozen=True)
class InsetGANModel:
    """A pair of generators."""

    name: str
    """What the API calls it."""
    label: str
    model: str
    """Its name in the registry."""
    size: tuple[int, int]
    """Height and width of its pictures."""
    face_size: int
    licence: str
    body: str = "standing"
    """The kind of its bodies: "standing" people, "rendered" standing people, a "bust" (head and shoulders), or a
    "portrait" by the face generator."""
    region: str = "whole"
    """The region of the face generator's picture that is used by default."""
    regions: tuple[str, ...] = PUBLISHED_REGIONS
    encoder: str | None = None
    """Registry name of an editor whose encoder reads faces for its face generator."""
    sliders: tuple[BodySlider, ...] = ()
    """Of its bodies."""
    poses: tuple[BodyPose, ...] = ()
    """That its bodies can be given."""
    seconds: tuple[str, ...] = ()
    """Kinds of a second inset beside regions of the face."""
    enlarged: int = 1
    """Results come so many times larger as well."""
    steps: int = 60
    """Of an optimisation, by default: more hardly reduce the seam, and the pictures become softer."""
    finding: int = 120
    """Steps in which a photo of a body is found."""

    @property
    def resolution(self) -> int:
        """The longer side, pixels."""
        return max(self.size)


@dataclass(frozen=True)
class PublishedCanvas:
    """A published generator of bodies, to be joined with the published face generator."""

    name: str
    entry: str
    """Its entry in weights/published.py."""
    size: tuple[int, int]


CANVASES = tuple(
    PublishedCanvas(entry.choice, entry.name, entry.size)
    for entry in offered_by("insetgan")
    if entry.name != FACE_ENTRY
)


def embedded_is_here(weights: Path = catalogue.FOLDER) -> bool:
    """Whether the face generator is there, and the discriminator in whose features pictures are compared."""
    features = files_are_here(weights / "portraits_face", ("discriminator",))
    return features and files_are_here(weights / FACE, ("generator",))


def bust_is_here(weights: Path = catalogue.FOLDER) -> bool:
    """Whether there is a generator of busts; until there is one, the face generator draws the bodies too."""
    return files_are_here(weights / BUST, ("generator",))


def bodies_are_here(weights: Path = catalogue.FOLDER) -> bool:
    """Whether there are the generator of whole bodies, their reader, and the faces for them."""
    faces = (
        files_are_here(weights / FACE, ("generator",)),
        files_are_here(weights / ENCODER, ("encoder",)),
    )
    return files_are_here(weights / BODIES, ("generator", "reader")) and all(faces)


def insetgan_models(published_folder: Path, weights: Path = catalogue.FOLDER) -> dict[str, InsetGANModel]:
    """The choices by API name, the embedded one first; only those whose files are here."""
    models = {}
    if bodies_are_here(weights):
        models[BODIES] = _bodies(weights)
    if embedded_is_here(weights):
        encoder = EDITOR if files_are_here(weights / ENCODER, ("encoder",)) else None
        head = files_are_here(weights / "portraits_hfgi", ("head",))
        regions = tuple(name for name in PORTRAIT_REGIONS if head or name not in _NEED_A_HEAD)
        models[EMBEDDED] = InsetGANModel(
            EMBEDDED,
            "Portrait (embedded)" if BODIES in models else "portraits (embedded)",
            "portraits/inset",
            (256, 256),
            256,
            _LICENCE,
            body="bust" if bust_is_here(weights) else "portrait",
            region=regions[0],
            regions=regions,
            encoder=encoder,
        )
    if not is_complete(published(FACE_ENTRY), published_folder):
        return models
    for canvas in CANVASES:
        entry = published(canvas.entry)
        if is_complete(entry, published_folder):
            models[canvas.name] = InsetGANModel(
                canvas.name,
                f"{canvas.name} (published)",
                f"{canvas.name}/inset",
                canvas.size,
                1024,
                f"{entry.licence}; faces: {published(FACE_ENTRY).licence}",
            )
    return models


def _bodies(weights: Path) -> InsetGANModel:
    folder = weights / BODIES
    directions, poses = folder / "directions.safetensors", folder / "poses.safetensors"
    head = (weights / "portraits_hfgi" / "head.safetensors").is_file()
    regions = BODY_REGIONS if head else BODY_REGIONS[1:]
    return InsetGANModel(
        BODIES,
        "Whole body (embedded)",
        f"{BODIES}/inset",
        (512, 256),
        256,
        _LICENCE,
        body="rendered",
        region=regions[0],
        regions=regions,
        encoder=EDITOR,
        sliders=read_entries(directions, "attributes", BodySlider) if directions.is_file() else (),
        poses=read_entries(poses, "poses", BodyPose) if poses.is_file() else (),
        seconds=("feet",) if files_are_here(folder, ("feet",)) else (),
        enlarged=2,
        steps=40,
        finding=24 if files_are_here(folder, ("encoder",)) else 48,
    )


def declare_insetgan_models(
    registry: ModelRegistry,
    published_folder: Path,
    face: str,
    weights: Path = catalogue.FOLDER,
) -> None:
    """Declare every one of `insetgan_models`.

    face: registry name of the embedded face generator, which is shared.
    """
    models = insetgan_models(published_folder, weights)
    if BODIES in models:
        files = ["generator", "reader"]
        files += [
            name for name in ("directions", "encoder", "feet", "poses") if files_are_here(weights / BODIES, (name,))
        ]
        registry.declare(
            ModelSpec(
                name=models[BODIES].model,
                build=lambda load: _build_bodies(load, weights, face),
                resolution=models[BODIES].resolution,
                licence=models[BODIES].licence,
                title="the generators of whole bodies and faces",
                weights=(*(f"{BODIES}/{name}" for name in files), "portraits_face/discriminator"),
                parts=(face, EDITOR),
            )
        )
    if EMBEDDED in models:
        registry.declare(
            ModelSpec(
                name=models[EMBEDDED].model,
                build=lambda load: _build_embedded(load, weights, face),
                resolution=256,
                licence=_LICENCE,
                title="the generators of bodies and faces",
                weights=((f"{BUST}/generator",) if bust_is_here(weights) else ()) + ("portraits_face/discriminator",),
                parts=(face,),
            )
        )
    for canvas in CANVASES:
        if canvas.name in models:
            registry.declare(
                ModelSpec(
                    name=models[canvas.name].model,
                    build=functools.partial(
                        _build_published, canvas=canvas, published_folder=published_folder, weights=weights
                    ),
                    resolution=models[canvas.name].resolution,
                    licence=models[canvas.name].licence,
                    title=f"the published generators of bodies ({canvas.name}) and faces",
                    weights=(canvas.entry, FACE_ENTRY),
                )
            )


def _build_bodies(load: Load, weights: Path, face: str) -> Any:
    load.report(0.3, "Loading the generators of whole bodies and faces")
    from gan_core.insetgan.bodies import load_bodies

    return load_bodies(weights, inset=load.part(face), encoder=load.part(EDITOR))


def _build_embedded(load: Load, weights: Path, face: str) -> Any:
    load.report(0.3, "Loading the generators of bodies and faces")
    from gan_core.insetgan.pipeline import load_embedded

    return load_embedded(weights, inset=load.part(face))


def _build_published(load: Load, canvas: PublishedCanvas, published_folder: Path, weights: Path) -> Any:
    load.report(0.1, "Reading the published generators: large files")
    from gan_core.insetgan.published import load_published

    return load_published(canvas.entry, published_folder, weights)
