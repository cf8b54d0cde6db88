"""What a visitor's session keeps of a photo that is being edited, and the pictures of a result."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from PIL import Image

from demo.hfgi.tasks import InvertedFace
from gan_core.images import held_bytes

if TYPE_CHECKING:
    from gan_core.faces import AlignedFace, Face


@dataclass
class Work:
    """A photo that is being edited, and results for it. Used only from the GPU queue, by one request at a time."""

    digest: str
    photo: Image.Image = field(repr=False)
    preview: Image.Image = field(repr=False)
    faces: list[Face]
    """Largest first, at most MOST_FACES."""
    found: int
    """Number of faces found."""
    trouble: str = ""
    """Message why there is no face to edit, or ""."""
    face: Face | None = None
    """The face that is edited."""
    aligned: dict[tuple[str, int], AlignedFace] = field(default_factory=dict, repr=False)
    """By the kind (`HFGIModel.alignment`) and the size of the crop."""
    inverted: dict[str, InvertedFace] = field(default_factory=dict, repr=False)
    """By the registry's model name."""
    refined: dict[str, InvertedFace] = field(default_factory=dict, repr=False)
    """The same, refined; only where that was asked for."""
    complete: set[str] = field(default_factory=set, repr=False)
    """Models of which `refined` has the result of all steps."""

    def choose(self, face: Face) -> None:
        """Edit this face from now on."""
        self.face, self.trouble = face, ""
        self.aligned.clear()
        self.inverted.clear()
        self.refined.clear()
        self.complete.clear()

    @property
    def size(self) -> int:
        """Bytes, about."""
        crops, faces = (one.crop for one in self.aligned.values()), (*self.inverted.values(), *self.refined.values())
        return held_bytes(self.photo, self.preview, *crops) + sum(face.size for face in faces)


@dataclass(frozen=True)
class Edited:
    """The pictures of a result."""

    before: Image.Image
    """The photo, or its preview."""
    after: Image.Image
    """The same with the edited face pasted in."""
    crop: Image.Image
    """The aligned face, unedited."""
    plain_inversion: Image.Image
    plain_edit: Image.Image | None
    crop_edit: Image.Image
    refined: int = 0
    """Steps of refinement that the inversion had."""
