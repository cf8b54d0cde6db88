"""facexlib's RetinaFace as a finder, where its weights are on this machine or may be fetched.

RetinaFace (Deng et al. 2020) finds far more faces than the project's own finder. Its five points are replaced by those
of the project's refiner, so that the alignment does not depend on the finder.
"""

from __future__ import annotations

import importlib.util
import logging
import threading
import warnings
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from gan_core.checkpoints.download import fetch_file
from gan_core.checkpoints.reader import read_tensors
from gan_core.errors import BadCheckpoint, WeightsMissing
from gan_core.faces.geometry import Face, face_from_five
from weights.published import PublishedFile, default_folder

log = logging.getLogger(__name__)

_RELEASE = "https://github.com/xinntao/facexlib/releases/download/v0.1.0"
# The light network comes first: on two CPU cores it reads a photo in 0.03 s, the other one in 0.6 s.
NETWORKS = {
    "mobile0.25": PublishedFile(
        "detection_mobilenet0.25_Final.pth",
        (f"{_RELEASE}/detection_mobilenet0.25_Final.pth",),
        sha256="2979b33ffafda5d74b6948cd7a5b9a7a62f62b949cef24e95fd15d2883a65220",
    ),
    "resnet50": PublishedFile(
        "detection_Resnet50_Final.pth",
        (f"{_RELEASE}/detection_Resnet50_Final.pth",),
        109_497_761,
        "6d1de9c2944f2ccddca5f5e010ea5ae64a39845a86311af6fdf30841b0a5a16d",
    ),
}
LONGEST = 640  # longer side that the photo is reduced to
SURE = 0.9  # least confidence of RetinaFace for a face


def weights_present(folder: Path | None = None) -> tuple[str, Path] | None:
    """The first network whose weights lie in `folder`, the published weights' folder or facexlib itself."""
    places = [folder, folder / "facexlib"] if folder is not None else []
    places.append(default_folder() / "facexlib")
    package = importlib.util.find_spec("facexlib")
    if package is None:
        return None
    if package.submodule_search_locations:
        places.append(Path(next(iter(package.submodule_search_locations))) / "weights")
    for name, entry in NETWORKS.items():
        for place in places:
            if (place / entry.file).is_file():
                return name, place / entry.file
    return None


def fetch_weights(folder: Path | None = None) -> tuple[str, Path]:
    """Download the light network's weights, checked. Raises WeightsMissing or BadCheckpoint."""
    entry = NETWORKS["mobile0.25"]
    path = (folder or default_folder() / "facexlib") / entry.file
    path.parent.mkdir(parents=True, exist_ok=True)
    return "mobile0.25", fetch_file(entry, path)


class FacexlibFinder:
    """RetinaFace in facexlib's form. Safe to share between threads."""

    def __init__(self, name: str, path: Path, device: str = "cpu") -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # facexlib calls torchvision in a deprecated way
            try:
                from facexlib.detection.retinaface import RetinaFace
            except ImportError as error:
                raise WeightsMissing("facexlib is not installed; install it with: pip install facexlib") from error

            self._network: Any = RetinaFace(network_name=name, half=False, device=torch.device(device))
        state = {key.removeprefix("module."): value for key, value in read_tensors(path).items()}
        try:
            self._network.load_state_dict(state, strict=True)
        except (RuntimeError, AttributeError, TypeError) as error:
            raise BadCheckpoint(f"{path.name} is not the face finder that facexlib publishes.") from error
        self._network.eval().requires_grad_(False)
        self._lock = threading.Lock()

    def find(self, image: Image.Image, *, accept: float = SURE) -> list[Face]:
        """All faces, largest first, with RetinaFace's own points."""
        photo = image.convert("RGB")
        scale = min(1.0, LONGEST / max(photo.size))
        size = (max(32, round(photo.width * scale)), max(32, round(photo.height * scale)))
        small = photo.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
        with self._lock, torch.inference_mode():
            rows = self._network.detect_faces(small, conf_threshold=accept)
        stretch = np.array([photo.width / size[0], photo.height / size[1]])
        faces = [face_from_five(row[5:15].reshape(5, 2).astype(np.float64) * stretch, float(row[4])) for row in rows]
        return sorted(faces, key=lambda face: -face.size)


@lru_cache(maxsize=1)
def facexlib_finder(name: str, path: Path, device: str = "cpu") -> FacexlibFinder:
    """The shared finder, loaded on first use."""
    return FacexlibFinder(name, path, device)
