"""Which published models are on this machine, and where each belongs. Imports no torch."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gan_core.errors import UnknownName
from weights.catalogue import read_config
from weights.published import CONVERTED, PUBLISHED, files_here, published

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Place:
    """Where a model belongs: an entry of the catalogue, and which of its archive's models."""

    entry: str
    part: str = ""
    """Folder of the part; "" for an entry that is one model."""

    @property
    def label(self) -> str:
        """For a menu."""
        model = published(self.entry)
        choice = next((part.choice for part in model.parts if part.folder == self.part), "")
        return f"{model.title}: {choice}" if choice else model.title

    def folder(self, root: Path) -> Path:
        """Its folder below the published weights' folder."""
        return root / self.entry / self.part if self.part else root / self.entry

    def file(self, root: Path) -> Path:
        """Its converted file."""
        return self.folder(root) / CONVERTED


def places() -> list[Place]:
    """Every place of the catalogue."""
    return [
        Place(model.name, folder)
        for model in PUBLISHED
        if model.format != "support"
        for folder in ([part.folder for part in model.parts] or [""])
    ]


@dataclass(frozen=True)
class Installed:
    """A model on this machine."""

    place: Place
    bytes: int
    converted: bool
    source: str
    """The published file that it was made of, where that is known."""


def installed(root: Path) -> list[Installed]:
    """Every published model that can be loaded, in the catalogue's order."""
    found = []
    for place in places():
        path = place.file(root)
        if path.is_file():
            source = str(describe(path).get("source", {}).get("file", ""))
            found.append(Installed(place, path.stat().st_size, True, source))
            continue
        paths = originals(place, root)
        if paths:
            found.append(Installed(place, sum(path.stat().st_size for path in paths), False, paths[0].name))
    return found


def originals(place: Place, root: Path) -> tuple[Path, ...]:
    if not place.part:
        return files_here(published(place.entry), root) or ()
    folder = root / place.entry
    names = (folder / place.part, folder / "checkpoints" / place.part)
    return tuple(path / "latest_checkpoint.pth" for path in names if (path / "latest_checkpoint.pth").is_file())[:1]


def remove(place: Place, root: Path) -> int:
    """Delete a model's files, partial ones included; returns the bytes freed. Raises UnknownName if there are none."""
    folder = place.folder(root)
    if place not in places() or not folder.is_dir():
        raise UnknownName("There is no such model on this machine.")
    freed = 0
    for path in sorted(folder.iterdir()):
        if path.is_file():
            freed += path.stat().st_size
            path.unlink()
    if not any(folder.iterdir()):
        folder.rmdir()
    return freed


def describe(path: Path) -> dict[str, Any]:
    """What a converted file says of itself, without reading its tensors; {} if it says nothing."""
    try:
        config = read_config(path)
    except (OSError, ValueError):
        return {}
    return config if isinstance(config, dict) else {}


def not_writable(root: Path) -> str:
    """Why nothing can be written into the folder of published weights, as a sentence; "" if it can."""
    existing = next(folder for folder in (root, *root.parents) if folder.exists())
    if not existing.is_dir():
        return f"The folder for weights cannot be made: {existing.name} is a file."
    if os.access(existing, os.W_OK):
        probe = existing / f".gan-studio-{os.getpid()}"
        try:
            probe.touch()
            probe.unlink()
            return ""
        except OSError as error:
            logger.info("%s cannot be written: %s", existing, error)
    return "The disk with the folder for weights is read-only, so nothing can be installed or removed here."
