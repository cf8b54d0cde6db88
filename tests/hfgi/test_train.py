"""HFGI's trainer from end to end at a tiny size, and the pieces it trains with."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gan_core.checkpoints import store
from gan_core.hfgi import stages, train
from gan_core.hfgi.data import is_held_out, jitter, random_perspective
from gan_core.hfgi.losses import FeatureDistance, LatentPrior
from gan_core.stylegan2 import Discriminator, Generator


def test_jitter_and_perspective() -> None:
    torch.manual_seed(0)
    images = torch.rand(4, 3, 32, 32) * 2 - 1
    assert torch.allclose(jitter(images, share=0.0), images, atol=1e-6)
    moved = jitter(images, share=1.0)
    assert moved.shape == images.shape and moved.abs().max() <= 1 and not torch.allclose(moved, images, atol=0.1)
    assert torch.allclose(random_perspective(images, scale=0.0), images, atol=1e-4)
    # a map that is one everywhere stays one inside; only the border can fall outside
    seen = random_perspective(torch.ones(8, 1, 64, 64), scale=0.15, share=1.0)
    assert torch.allclose(seen[:, :, 8:-8, 8:-8], torch.ones(()), atol=1e-5) and seen.min() < 1
    # straight lines stay straight: a ramp keeps zero second differences only up to the perspective division
    ramp = torch.linspace(-1, 1, 64).expand(1, 1, 64, 64)
    bent = random_perspective(ramp, scale=0.1, share=1.0)[0, 0, 20:44, 20:44]
    assert bent.diff(dim=1).min() > 0


def test_feature_distance_and_prior() -> None:
    torch.manual_seed(0)
    image = torch.rand(2, 3, 64, 64) * 2 - 1
    for net in (None, Discriminator(64, channel_base=512, channel_max=16)):
        distance = FeatureDistance(net)
        near = distance(image + 0.01 * torch.randn_like(image), image)
        assert distance(image, image) < 1e-6 < near < distance(image.flip(0), image)
    generator = Generator(8, z_dim=16, w_dim=16, mapping_layers=2, channel_base=64, channel_max=8)
    prior = LatentPrior(generator, 4000)
    own = prior(generator.mapping(torch.randn(2000, 16))[:, None])
    assert 0.8 < own < 1.2
    assert prior(5 * torch.randn(100, 3, 16)) > 3


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Smooth random portraits, half of them of held-out people, and tiny networks."""
    tiny = {"stem": 8, "stages": ((8, 1), (8, 1), (12, 1), (16, 1)), "head": 8}
    monkeypatch.setattr(stages, "SMALL_ENCODER", tiny)
    monkeypatch.setattr(stages, "SMALL_ALIGNMENT", {"widths": (4, 6, 8, 8), "blocks": 2})
    monkeypatch.setattr(stages, "SMALL_CONSULTATION", {"widths": (4, 6, 8), "blocks": 1})
    names = [f"p{i}" for i in range(200)]
    people = [n for n in names if is_held_out(n)][:2] + [n for n in names if not is_held_out(n)][:4]
    draw = np.random.RandomState(0)
    for person in people:
        low = Image.fromarray(draw.randint(0, 255, (6, 6, 3), dtype=np.uint8))
        (tmp_path / "face").mkdir(exist_ok=True)
        low.resize((64, 64), Image.Resampling.BICUBIC).save(tmp_path / "face" / f"x_{person}.png")
    torch.manual_seed(0)
    shape = {"channel_base": 512, "channel_max": 16}
    generator = Generator(64, z_dim=16, w_dim=16, mapping_layers=2, **shape)
    discriminator = Discriminator(64, **shape)
    for name, net in (("generator", generator), ("discriminator", discriminator)):
        config = {**net.config, "training": {"note": "none"}}
        store.save(tmp_path / f"{name}.safetensors", net.state_dict(), config=config)
    return tmp_path


def run(folder: Path, monkeypatch: pytest.MonkeyPatch, stage: str, minutes: float, *extra: str) -> list[dict]:
    words = f"train --stage {stage} --data {folder} --out {folder}/out --minutes {minutes} --batch 4 "
    words += f"--generator {folder}/generator.safetensors --discriminator {folder}/discriminator.safetensors "
    words += "--device cpu --log-seconds 2 --save-seconds 1"
    monkeypatch.setattr(sys, "argv", [*words.split(), *extra])
    train.main()
    return [json.loads(line) for line in (folder / "out" / "log.jsonl").read_text().splitlines()]


def test_both_stages(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = run(workplace, monkeypatch, "encoder", 0.08)
    out = workplace / "out"
    tensors, config = store.read(out / "encoder.safetensors")
    assert tensors["latent_avg"].shape == (10, 16) and config["_training"]["steps"] > 1
    assert facts[-1]["stage"] == "encoder" and {"mse", "psnr", "l2", "prior", "known"} <= facts[-1].keys()

    lines = len(run(workplace, monkeypatch, "encoder", 0.05))  # its time is up already: nothing more is done
    assert lines == len(facts)

    facts = run(workplace, monkeypatch, "consultation", 0.08)
    last = facts[-1]
    assert last["stage"] == "consultation" and {"mse_plain", "ratio", "align"} <= last.keys()
    # a few steps from a start that changes nothing: still near the plain inversion
    assert 0.5 < last["ratio"] < 1.5 and all(np.isfinite(v) for v in last.values() if isinstance(v, float))
    for name in ("alignment", "consultation"):
        assert store.read(out / f"{name}.safetensors")[1]["_training"]["settings"]["batch"] == 4
    assert list(out.glob("recon_consultation_*.png")) and not list(out.glob("*.part"))
