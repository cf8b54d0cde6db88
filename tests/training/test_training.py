"""The trainer's parts, and runs of it at toy size: they must learn, resume exactly, grow, and agree over processes."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gan_core.checkpoints import store
from gan_core.errors import BadImage
from gan_core.stylegan2 import Discriminator, Generator
from gan_core.training import distributed
from gan_core.training.augment import augment
from gan_core.training.data import load_pictures, person_of, random_batch, split_pictures
from gan_core.training.growing import FadingDiscriminator, complete, grow_generator
from gan_core.training.loop import train
from gan_core.training.objective import discriminator_loss, generator_loss, gradient_penalty
from gan_core.training.split import is_held_out
from gan_core.training.stylegan2.settings import GanSettings
from gan_core.training.stylegan2.step import GanTrainer

TINY = GanSettings(resolution=16, z_dim=8, w_dim=8, mapping_layers=2, channel_base=128, channel_max=16, batch=4)
ALONE = distributed.ProcessGroup(0, 1, torch.device("cpu"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Forty noisy pictures of forty people."""
    random = np.random.default_rng(0)
    (tmp_path / "pictures").mkdir()
    for i in range(40):
        pixels = random.integers(0, 256, (20, 24, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "pictures" / f"a_{i:03d}.png")
    return tmp_path / "pictures"


def test_split_keeps_a_person_on_one_side(folder: Path) -> None:
    training, held_out = split_pictures(folder)
    assert len(training) + len(held_out) == 40
    assert {person_of(p) for p in training}.isdisjoint(person_of(p) for p in held_out)
    share = sum(is_held_out(f"P{i:06d}") for i in range(4000)) / 4000
    assert 0.06 < share < 0.10
    with pytest.raises(BadImage, match="no pictures"):
        split_pictures(folder / "nothing")


def test_pictures_are_cut_square_and_mirrored_at_random(folder: Path) -> None:
    pictures = load_pictures(split_pictures(folder)[0], 16)
    assert pictures.dtype == torch.uint8
    assert pictures.shape[1:] == (3, 16, 16)
    one = pictures[:1]
    batch = random_batch(one, 64)
    upright = one.float() / 127.5 - 1
    same = [torch.allclose(b, upright[0], atol=1e-5) for b in batch]
    mirrored = [torch.allclose(b, upright[0].flip(2), atol=1e-5) for b in batch]
    assert all(a or b for a, b in zip(same, mirrored, strict=True))
    assert 10 < sum(same) < 54


def test_new_networks_do_not_know_the_first_latents_of_any_seed() -> None:
    """The mapping network's first weights must not be the numbers that a latent of a small seed begins with."""
    pictures = torch.zeros(4, 3, 16, 16, dtype=torch.uint8)
    settings = replace(TINY, z_dim=64, w_dim=64)
    weights = GanTrainer(settings, pictures, ALONE).generator.mapping.layers[0].weight.detach().flatten()
    for seed in range(5):
        z = torch.randn(64, 64, generator=torch.Generator().manual_seed(seed)).flatten()
        assert abs(torch.corrcoef(torch.stack([weights, z]))[0, 1]) < 0.1


def test_augmentation_of_strength_zero_changes_nothing_and_of_one_everything() -> None:
    images = torch.rand(8, 3, 16, 16) * 2 - 1
    torch.testing.assert_close(augment(images, torch.tensor(0.0)), images, atol=1e-4, rtol=0)
    images.requires_grad_()
    changed = augment(images, torch.tensor(1.0))
    assert ((changed - images).abs().mean([1, 2, 3]) > 0.05).all()
    changed.sum().backward()
    assert images.grad.abs().sum() > 0


def test_objective_signs_and_penalty() -> None:
    good, bad = torch.tensor([[3.0]]), torch.tensor([[-3.0]])
    assert discriminator_loss(good, bad) < discriminator_loss(bad, good)
    assert generator_loss(good, bad) > generator_loss(bad, good)
    weight = torch.randn(3, 4, 4)
    images = torch.randn(5, 3, 4, 4)
    penalty = gradient_penalty(lambda x: (x * weight).sum([1, 2, 3]), images)
    torch.testing.assert_close(penalty, weight.square().sum())


def test_grown_generator_draws_the_small_picture_enlarged() -> None:
    shape = {"z_dim": 8, "w_dim": 8, "mapping_layers": 2, "channel_base": 128, "channel_max": 16}
    small, large = Generator(16, **shape), Generator(64, **shape)
    grow_generator(large, small.state_dict())
    z = torch.randn(2, 8)
    a, b = small(z, noise="const"), large(z, noise="const")
    assert torch.nn.functional.avg_pool2d(b, 4).sub(a).abs().mean() < 0.15 * a.abs().mean()


def test_grown_discriminator_starts_with_the_old_judgement_and_ends_on_its_own() -> None:
    shape = {"channel_base": 128, "channel_max": 16}
    small, large = Discriminator(16, **shape), Discriminator(64, **shape)
    faded = FadingDiscriminator(large, small.state_dict())
    low = torch.randn(4, 3, 16, 16)
    images = torch.nn.functional.interpolate(low, scale_factor=4, mode="bilinear")
    start = faded(images)
    changed = [p for n, p in large.named_parameters() if n.startswith(("blocks.0", "blocks.1", "from_rgb"))]
    with torch.no_grad():
        for p in changed:
            p.add_(1.0)
    torch.testing.assert_close(faded(images), start)  # the new blocks have no say yet
    faded.fade.fill_(1.0)
    torch.testing.assert_close(faded(images), large(images))


def test_training_moves_all_networks_and_writes_what_it_says(folder: Path, tmp_path: Path) -> None:
    pictures = load_pictures(split_pictures(folder)[0], 16)
    trainer = GanTrainer(TINY, pictures, ALONE)
    before = {k: v.clone() for k, v in trainer.generator.state_dict().items()}
    train(trainer, tmp_path, minutes=1, images=80)
    moved = [k for k, v in trainer.generator.named_parameters() if not torch.equal(v, before[k])]
    assert len(moved) == len(list(trainer.generator.parameters()))
    line = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])
    assert line["kimg"] == 0.08
    assert np.isfinite(list(line.values())).all()
    tensors, config = store.read(tmp_path / "generator_ema.safetensors")
    config.pop("training")
    Generator(**config).load_state_dict(tensors)
    assert list(tmp_path.glob("samples_*.jpg"))
    assert not list(tmp_path.glob("*.part"))


def test_resuming_continues_where_it_stopped(folder: Path, tmp_path: Path) -> None:
    pictures = load_pictures(split_pictures(folder)[0], 16)
    first = GanTrainer(TINY, pictures, ALONE)
    for _ in range(3):
        first.step()
    first.save_state(tmp_path / "state.pt")
    second = GanTrainer(TINY, pictures, ALONE)
    second.load_state(tmp_path / "state.pt")
    for trainer in (first, second):
        torch.manual_seed(7)
        trainer.step()
    for a, b in zip(first.generator.parameters(), second.generator.parameters(), strict=True):
        torch.testing.assert_close(a, b)
    assert second.images_seen == first.images_seen


def test_a_run_cut_off_goes_on_from_its_last_checkpoint(folder: Path, tmp_path: Path) -> None:
    pictures = load_pictures(split_pictures(folder)[0], 16)
    trainer = GanTrainer(TINY, pictures, ALONE)
    step = trainer.step

    def until_pulled() -> None:
        if trainer.steps == 30:
            raise KeyboardInterrupt
        step()

    trainer.step = until_pulled
    with pytest.raises(KeyboardInterrupt):
        train(trainer, tmp_path, minutes=5, save_seconds=0)
    assert {"generator.safetensors", "discriminator.safetensors", "state.pt"} <= {p.name for p in tmp_path.iterdir()}
    again = GanTrainer(TINY, pictures, ALONE)
    again.load_state(tmp_path / "state.pt")
    assert again.steps == 20


def test_two_processes_train_one_network(folder: Path, tmp_path: Path) -> None:
    """Under torchrun, on the CPU: both see different pictures, and one set of weights comes out."""
    GanTrainer(TINY, load_pictures(split_pictures(folder)[0], 16), ALONE).save(tmp_path / "first")
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
        "-m", "gan_core.training.stylegan2.train",
        "--data", str(folder), "--out", str(tmp_path / "run"), "--device", "cpu",
        "--resolution", "16", "--z-dim", "8", "--w-dim", "8", "--mapping-layers", "2",
        "--channel-base", "128", "--channel-max", "16",
        "--batch", "4", "--images", "160", "--minutes", "2", "--initial", str(tmp_path / "first"),
    ]  # fmt: skip
    environment = dict(os.environ, OMP_NUM_THREADS="1")
    result = subprocess.run(command, capture_output=True, text=True, timeout=240, env=environment, check=False)
    assert result.returncode == 0, result.stderr[-2000:]
    lines = (tmp_path / "run" / "log.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["kimg"] == 0.16  # 20 steps of 2 x 4


def test_a_larger_run_goes_on_at_a_lower_resolution_and_back() -> None:
    """Down, pictures are the sum of the coarser blocks; back up with the finest blocks, they are the old ones."""
    shape = {"z_dim": 8, "w_dim": 8, "mapping_layers": 2, "channel_base": 256, "channel_max": 16}
    torch.manual_seed(0)
    large, small, again = Generator(32, **shape), Generator(16, **shape), Generator(32, **shape)
    grow_generator(small, large.state_dict())
    z = torch.randn(2, 8)
    assert small(z).shape[-1] == 16
    for name, value in small.state_dict().items():
        assert torch.equal(value, large.state_dict()[name]), name
    grow_generator(again, complete(small.state_dict(), large.state_dict()))
    torch.testing.assert_close(again(z, noise="const"), large(z, noise="const"))


def test_a_larger_discriminator_goes_on_without_its_finest_blocks() -> None:
    torch.manual_seed(0)
    large, small = (Discriminator(side, channel_base=256, channel_max=16) for side in (32, 16))
    fresh = small.from_rgb.weight.clone()
    FadingDiscriminator(small, large.state_dict())
    assert torch.equal(small.blocks[0].conv.weight, large.blocks[1].conv.weight)
    assert torch.equal(small.epilogue.out.weight, large.epilogue.out.weight)
    assert torch.equal(small.from_rgb.weight, fresh)  # there is no such layer to take it from
