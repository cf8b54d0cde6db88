"""Face-mesh points of pictures: run by the Python of another environment, by `mesh.py`.

    OTHER_PYTHON mesh_points.py PICTURES.npy POINTS.npy

PICTURES: uint8 (N, R, R, 3). POINTS: float32 (N, 478, 2) in pixels, NaN where no face is found. Needs mediapipe 0.10.14
and numpy, and nothing of this project.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np

POINTS = 478  # 468 of the mesh, 10 of the irises


def points(pictures: np.ndarray, process: Callable[[np.ndarray], object]) -> np.ndarray:
    """(N, 478, 2) pixels of pictures (N, R, R, 3), by the `process` of a mesh."""
    found = np.full((len(pictures), POINTS, 2), np.nan, np.float32)
    height, width = pictures.shape[1:3]
    for i, picture in enumerate(pictures):
        faces = process(picture).multi_face_landmarks  # type: ignore[attr-defined]
        if faces:
            found[i] = [(point.x * width, point.y * height) for point in faces[0].landmark]
    return found


def main() -> None:
    """Command line."""
    from mediapipe.python.solutions.face_mesh import FaceMesh

    mesh = FaceMesh(static_image_mode=True, max_num_faces=1, refine_landmarks=True, min_detection_confidence=0.3)
    np.save(sys.argv[2], points(np.load(sys.argv[1]), mesh.process))


if __name__ == "__main__":
    main()
