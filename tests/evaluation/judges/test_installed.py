"""Judges that other packages bring: what they are given and asked, by stand-ins for these packages."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch

from gan_core.errors import NotInstalled
from gan_core.evaluation.judges import mesh_points
from gan_core.evaluation.judges.identity import DlibIdentity
from gan_core.evaluation.judges.mesh import MeshJudge
from gan_core.training.hfgi.measures import mesh_measures

# A Python that seems to have mediapipe.
STAND_IN = '#!/bin/sh\n[ "$2" = "-c" ] && exit 0\nexec {python} "$@"\n'


@pytest.fixture
def python(tmp_path: Path) -> Path:
    path = tmp_path / "python"
    path.write_text(STAND_IN.format(python=sys.executable))
    path.chmod(0o755)
    return path


def test_identity_without_dlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dlib", None)
    with pytest.raises(NotInstalled, match="pip install dlib-bin face-recognition-models"):
        DlibIdentity()


def test_identity_by_dlib(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[tuple] = []

    def network(picture: np.ndarray, shape: object, jitters: int) -> list[float]:
        asked.append((picture.shape, picture.dtype, shape, jitters))
        return [float(picture.mean())] * 128

    dlib = ModuleType("dlib")
    dlib.rectangle = lambda *sides: sides  # type: ignore[attr-defined]
    dlib.shape_predictor = lambda path: lambda picture, box: (Path(path).name, box)  # type: ignore[attr-defined]
    dlib.face_recognition_model_v1 = lambda path: SimpleNamespace(compute_face_descriptor=network)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "dlib", dlib)
    (tmp_path / "face_recognition_models").mkdir()
    (tmp_path / "face_recognition_models" / "__init__.py").write_text("raise ImportError('no pkg_resources')")
    monkeypatch.syspath_prepend(str(tmp_path))
    images = torch.stack([torch.full((3, 128, 128), grey, dtype=torch.uint8) for grey in (10, 20)])
    found = DlibIdentity().describe(images)
    assert found.shape == (2, 128) and found[:, 0].tolist() == [10, 20]
    shape, dtype, (predictor, (left, top, right, bottom)), _ = asked[0]
    assert shape == (128, 128, 3) and dtype == np.uint8 and predictor == "shape_predictor_5_face_landmarks.dat"
    assert 0 < left < 64 < right < 128 and 0 < top < 64 < bottom < 128


def test_points_are_in_pixels_and_missing_faces_have_none() -> None:
    face = SimpleNamespace(landmark=[SimpleNamespace(x=0.5, y=0.25)] * mesh_points.POINTS)
    answers = iter([SimpleNamespace(multi_face_landmarks=[face]), SimpleNamespace(multi_face_landmarks=None)])
    found = mesh_points.points(np.zeros((2, 40, 80, 3), np.uint8), lambda _: next(answers))
    assert found.shape == (2, 478, 2) and found[0, 7].tolist() == [40, 10] and np.isnan(found[1]).all()


def test_mesh_by_another_python(python: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    points = rng.uniform(0, 256, (3, mesh_points.POINTS, 2)).astype(np.float32)
    points[2] = np.nan
    np.save(tmp_path / "known.npy", points)
    script = tmp_path / "script.py"
    script.write_text(
        "import shutil, sys\nimport numpy as np\n"
        "assert np.load(sys.argv[1]).shape == (3, 64, 64, 3) and np.load(sys.argv[1]).dtype == np.uint8\n"
        f"shutil.copy({str(tmp_path / 'known.npy')!r}, sys.argv[2])\n"
    )
    found = MeshJudge(python, script).measure(torch.zeros(3, 3, 64, 64, dtype=torch.uint8))
    want = mesh_measures({i: torch.from_numpy(points[:, i]) for i in range(mesh_points.POINTS)})
    assert found.keys() == set(MeshJudge.measures)
    for name, value in found.items():
        assert torch.equal(value[:2], want[name][:2]) and bool(value[2].isnan())


def test_mesh_that_is_missing_or_fails(python: Path, tmp_path: Path) -> None:
    for given in (None, tmp_path / "nothing"):
        with pytest.raises(NotInstalled, match="pip install mediapipe==0.10.14"):
            MeshJudge(given)
    script = tmp_path / "script.py"
    script.write_text("raise SystemExit('no such model')")
    with pytest.raises(NotInstalled, match="no such model"):
        MeshJudge(python, script).measure(torch.zeros(1, 3, 64, 64, dtype=torch.uint8))
