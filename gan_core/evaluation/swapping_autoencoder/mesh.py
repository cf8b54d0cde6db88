"""Displacement of faces by swaps, measured by an independent face mesh.

    python -m gan_core.evaluation.swapping_autoencoder.mesh

Reads the pictures of `evaluate --write FOLDER`: NAME_structure.png and NAME_swap.png (or NAME_reconstruction.png).
Needs MediaPipe with its face mesh (`pip install mediapipe==0.10.14`, best in an environment of its own) and neither
torch nor weights.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from gan_core.errors import BadImage, StudioError, WeightsMissing

KINDS = ("swap", "reconstruction")
Mesh = Callable[[Path], "np.ndarray | None"]


def displacement(before: np.ndarray, after: np.ndarray) -> float:
    """Mean distance of points (N, 2) in shares of the face's size, the geometric mean of the sides of their box."""
    size = float(np.sqrt(np.prod(np.ptp(before, axis=0))))
    return float(np.linalg.norm(after - before, axis=1).mean() / size)


def measure(folder: Path, mesh: Mesh) -> dict[str, float]:
    """Displacements over all pictures of a folder: mean and 90th percentile of each kind, and faces lost.

    Raises BadImage if there is nothing to measure.
    """
    result: dict[str, float] = {}
    for kind in KINDS:
        moved, lost = [], 0
        for path in sorted(folder.glob(f"*_{kind}.png")):
            before, after = mesh(path.with_name(path.name.replace(f"_{kind}", "_structure"))), mesh(path)
            if before is not None and after is not None:
                moved.append(displacement(before, after))
            else:
                lost += before is not None
        if moved:
            result |= {kind: float(np.mean(moved)), f"{kind}_p90": float(np.quantile(moved, 0.9))}
            result |= {f"{kind}_pictures": len(moved), f"{kind}_lost": lost}
    if not result:
        raise BadImage(f"There is no face to compare in {folder}.")
    return result


def mediapipe_mesh() -> Mesh:
    """MediaPipe's face mesh: 468 points in pixels. Raises WeightsMissing where it is not installed."""
    try:
        from mediapipe.python.solutions.face_mesh import FaceMesh
    except ImportError as error:
        raise WeightsMissing("MediaPipe's face mesh is not installed: pip install mediapipe==0.10.14") from error
    mesh = FaceMesh(static_image_mode=True, max_num_faces=1, min_detection_confidence=0.3)

    def points(path: Path) -> np.ndarray | None:
        with Image.open(path) as picture:
            pixels = np.asarray(picture.convert("RGB"))
        found = mesh.process(pixels).multi_face_landmarks
        if not found:
            return None
        height, width = pixels.shape[:2]
        return np.array([(point.x * width, point.y * height) for point in found[0].landmark])

    return points


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    args = parser.parse_args()
    found = measure(args.folder, mediapipe_mesh())
    sys.stdout.write(json.dumps({k: round(v, 4) for k, v in found.items()}, indent=1) + "\n")


if __name__ == "__main__":
    try:
        main()
    except StudioError as error:
        raise SystemExit(str(error)) from error
