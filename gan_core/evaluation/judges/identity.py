"""Identity: dlib's face recognition network (King, 2017; trained on 3 million faces; public domain).

Needs `pip install dlib-bin face-recognition-models` (or `dlib`, which compiles). The second package is only looked into
for its files: importing it needs pkg_resources, which newer setuptools no longer have.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gan_core.errors import NotInstalled

INSTALL = "Identity is not judged: pip install dlib-bin face-recognition-models."
# Where dlib's own detector finds faces in FFHQ-aligned pictures, on average over 98; shares of the side. With this box
# the network parts people as well as with a detected one, and an edit cannot make the detector lose the face.
BOX = (0.192, 0.305, 0.766, 0.883)


class DlibIdentity:
    """Descriptors by dlib, of length about 1.4."""

    name = "dlib's face recognition network (dlib_face_recognition_resnet_model_v1)"

    def __init__(self) -> None:
        """Raises NotInstalled."""
        try:
            import dlib
        except ImportError as error:
            raise NotInstalled(INSTALL) from error
        package = importlib.util.find_spec("face_recognition_models")
        if package is None or package.origin is None:
            raise NotInstalled(INSTALL)
        models = Path(package.origin).parent / "models"
        self._box = dlib.rectangle
        self._points = dlib.shape_predictor(str(models / "shape_predictor_5_face_landmarks.dat"))
        self._network = dlib.face_recognition_model_v1(str(models / "dlib_face_recognition_resnet_model_v1.dat"))

    def describe(self, images: Tensor) -> Tensor:
        """(N, 128) of aligned pictures, uint8 (N, 3, R, R)."""
        box = self._box(*(round(share * images.shape[-1]) for share in BOX))
        found = []
        for picture in images.permute(0, 2, 3, 1).contiguous().numpy():
            found.append(np.array(self._network.compute_face_descriptor(picture, self._points(picture, box), 0)))
        return torch.from_numpy(np.stack(found)).float()
