"""What a direction of a visitor's own needs of "Edit at the edges": the latents of photos and of random faces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PIL import Image

from demo import gpu
from demo.gpu import Progress
from demo.parts.uploads import MAX_PIXELS, read_upload
from demo.self_conditioned import tasks
from demo.self_conditioned.editor import MIN_SIDE, Editor
from demo.session import Session
from gan_core.images import open_image

if TYPE_CHECKING:
    import torch


class EdgeDirections:
    """A `demo.parts.direction_panel.DirectionMaker`."""

    def __init__(self, editor: Editor) -> None:
        self._editor = editor

    def registry_name(self, model: str) -> str:
        """Name of a choice of weights in the registry."""
        return self._editor.model(model).model

    def photo_code(self, session: Session, model: str, path: str, progress: Progress | None = None) -> torch.Tensor:
        """The latents (1, num_ws, w_dim) of the largest face of a photo. Raises BadImage, NoFaceFound, FaceTooSmall."""
        choice = self._editor.model(model)
        crop, _ = self._editor.cut(
            open_image(read_upload(session, path), max_pixels=MAX_PIXELS, min_side=MIN_SIDE), choice.resolution
        )
        return gpu.run(tasks.encode(choice.model, crop), progress)

    def random_faces(self, model: str, seeds: Sequence[int]) -> list[tuple[torch.Tensor, Image.Image]]:
        """Latents and pictures of random faces."""
        return gpu.run(tasks.random_codes(self._editor.model(model).model, list(seeds)))
