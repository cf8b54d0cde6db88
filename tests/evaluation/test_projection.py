"""Projection into w+: it finds what the generator can draw, and says how close it came."""

import json
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from gan_core.checkpoints import store
from gan_core.evaluation import projection
from gan_core.evaluation.metrics.psnr import psnr
from gan_core.features import PerceptualDistance
from gan_core.stylegan2 import Generator
from gan_core.training.people import is_held_out
from tests.training.test_projected import random_features

TINY = {"z_dim": 8, "w_dim": 8, "mapping_layers": 2, "channel_base": 256, "channel_max": 16}


def generator() -> Generator:
    net = Generator(32, **TINY).eval()
    net.mapping.estimate_average(200)
    return net


def test_a_picture_of_the_generator_is_found_again() -> None:
    net = generator()
    with torch.no_grad():
        photos = net(torch.randn(2, 8), psi=0.7, noise="none").clamp(-1, 1)
    start = net.synthesis(net.mapping.w_avg.expand(2, net.num_ws, -1), noise="none").clamp(-1, 1)
    found, w_plus = projection.project(net, photos, PerceptualDistance(random_features()), steps=60)
    assert w_plus.shape == (2, net.num_ws, 8)
    assert (psnr(found, photos) > psnr(start, photos) + 6).all()


def test_learning_rate_rises_and_falls() -> None:
    rates = [projection.rate_at(i / 100) for i in range(1, 101)]
    assert rates[0] < rates[4] == pytest.approx(1) == rates[70]
    assert rates[80] > rates[95] > rates[-1] == 0


def test_command_projects_people_who_are_held_out(tmp_path, monkeypatch) -> None:
    names = [f"p{i:03d}" for i in range(40)]
    rng = np.random.default_rng(0)
    (tmp_path / "people" / "varied").mkdir(parents=True)
    for name in names:
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8)).save(tmp_path / "people/varied" / f"{name}.webp")
    net = generator()
    store.save(tmp_path / "g.safetensors", net.state_dict(), config=net.config)
    monkeypatch.setattr(projection, "load_features", random_features)
    flags = ["--people", tmp_path / "people", "--collections", "varied", "--each", 2, "--steps", 2, "--out"]
    command = ["projection", "--generator", f"tiny={tmp_path / 'g.safetensors'}", *flags, tmp_path / "out"]
    monkeypatch.setattr(sys, "argv", [str(word) for word in command])
    projection.main()
    scores = json.loads((tmp_path / "out/scores.json").read_text())["tiny"]
    assert len(scores["psnr"]) == 2
    assert all(is_held_out("varied", stem.removeprefix("varied/")) for stem in scores["psnr"])
    with Image.open(tmp_path / "out/projections.jpg") as sheet:
        assert sheet.size == (64, 64)
