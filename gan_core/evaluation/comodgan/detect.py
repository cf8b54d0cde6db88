"""The share of a folder's pictures in which an independent face detector finds a face.

    python -m gan_core.evaluation.comodgan.detect FOLDER

Reads the pictures of `evaluate faces`. Needs MediaPipe with its face detection (`pip install mediapipe==0.10.14`, best
in an environment of its own) and neither torch nor weights.
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

Finder = Callable[["np.ndarray"], float]


def share_with_face(folder: Path, finder: Finder, *, least: float = 0.5) -> dict[str, object]:
    """Number of pictures, the share of them with a face of at least the confidence `least`, and the names of the
    others.

    Raises BadImage if there are no pictures.
    """
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".png", ".jpg"))
    if not paths:
        raise BadImage(f"There are no pictures in {folder}.")
    without = []
    for path in paths:
        with Image.open(path) as picture:
            if finder(np.asarray(picture.convert("RGB"))) < least:
                without.append(path.name)
    return {"pictures": len(paths), "with_face": round(1 - len(without) / len(paths), 4), "without": without}


def mediapipe_finder() -> Finder:
    """MediaPipe's face detection: its confidence, 0 without a face. Raises WeightsMissing where it is not installed."""
    try:
        from mediapipe.python.solutions.face_detection import FaceDetection
    except ImportError as error:
        raise WeightsMissing("MediaPipe is not installed: pip install mediapipe==0.10.14") from error
    detection = FaceDetection(model_selection=0, min_detection_confidence=0.1)

    def confidence(pixels: np.ndarray) -> float:
        found = detection.process(pixels).detections
        return max((one.score[0] for one in found), default=0.0) if found else 0.0

    return confidence


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    args = parser.parse_args()
    sys.stdout.write(json.dumps(share_with_face(args.folder, mediapipe_finder()), indent=1) + "\n")


if __name__ == "__main__":
    try:
        main()
    except StudioError as error:
        raise SystemExit(str(error)) from error
