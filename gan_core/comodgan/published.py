"""The authors' CoModGANs, and the port's, from the files that a person has fetched (weights/published.py).

torch is imported only when a network is read: the page is built from a check of which files are here.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gan_core.errors import WeightsMissing
from weights.published import published

if TYPE_CHECKING:
    from gan_core.comodgan.pipeline import CoModGANPipeline


def published_file(entry: str, folder: Path) -> Path | None:
    """A file of the published model, the authors' before the port's; None if there is none."""
    paths = (folder / entry / file.file for file in published(entry).files)
    return next((path for path in paths if path.is_file()), None)


def load_published(entry: str, folder: Path, *, framing: str) -> CoModGANPipeline:
    """The pipeline of an entry of weights/published.py, from its file in `folder`. framing: the kind of its pictures.

    Raises WeightsMissing, or BadCheckpoint or UnsafeFile where the file is damaged or of another kind.
    """
    from gan_core.checkpoints import comodgan as adapter
    from gan_core.checkpoints.keys import build_with
    from gan_core.checkpoints.reader import read_tensors
    from gan_core.comodgan.pipeline import CoModGANPipeline

    path = published_file(entry, folder)
    if path is None:
        raise WeightsMissing(
            f"The published model {entry!r} is not on this machine. "
            f"Fetch it with: python -m gan_core.checkpoints.fetch {entry}"
        )
    built = build_with((adapter,), read_tensors(path), path.name)
    return CoModGANPipeline(built.modules["generator"], framing=framing)
