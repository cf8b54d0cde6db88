"""What a direction of a visitor's own needs of "Edit a face": the latents of photos and of random faces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PIL import Image

from demo import gpu
from demo.gpu import Progress
from demo.hfgi import tasks
from demo.hfgi.editor import Editor
from demo.session import Session

if TYPE_CHECKING:
    import torch


class FaceDirections:
    """A `demo.parts.direction_panel.DirectionMaker`."""

    def __init__(self, editor: Editor) -> None:
        self._editor = editor

    def registry_name(self, model: str) -> str:
        """Name of a choice of weights in the registry."""
        return self._editor.model(model).model

    def photo_code(self, session: Session, model: str, path: str, progress: Progress | None = None) -> torch.Tensor:
        """The codes (1, num_ws, w_dim) of the largest face of a photo. Raises BadImage, NoFaceFound or FaceTooSmall."""
        choice, work = self._editor.model(model), self._editor.open(session, path, progress)
        return gpu.run(tasks.encode(choice.model, self._editor.align(work, choice).crop), progress)

    def random_faces(self, model: str, seeds: Sequence[int]) -> list[tuple[torch.Tensor, Image.Image]]:
        """Codes and pictures of random faces."""
        return gpu.run(tasks.random_faces(self._editor.model(model).model, list(seeds)))
