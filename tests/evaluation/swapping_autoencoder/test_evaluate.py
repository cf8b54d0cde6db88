"""What the evaluation measures, where the answer is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from gan_core.errors import BadImage
from gan_core.evaluation.swapping_autoencoder import evaluate, mesh
from gan_core.stylegan2 import Generator
from gan_core.swapping_autoencoder.pipeline import Codes


class Copier:
    """A pipeline that puts the texture's mean colour on the structure's picture."""

    device = torch.device("cpu")

    def __init__(self, share: float = 1.0) -> None:
        self.share = share

    def encode(self, image: torch.Tensor) -> Codes:
        return Codes(image, image.mean((2, 3), keepdim=True), tuple(image.shape[-2:]))

    def draw(self, first: Codes, others: list[Codes] = (), mixture: object = None) -> torch.Tensor:
        if not others:
            return first.structure
        return first.structure + self.share * (others[0].texture - first.texture)


def test_histogram_distance() -> None:
    grey, white = torch.zeros(1, 3, 16, 16), torch.ones(1, 3, 8, 24)
    assert evaluate.histogram_distance(grey, grey[:, :, :4]) == 0
    assert evaluate.histogram_distance(grey, white) == pytest.approx(0.5, abs=0.02)
    assert evaluate.histogram_distance(-white, white) == pytest.approx(1, abs=0.02)
    ramp = torch.linspace(-1, 1, 64).expand(1, 3, 64, 64)
    assert evaluate.histogram_distance(ramp, ramp.flip(3)) == 0


def test_swaps_are_measured() -> None:
    torch.manual_seed(0)
    levels = torch.linspace(-0.7, 0.7, 8)[:, None, None, None]
    pictures = levels + 0.1 * torch.randn(8, 3, 32, 32)

    def landmarks(image: torch.Tensor) -> tuple[np.ndarray, float]:
        return np.full((5, 2), image.mean().item()), 2.0

    full = evaluate.measure_swaps(Copier(), pictures, 20, landmarks)
    half = evaluate.measure_swaps(Copier(0.5), pictures, 20, landmarks)
    assert full["psnr"] > 60 and full["histogram_ratio"] < 0.1 and full["sliced_colour_ratio"] < 0.1
    assert half["histogram_ratio"] == pytest.approx(0.5, abs=0.1)
    assert half["landmarks_moved"] == pytest.approx(full["landmarks_moved"] / 2, rel=1e-3)
    assert full["landmarks_moved_reconstruction"] == 0 and full["faces_lost"] == 0
    blind = evaluate.measure_swaps(Copier(), pictures, 3, lambda image: None)
    assert "landmarks_moved" not in blind


def test_written_pairs_are_measured_by_another_mesh(tmp_path: Path) -> None:
    torch.manual_seed(0)
    evaluate.measure_swaps(Copier(), torch.randn(3, 3, 16, 16) / 3, 4, None, write=tmp_path)
    assert len(list(tmp_path.glob("*.png"))) == 16
    square = np.array([[0.0, 0], [10, 0], [10, 40], [0, 40]])  # 20 pixels large
    shift = {"structure": 0, "swap": 2, "reconstruction": 1}

    def points(path: Path) -> np.ndarray | None:
        number, kind = path.stem.split("_")
        return None if path.stem == "002_swap" else square + (shift[kind], 0)

    found = mesh.measure(tmp_path, points)
    assert found["swap"] == pytest.approx(0.1) and found["reconstruction"] == pytest.approx(0.05)
    assert found["swap_pictures"] == 3 and found["swap_lost"] == 1 and found["reconstruction_lost"] == 0
    with pytest.raises(BadImage, match="no face"):
        mesh.measure(tmp_path, lambda path: None)


def test_speed_and_sheet() -> None:
    generator = Generator(32, z_dim=8, w_dim=8, mapping_layers=1, channel_base=128, channel_max=8)
    faces = evaluate.generated_faces(generator, [1, 2])
    assert faces.shape == (2, 3, 32, 32) and not torch.equal(faces[0], faces[1])
    assert torch.allclose(evaluate.generated_faces(generator, [2])[0], faces[1], atol=1e-4)
    speed = evaluate.measure_speed(Copier(), generator, faces[:1], 5)
    assert speed["times_faster"] == pytest.approx(speed["optimisation_s"] / speed["encode_ms"] * 1e3)
    assert speed["optimisation_steps"] == 5
    sheet = evaluate.swap_sheet(Copier(), faces)
    assert sheet.shape == (9, 3, 32, 32) and sheet[0].min() == 1
    assert torch.equal(sheet[1], faces[0]) and torch.equal(sheet[3], faces[0])
    assert sheet[5].mean((1, 2)).tolist() == pytest.approx(faces[1].mean((1, 2)).tolist(), abs=1e-5)
