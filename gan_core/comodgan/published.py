"""The authors' CoModGANs, and the port's, from the files that a person has fetched (weights/published.py).

Imports no torch before a network is read: which files are here is asked when the page is built.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gan_core.errors import WeightsMissing
from weights.published import files_here, published

if TYPE_CHECKING:
    from gan_core.comodgan.pipeline import CoModGANPipeline


def published_file(entry: str, folder: Path) -> Path | None:
    """A file of the published model, the authors' before the port's; None if there is none."""
    here = files_here(published(entry), folder)
    return here[0] if here else None


def load_published(entry: str, folder: Path, *, framing: str) -> CoModGANPipeline:
    """The pipeline of an entry of weights/published.py, from its file in `folder`. framing: what its pictures are.

    Raises WeightsMissing, or BadCheckpoint or UnsafeFile where the file is not what it should be.
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
