"""Line drawings for the network: of what is painted, of an uploaded drawing, or the edges of a photo."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from demo.comodgan.editor import MIN_SIDE
from demo.parts.painting import PEN, layer_of, painted_strength
from demo.parts.uploads import MAX_PIXELS, read_upload
from demo.session import Session
from gan_core.errors import FaceTooSmall, NoFaceFound
from gan_core.images import open_image, to_tensor

if TYPE_CHECKING:
    from gan_core.faces import Face

CANVAS = 512  # pixels a side of what is drawn on
_PAPER, _WHITE = 0.6, 215  # a picture with more than this share of pixels at least this light, of 255, is a drawing


FindFaces = Callable[[Image.Image], list["Face"]]  # raises NoFaceFound or FaceTooSmall


def lines_of(session: Session, path: str | None, find: FindFaces) -> tuple[np.ndarray, str]:
    """The lines of a picture, (CANVAS, CANVAS) float32 from 0 to 1 (line), and a message on how they were made.

    A drawing on white (or transparent) paper is used as it is. In a photo the largest face is aligned as in the model's
    data, and its edges are drawn; without a face, those of the photo's middle. find: finds faces with the app's
    settings (`Editor.find_faces`). Raises BadImage.
    """
    data = read_upload(session, path)
    key = ("comodgan-lines", hashlib.sha256(data).hexdigest())
    found = session.recall(key)
    if found is None:
        picture = open_image(data, max_pixels=MAX_PIXELS, min_side=MIN_SIDE)
        found = _own_lines(picture) if is_drawing(picture) else _edges(picture, find)
        session.keep(key, found, found[0].nbytes)
    return found


def is_drawing(picture: Image.Image) -> bool:
    """Whether it is dark lines on white paper rather than a photo."""
    small = picture.convert("L").resize((128, 128), Image.Resampling.BOX)
    return bool((np.asarray(small) > _WHITE).mean() > _PAPER)


def painted_lines(layers: Sequence[str]) -> np.ndarray:
    """The lines painted on transparent layers, in the form of `lines_of`. Raises BadImage."""
    return _as_trained(layer_of(painted_strength(layers, (CANVAS, CANVAS)), PEN))


def _own_lines(picture: Image.Image) -> tuple[np.ndarray, str]:
    side = max(picture.size)
    paper = Image.new("RGB", (side, side), "white")
    paper.paste(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
    paper = paper.resize((CANVAS, CANVAS), Image.Resampling.LANCZOS, reducing_gap=3.0)
    return _as_trained(paper), "Your drawing's lines. Draw on, or erase."


def _as_trained(drawing: Image.Image) -> np.ndarray:
    """Lines as wide as those of the model's training."""
    from gan_core.comodgan.drawings import drawing_of

    return drawing_of(drawing)[0].numpy()


def _edges(picture: Image.Image, find: FindFaces) -> tuple[np.ndarray, str]:
    from gan_core.comodgan.edges import edges_of
    from gan_core.faces import align

    try:
        cut = align(picture, find(picture)[0], CANVAS).crop
        note = "The edges of the face. Draw on, or erase."
    except (NoFaceFound, FaceTooSmall):
        side = min(picture.size)
        left, top = (picture.width - side) // 2, (picture.height - side) // 2
        cut = picture.crop((left, top, left + side, top + side)).resize((CANVAS, CANVAS), Image.Resampling.LANCZOS)
        note = "No face was found, so these are the edges of the picture's middle."
    return edges_of(to_tensor(cut)[0])[0].numpy(), note
