"""Checkpoints that others published, as data. They are fetched on request only and never shipped.

The entries are in `weights/published_models.py` and `weights/published_others.py`. `python -m
gan_core.checkpoints.fetch NAME` and the app's Models page put the files of an entry into a folder of that name. Whether
each address still answers was not tried when this was written; a file without a known sha256 is accepted as it comes,
and the fetcher says which hash it saw.
"""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_data_path

from weights.entry import ALIGNMENTS, PublishedFile, PublishedModel
from weights.published_models import MODELS
from weights.published_others import OTHERS

__all__ = ["ALIGNMENTS", "PUBLISHED", "PublishedFile", "PublishedModel"]

PUBLISHED: tuple[PublishedModel, ...] = (*MODELS, *OTHERS)

CONVERTED = "model.safetensors"
"""The file in a model's folder that holds it under this project's own names, made once of the published ones."""


def default_folder() -> Path:
    """Where they are kept: the environment variable STUDIO_WEIGHTS, else the user's data folder."""
    return Path(os.environ.get("STUDIO_WEIGHTS") or user_data_path("gan-studio") / "weights")


def converted(model: PublishedModel, folder: Path) -> Path | None:
    """The model under this project's names, if it has been converted."""
    path = folder / model.name / CONVERTED
    return path if path.is_file() else None


def files_here(model: PublishedModel, folder: Path) -> tuple[Path, ...] | None:
    """The first of the model's sets of published files that is whole below `folder`, each under its final name."""
    for files in model.sets:
        paths = tuple(folder / model.name / entry.file for entry in files)
        if paths and all(path.is_file() for path in paths):
            return paths
    return None


def is_complete(model: PublishedModel, folder: Path) -> bool:
    """Whether the model can be loaded: converted, or every published file of it is here under its final name."""
    return converted(model, folder) is not None or files_here(model, folder) is not None


def published(name: str) -> PublishedModel:
    """The published model of that name. Raises KeyError."""
    for entry in PUBLISHED:
        if entry.name == name:
            return entry
    raise KeyError(name)


def offered_by(tab: str) -> list[PublishedModel]:
    """The models that the tab of a paper can offer, in order."""
    return [entry for entry in PUBLISHED if entry.tab == tab]
