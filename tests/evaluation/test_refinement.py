"""What the measurement of refining compares, on networks that were never trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gan_core.evaluation.refinement import compare, load_judges, read_faces
from tests.gan_core.hfgi.test_refine import SETTINGS, SIZE, a_face, pipe  # noqa: F401
from weights.catalogue import FOLDER


def test_before_and_after(pipe) -> None:  # noqa: F811
    faces = torch.cat([a_face(0), a_face(1)])
    means, rows = compare(pipe, faces, load_judges(FOLDER), SETTINGS)
    before, after = means["before"], means["after"]
    assert before.keys() == after.keys() and all(np.isfinite(list(after.values())))
    assert {"psnr_plain", "psnr_consulted", "identity_plain", "smile+3_moved", "age-3_change"} <= before.keys()
    assert after["psnr_plain"] > before["psnr_plain"] + 0.1 and after["megabytes"] > before["megabytes"]
    assert rows.shape == (2 * 2 * 6, 3, SIZE, SIZE), "the pipeline has no slider for the pose"
    assert torch.equal(rows[0], faces[0]) and torch.equal(rows[6], faces[0]) and torch.equal(rows[12], faces[1])


def test_faces_are_spread_over_the_folder(tmp_path: Path) -> None:
    for i in range(10):
        Image.new("RGB", (32, 32), (10 * i, 0, 0)).save(tmp_path / f"{i}.png")
    faces = read_faces([tmp_path], 5, 16)
    assert faces.shape == (5, 3, 16, 16)
    assert [round((face[0, 0, 0].item() + 1) * 127.5) for face in faces] == [0, 20, 40, 60, 80]
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="no pictures"):
        read_faces([tmp_path / "empty"], 5, 16)
