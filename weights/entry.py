"""The fields of a published checkpoint's entry. See `weights/published.py`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

ALIGNMENTS = {
    "face": "FFHQ square from eyes and mouth",
    "person": "whole standing person",
    "animal": "animal faces as in AFHQ",
    "drawing": "edges of one object, black on white",
    "object": "one object, centred",
    "wide": "one object, centred, in a picture of 4 to 3",
    "any": "any picture",
}
"""How a picture must be cut out before it fits, and what a person is told."""


@dataclass(frozen=True)
class PublishedFile:
    """One file of a published model."""

    file: str
    """Its name in the model's folder."""
    sources: tuple[str, ...] = ()
    """Addresses, the most dependable first: a hub at a fixed revision, a release, the vendor, Drive. None: it has to be
    fetched by hand."""
    bytes: int | None = None
    sha256: str | None = None

    @property
    def fixed(self) -> bool:
        """Whether all sources must give the same bytes."""
        return self.sha256 is not None


@dataclass(frozen=True)
class ModelPart:
    """One of several models in an archive."""

    choice: str
    """Its name in the tab's menu and in the API."""
    folder: str
    """Its folder in the archive, below checkpoints/."""
    resolution: int
    alignment: str


@dataclass(frozen=True)
class PublishedModel:
    """Files that make one model together."""

    name: str
    """Also its folder below the published weights' folder."""
    title: str
    """What it is, in a few words."""
    licence: str
    """In one sentence."""
    source: str
    """Who made it, and who publishes these files."""
    paper: str
    size: tuple[int, int]
    """Height and width of its pictures, in pixels."""
    memory: int
    """Bytes of its networks in single precision."""
    latent_layout: str
    alignment: str
    """One of `ALIGNMENTS`."""
    format: str
    """The reader's name for it; "support" for networks that only help others."""
    files: tuple[PublishedFile, ...]
    pixel_range: tuple[float, float] = (-1.0, 1.0)
    tab: str = ""
    """The paper's tab that offers it; "" where only scripts use it."""
    choice: str = ""
    """Its name in the tab's menu and in the API."""
    instead: tuple[tuple[PublishedFile, ...], ...] = ()
    """Other sets of files that make the same model."""
    parts: tuple[ModelPart, ...] = ()
    """The models that its archive holds."""
    page: str = ""
    """Where a person can get the files by hand."""

    @property
    def resolution(self) -> int:
        """The longer side, pixels."""
        return max(self.size)

    @cached_property
    def bytes(self) -> int | None:
        """Of all its files; None where a size is not known."""
        sizes = [file.bytes for file in self.files]
        return None if None in sizes else sum(size for size in sizes if size is not None)

    @property
    def fetchable(self) -> bool:
        """Whether a program can fetch every file."""
        return bool(self.files) and all(file.sources for file in self.files)

    @property
    def sets(self) -> tuple[tuple[PublishedFile, ...], ...]:
        """The sets of files any of which makes the model."""
        return (self.files, *self.instead)
