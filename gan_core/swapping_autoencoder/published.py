"""The authors' Swapping Autoencoders, from the archives that a person has fetched (weights/published.py).

An archive contains several models; the checkpoint of a model is extracted when it is first used. An archive unpacked by
hand works, too. torch is imported only when a network is read: building the page only checks which files are here.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gan_core.errors import BadCheckpoint, WeightsMissing
from weights.published import CONVERTED, offered_by, published

if TYPE_CHECKING:
    from gan_core.swapping_autoencoder.pipeline import SwappingAutoencoderPipeline

log = logging.getLogger(__name__)
FILE = "latest_checkpoint.pth"


@dataclass(frozen=True)
class PublishedAutoencoder:
    """One of the models in an archive."""

    name: str
    """What the API calls it."""
    archive: str
    """The archive's entry in weights/published.py."""
    folder: str
    """Its folder in the archive, below checkpoints/."""
    resolution: int
    faces: bool
    """Whether it knows faces cut out the FFHQ way only."""


PUBLISHED = tuple(
    PublishedAutoencoder(part.choice, entry.name, part.folder, part.resolution, part.alignment == "face")
    for entry in offered_by("swapping_autoencoder")
    for part in entry.parts
)


def is_here(model: PublishedAutoencoder, published_folder: Path) -> bool:
    """Whether the model's checkpoint is on this machine, unpacked or in its archive."""
    if _converted(model, published_folder).is_file():
        return True
    return _unpacked(model, published_folder) is not None or _member(model, published_folder) is not None


def checkpoint(model: PublishedAutoencoder, published_folder: Path) -> Path:
    """The path of the model's checkpoint, unpacked if need be.

    Raises WeightsMissing if it is not here, BadCheckpoint if the archive is damaged.
    """
    path = _unpacked(model, published_folder)
    if path is not None:
        return path
    found = _member(model, published_folder)
    if found is None:
        raise WeightsMissing(
            f"The published model {model.name!r} is not on this machine. "
            f"Fetch it with: python -m gan_core.checkpoints.fetch {model.archive}"
        )
    archive, member = found
    target = published_folder / model.archive / model.folder / FILE
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=target.parent, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as out, zipfile.ZipFile(archive) as opened, opened.open(member) as source:
            shutil.copyfileobj(source, out, 1 << 20)
        os.replace(temporary, target)
    except (zipfile.BadZipFile, EOFError, RuntimeError) as error:
        raise BadCheckpoint(f"The archive {archive.name} is damaged; fetch it again.") from error
    finally:
        Path(temporary).unlink(missing_ok=True)
    return target


def load_published(model: PublishedAutoencoder, published_folder: Path) -> SwappingAutoencoderPipeline:
    """The pipeline of one of the authors' models.

    Raises WeightsMissing, or BadCheckpoint or UnsafeFile where the file is damaged or of another kind.
    """
    from gan_core.checkpoints import swapping_autoencoder as adapter
    from gan_core.checkpoints.converted import USED, read
    from gan_core.checkpoints.keys import build_with
    from gan_core.checkpoints.reader import read_tensors
    from gan_core.swapping_autoencoder.pipeline import SwappingAutoencoderPipeline

    path = _converted(model, published_folder)
    if path.is_file():
        built = read(path, adapter.MODULES, only=USED)
    else:
        path = checkpoint(model, published_folder)
        built = build_with((adapter,), adapter.for_editing(read_tensors(path)), path.name)
    return SwappingAutoencoderPipeline.from_checkpoint(built, resolution=model.resolution)


def _converted(model: PublishedAutoencoder, published_folder: Path) -> Path:
    return published_folder / model.archive / model.folder / CONVERTED


def _unpacked(model: PublishedAutoencoder, published_folder: Path) -> Path | None:
    root = published_folder / model.archive
    places = (root / model.folder / FILE, root / "checkpoints" / model.folder / FILE)
    return next((path for path in places if path.is_file()), None)


def _member(model: PublishedAutoencoder, published_folder: Path) -> tuple[Path, str] | None:
    """The archive and the name in it of the model's checkpoint."""
    (entry,) = published(model.archive).files
    archive = published_folder / model.archive / entry.file
    if not archive.is_file():
        return None
    try:
        with zipfile.ZipFile(archive) as opened:
            names = opened.namelist()
    except zipfile.BadZipFile:
        log.warning("%s is no zip archive", archive)
        return None
    wanted = f"{model.folder}/{FILE}"
    return next(((archive, name) for name in names if name == wanted or name.endswith(f"/{wanted}")), None)
