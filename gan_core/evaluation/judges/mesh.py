"""Turn of the head, mouth and eyes: MediaPipe's face mesh (Kartynnik et al., 2019), in an environment of its own.

mediapipe 0.10.14 asks for versions of other packages that this project does not, so it is called by the path to its
Python.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gan_core.errors import NotInstalled
from gan_core.evaluation.judges import mesh_points
from gan_core.training.hfgi.measures import mesh_measures

INSTALL = (
    "Turn, mouth and eyes are not judged: python -m venv MESH && MESH/bin/pip install mediapipe==0.10.14, then "
    "--mediapipe-python MESH/bin/python."
)


class MeshJudge:
    """`mesh_measures` by the points of MediaPipe's face mesh."""

    name = "MediaPipe's face mesh 0.10.14, with refined eyes and lips"
    measures: tuple[str, ...] = ("yaw_deg", "corner_lift", "mouth_open", "eye_open")

    def __init__(self, python: Path | None, script: Path = Path(mesh_points.__file__)) -> None:
        """python: of the environment with mediapipe. Raises NotInstalled where it does not import it."""
        if python is None:
            raise NotInstalled(INSTALL)
        self._command = [str(python), "-I", str(script)]  # -I: nothing of this environment may reach that one
        try:
            subprocess.run([str(python), "-I", "-c", "import mediapipe.python.solutions.face_mesh"], **_QUIET)
        except (OSError, subprocess.CalledProcessError) as error:
            raise NotInstalled(INSTALL) from error

    def measure(self, images: Tensor) -> dict[str, Tensor]:
        """As `MeasureJudge.measure`. Raises NotInstalled with what the other Python said where it fails."""
        with tempfile.TemporaryDirectory() as folder:
            given, found = Path(folder, "pictures.npy"), Path(folder, "points.npy")
            np.save(given, images.permute(0, 2, 3, 1).contiguous().numpy())
            try:
                subprocess.run([*self._command, str(given), str(found)], **_QUIET)
            except subprocess.CalledProcessError as error:
                raise NotInstalled(f"MediaPipe's face mesh failed: {error.stderr[-300:]}") from error
            points = torch.from_numpy(np.load(found))
        measures = mesh_measures({i: points[:, i] for i in range(points.shape[1])})
        return {name: measures[name] for name in self.measures}


_QUIET: dict = {"check": True, "capture_output": True, "text": True}
