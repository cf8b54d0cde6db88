"""Scores of a generator of people, at its own resolution."""

import json
import sys

import numpy as np
import pytest
from PIL import Image

from gan_core.checkpoints import store
from gan_core.errors import BadValue
from gan_core.evaluation import generator as scoring
from gan_core.stylegan2 import Generator
from tests.training.test_projected import random_features

TINY = {"z_dim": 8, "w_dim": 8, "mapping_layers": 2, "channel_base": 256, "channel_max": 16}


@pytest.fixture
def command(tmp_path, monkeypatch):
    """Runs the command over generators of these resolutions and returns the lines of its report."""
    rng = np.random.default_rng(0)
    (tmp_path / "people/varied").mkdir(parents=True)
    for i in range(40):
        pixels = rng.integers(0, 256, (64, 64, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "people/varied" / f"p{i:03d}.webp", lossless=True)
    monkeypatch.setattr(scoring, "load_features", random_features)

    def run(*resolutions: int, capsys, start_shape=(4, 4), data=("--people", "people", "--shares", "varied=1")):
        files = []
        for i, resolution in enumerate(resolutions):
            net = Generator(resolution, **TINY, start_shape=start_shape)
            files.append(str(tmp_path / f"{i}.safetensors"))
            store.save(tmp_path / f"{i}.safetensors", net.state_dict(), config=net.config)
        flags = [data[0], str(tmp_path / data[1]), *data[2:], "--count", "100", "--reals", "200"]
        monkeypatch.setattr(sys, "argv", ["generator", "--generator", *files, *flags])
        scoring.main()
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return run


def test_other_training_pictures_score_better_than_an_untrained_generator(command, capsys) -> None:
    floor, scores = command(32, capsys=capsys)
    assert floor["frechet"] < scores["frechet"] and floor["swd"] < scores["swd"]


def test_generators_of_two_resolutions_are_refused(command, capsys) -> None:
    with pytest.raises(BadValue, match="one size"):
        command(32, 64, capsys=capsys)


def test_tall_pictures_of_a_folder_are_scored_too(command, capsys) -> None:
    floor, scores = command(32, capsys=capsys, start_shape=(8, 4), data=("--data", "people"))
    assert floor["frechet"] < scores["frechet"] and scores["nearest_training_picture"] > 0
