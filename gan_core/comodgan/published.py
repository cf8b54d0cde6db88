"""The authors' CoModGANs, and the port's, from the files that a person has fetched (weights/published.py).

Imports no torch before a network is read: which files are here is asked when the page is built.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from weights.published import files_here, published

if TYPE_CHECKING:
    from gan_core.comodgan.pipeline import CoModGANPipeline


def load_published(entry: str, folder: Path, *, framing: str) -> CoModGANPipeline:
    """The pipeline of an entry of weights/published.py, from its file in `folder`. framing: what its pictures are.

    Raises WeightsMissing, or BadCheckpoint or UnsafeFile where the file is not what it should be.
    """
    from gan_core.checkpoints import comodgan as adapter
    from gan_core.checkpoints.converted import open_model
    from gan_core.comodgan.pipeline import CoModGANPipeline

    files = files_here(published(entry), folder) or ()
    built = open_model(folder / entry, files, (adapter,), f"The published model {entry!r}")
    return CoModGANPipeline(built.modules["generator"], framing=framing)
