"""Faces: find them in a photo, cut them out with FFHQ's alignment, and paste them back without a seam.

face = find_faces(photo)[0]
aligned = align(photo, face, size=256)
result = paste_back(photo, aligned, edit(aligned.crop))
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from gan_core.errors import BadValue, FaceTooSmall, NoFaceFound, StudioError, WeightsMissing
from gan_core.faces.alignment import SMALLEST_QUAD, AlignedFace, align
from gan_core.faces.geometry import Face, face_from_points, ffhq_quad, quad_side
from gan_core.faces.paste import paste_back

if TYPE_CHECKING:  # torch is loaded when the first photo is read, not when the page starts
    from gan_core.faces.finder import FaceFinder

logger = logging.getLogger(__name__)

BACKENDS = ("auto", "embedded", "facexlib")
__all__ = [
    "BACKENDS",
    "AlignedFace",
    "Face",
    "align",
    "face_from_points",
    "ffhq_quad",
    "find_faces",
    "paste_back",
]


def find_faces(
    image: Image.Image,
    *,
    backend: str = "auto",
    allow_fetch: bool = False,
    weights: Path | None = None,
    device: str = "cpu",
) -> list[Face]:
    """All faces of a photo that are large enough to edit, largest first.

    backend: "embedded" (the project's own finder), "facexlib" (RetinaFace), or "auto": facexlib where its
    weights are on this machine or `allow_fetch` lets them be fetched, else embedded. weights: one more
    folder to look for facexlib's weights in. Points are set by the project's refiner in every case. Raises
    NoFaceFound, FaceTooSmall (all faces under about 40 pixels of width), BadValue (unknown backend),
    WeightsMissing and BadCheckpoint (the backend is "facexlib" and it is not available).
    """
    if backend not in BACKENDS:
        raise BadValue(f"There is no face finder {backend!r}; there are {', '.join(BACKENDS)}.")
    photo = image if image.mode == "RGB" else image.convert("RGB")
    faces = None
    if backend != "embedded":
        faces = _with_facexlib(photo, backend, allow_fetch, weights, device)
    if faces is None:
        faces = _embedded(device).find(photo)
    if not faces:
        raise NoFaceFound("No face was found in this picture. Try another one.")
    large = [face for face in faces if quad_side(face) >= SMALLEST_QUAD]
    if not large:
        raise FaceTooSmall("The face is too small in this picture: use one where it is at least 40 pixels wide.")
    return large


def _embedded(device: str) -> FaceFinder:
    from gan_core.faces.finder import embedded_finder

    return embedded_finder(device=device)


def _with_facexlib(
    photo: Image.Image, backend: str, allow_fetch: bool, weights: Path | None, device: str
) -> list[Face] | None:
    """Faces by RetinaFace with points by the refiner; None if it is not available and was not chosen by name."""
    from gan_core.faces import facexlib_backend

    try:
        found = facexlib_backend.weights_present(weights)
        if found is None and allow_fetch:
            found = facexlib_backend.fetch_weights(weights)
        if found is None:
            if backend == "auto":
                return None
            raise WeightsMissing("facexlib's weights are not on this machine; its finder cannot be used.")
        faces = facexlib_backend.facexlib_finder(*found, device=device).find(photo)
    except StudioError as error:
        if backend == "facexlib":
            raise
        logger.warning("facexlib is left out: %s", error)
        return None
    try:
        refined = _embedded(device).refine(photo, faces)
    except StudioError as error:
        logger.warning("facexlib's own points are used: %s", error)
        return faces
    return refined
