"""The authors' CoModGANs, and the port's, from the files that a person has fetched (weights/published.py).

torch is imported only when a network is read: the page is built from a check of which files are here.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from weights.published import files_here, published

if TYPE_CHECKING:
    from gan_core.comodgan.pipeline import CoModGANPipeline


def load_published(entry: str, folder: Path, *, framing: str) -> CoModGANPipeline:
    """The pipeline of an entry of weights/published.py, from its file in `folder`. framing: the kind of its pictures.

    Raises WeightsMissing, or BadCheckpoint or UnsafeFile where the file is damaged or of another kind.
    """
    from gan_core.checkpoints import comodgan as adapter
    from gan_core.checkpoints.converted import open_model
    from gan_core.comodgan.pipeline import CoModGANPipeline

    files = files_here(published(entry), folder) or ()
    built = open_model(folder / entry, files, (adapter,), f"The published model {entry!r}")
    return CoModGANPipeline(built.modules["generator"], framing=framing)
