"""What the model card says is measured on the right pixels, pairs and networks."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from gan_core.benchmarks import comodgan as bench
from gan_core.comodgan.pipeline import CoModGANPipeline
from gan_core.errors import BadImage
from gan_core.evaluation.comodgan.bins import BINS, features_by_hole, holes_of_bin
from gan_core.evaluation.comodgan.detect import share_with_face
from gan_core.evaluation.comodgan.evaluate import diversity, drawing_grid, grid, hide_faces
from gan_core.evaluation.metrics.scores import rounded
from tests.gan_core.comodgan.test_pipeline import calm, generator


def pictures(count: int) -> torch.Tensor:
    return rounded(torch.rand(count, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1)


def test_rows_are_pairs_and_bins_are_hole_sizes() -> None:
    nets = {"a": calm(), "b": calm()}
    some = pictures(2)
    rows = features_by_hole(nets, some, lambda x: x.flatten(1), each=2, plain=("b",), batch=4)
    assert rows["real"].shape == (4, 3 * 32 * 32) and rows["a"].shape == rows["b"].shape == (BINS, 4, 3 * 32 * 32)
    assert np.array_equal(rows["real"][:2], rows["real"][2:]) and np.array_equal(rows["real"][:2], some.flatten(1))
    for index in range(BINS):
        holes = holes_of_bin(index, 4, 32)
        assert index / BINS - 0.01 <= holes.mean() <= (index + 1) / BINS + 0.01
        known = (holes == 0).expand(-1, 3, -1, -1).flatten(1).numpy()
        for name in nets:
            assert np.array_equal(rows[name][index][known], rows["real"][known]), "known pixels are the real ones"
    # The baseline has one answer: the same picture with the same hole gives the same row.
    again = features_by_hole({"b": nets["b"]}, some, lambda x: x.flatten(1), each=2, plain=("b",), batch=2)
    assert np.abs(again["b"] - rows["b"]).max() < 0.02


def test_diversity_is_of_the_hidden_half() -> None:
    found = diversity(CoModGANPipeline(calm()), pictures(4), samples=2)
    assert found["known_pixels_changed_by"] == 0 and 0 < found["least"] <= found["diversity"] < 1


def test_faces_grid_and_share(tmp_path) -> None:
    net = CoModGANPipeline(calm())
    assert hide_faces(net, pictures(2), tmp_path / "faces") == 4
    lights = {}

    def finder(pixels: np.ndarray) -> float:
        lights[len(lights)] = pixels.shape
        return 0.9 if len(lights) % 2 else 0.2

    found = share_with_face(tmp_path / "faces", finder)
    assert found["pictures"] == 4 and found["with_face"] == 0.5 and found["without"] == ["000_1.png", "001_1.png"]
    assert set(lights.values()) == {(32, 32, 3)}
    with pytest.raises(BadImage, match="no pictures"):
        share_with_face(tmp_path / "nothing", finder)
    grid(net, pictures(6), tmp_path / "grid.jpg", columns=2)
    assert Image.open(tmp_path / "grid.jpg").size == (9 * 32, 8 * 32)


def test_drawings_stand_before_their_portraits(tmp_path) -> None:
    some = torch.full((3, 3, 64, 64), -0.8)
    some[:, :, :, 33:] = 0.8  # one edge down the middle
    drawing_grid(CoModGANPipeline(generator(64, in_channels=1)), some, tmp_path / "grid.jpg")
    shown = np.asarray(Image.open(tmp_path / "grid.jpg").convert("L"), int)
    assert shown.shape == (64, 12 * 64)
    for i in range(3):
        drawing = shown[:, 256 * i : 256 * i + 64]
        assert drawing[16:48, 28:38].min() < 90 and drawing[:, :16].min() > 160, "a black line on white"


def test_bench_runs(capsys, monkeypatch) -> None:
    monkeypatch.setattr(bench, "pipeline_of", lambda device, resolution: CoModGANPipeline(calm(), framing="any"))
    monkeypatch.setattr("sys.argv", ["bench", "--device", "cpu", "--repeats", "2", "--threads", "1"])
    threads = torch.get_num_threads()
    bench.main()
    torch.set_num_threads(threads)
    found = json.loads(capsys.readouterr().out)
    assert found["all_ms"][1] <= found["all_ms"][0] <= found["all_ms"][2] and found["resolution"] == 32
