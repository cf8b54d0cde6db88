"""What the editors of all tabs have: their choices of weights, and the face finder as the app's settings allow it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from PIL import Image

from demo.parts.choices import Model
from demo.settings import Settings

if TYPE_CHECKING:
    from gan_core.faces import Face


AnyEditor = TypeVar("AnyEditor", bound="PaperEditor[Any]")


class PaperEditor(Generic[Model]):
    """The steps of one tab, independent of the page: arguments and results are plain values.

    models: the choices of weights by API name. weights: one more folder to look for facexlib's weights in;
    allow_fetch: they may be fetched.
    """

    def __init__(self, models: Mapping[str, Model], *, weights: Path | None = None, allow_fetch: bool = False) -> None:
        self.models = models
        self._weights, self._allow_fetch = weights, allow_fetch

    @classmethod
    def for_app(cls: type[AnyEditor], models: Mapping[str, Any], settings: Settings) -> AnyEditor:
        """An editor with the app's settings."""
        return cls(models, weights=settings.weights, allow_fetch=not settings.offline)

    def find_faces(self, picture: Image.Image) -> list[Face]:
        """All faces, largest first. Raises NoFaceFound or FaceTooSmall."""
        from gan_core.faces import find_faces

        return find_faces(picture, allow_fetch=self._allow_fetch, weights=self._weights)

    def largest_face(self, picture: Image.Image) -> tuple[Face, str]:
        """The largest face, and a sentence for a person where there are others. Raises NoFaceFound or FaceTooSmall."""
        faces = self.find_faces(picture)
        return faces[0], f"The largest of {len(faces)} faces is taken." if len(faces) > 1 else ""
