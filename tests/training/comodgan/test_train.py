"""Training starts as the unconditional generator, lets the condition in, resumes, and the baseline has one answer."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gan_core.checkpoints import store
from gan_core.comodgan import masks
from gan_core.comodgan.networks import CoModGenerator, hole_condition
from gan_core.comodgan.pipeline import load_embedded
from gan_core.errors import BadCheckpoint, BadValue
from gan_core.stylegan2 import Discriminator, Generator
from gan_core.training.comodgan.objects import mixed_bank
from gan_core.training.comodgan.settings import CoModGANSettings, Starts
from gan_core.training.comodgan.start import start_discriminator, start_encoder, start_generator
from gan_core.training.comodgan.step import CoModGANTrainer
from gan_core.training.comodgan.train import held_out_set, main, mixed_people, read_starts
from gan_core.training.distributed import ProcessGroup
from gan_core.training.loop import train
from gan_core.training.people import is_held_out, read_people
from gan_core.training.places import PlacesStream, fixed_views, read_places
from gan_core.training.projected import MIXED
from tests.training.test_projected import random_features

SHAPE = {"channel_base": 128, "channel_max": 16}
SIZES = {"resolution": 16, "z_dim": 8, "w_dim": 8, "mapping_layers": 2, "global_dim": 6, "batch": 8} | SHAPE
ALONE = ProcessGroup(0, 1, torch.device("cpu"))


def unconditional() -> tuple[Generator, Discriminator]:
    torch.manual_seed(0)
    generator = Generator(16, z_dim=8, w_dim=8, mapping_layers=2, **SHAPE).eval()
    for name, parameter in generator.named_parameters():
        if name.endswith(("bias", "noise_strength")):
            torch.nn.init.normal_(parameter, std=0.3)
    return generator, Discriminator(16, **SHAPE).eval()


def pictures(count: int = 24) -> torch.Tensor:
    """Discs of many colours on many grounds, uint8 (count, 3, 16, 16)."""
    rng = torch.Generator().manual_seed(0)
    y, x = torch.meshgrid(*[torch.linspace(-1, 1, 16)] * 2, indexing="ij")
    inside = (x**2 + y**2 < 0.5).float()
    colours = torch.rand(2, count, 3, 1, 1, generator=rng) * 255
    return (colours[0] * inside + colours[1] * (1 - inside)).to(torch.uint8)


def trainer(starts: Starts | None = None, held_out: bool = False, **changes) -> CoModGANTrainer:
    settings = CoModGANSettings(**(SIZES | changes))
    some = pictures()
    kept = held_out_set(some[:4], settings.task) if held_out else None
    holes = torch.from_numpy(masks.bank(32, 16))
    return CoModGANTrainer(settings, some, ALONE, holes, kept, starts)


def from_unconditional() -> Starts:
    generator, discriminator = unconditional()
    return Starts(generator.state_dict(), discriminator.state_dict(), unconditional=True)


def test_the_first_network_is_the_unconditional_generator() -> None:
    generator, discriminator = unconditional()
    net = CoModGenerator(16, z_dim=8, w_dim=8, mapping_layers=2, global_dim=6, skip_gain=True, **SHAPE).eval()
    start_generator(net, generator.state_dict())
    image, known = torch.rand(3, 3, 16, 16) * 2 - 1, (torch.rand(3, 1, 16, 16) > 0.5).float()
    condition, z = hole_condition(image, known), torch.randn(3, 8)
    start_encoder(net, discriminator.state_dict(), condition)
    with torch.no_grad():
        torch.testing.assert_close(net(condition, z, noise="const"), generator(z, noise="const"))
        spreads = [x.std().item() for x in net.encoder(condition).features.values()]
    assert spreads == pytest.approx([0.6] * len(spreads), rel=0.05)

    wide = Discriminator(16, img_channels=4, **SHAPE).eval()
    start_discriminator(wide, discriminator.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(wide(torch.cat([image, known], 1)), discriminator(image))


def test_what_does_not_fit_is_refused() -> None:
    generator, discriminator = unconditional()
    net = CoModGenerator(32, z_dim=8, w_dim=8, mapping_layers=2, global_dim=6, skip_gain=True, **SHAPE)
    with pytest.raises(BadCheckpoint):
        start_generator(net, CoModGenerator(16, z_dim=4, w_dim=8, mapping_layers=2, **SHAPE).state_dict())
    with pytest.raises(BadCheckpoint, match="discriminator"):
        start_discriminator(Discriminator(32, img_channels=4, **SHAPE), discriminator.state_dict())
    with pytest.raises(BadValue, match="both"):
        read_starts(Path("a"), Path("b"), None)
    with pytest.raises(BadValue, match="together"):
        read_starts(None, Path("b"), None)
    with pytest.raises(BadValue, match="multiple"):
        trainer(batch=12)
    with pytest.raises(BadValue, match="task"):
        trainer(task="colour")


@pytest.mark.parametrize("task", ["hole", "drawing"])
def test_a_few_steps_let_the_condition_in(task: str) -> None:
    one = trainer(from_unconditional(), held_out=True, task=task, lr=0.01, ema_kimg=0.01, penalty_every=16)
    before = one.held_out_stats()
    for _ in range(30):
        one.step()
    stats = one.read_stats()
    assert all(np.isfinite(value) for value in stats.values())
    assert all(gain.abs().max() > 0 for gain in one.generator.gains.values())
    if task == "hole":
        assert stats["known"] < 0.8 * before["known"]
    assert stats["diversity"] > 0.01
    assert one.sample(20).shape == (20, 3, 16, 16)
    one.close()


def test_known_pixels_are_pasted_before_the_discriminator_looks() -> None:
    one = trainer(full=0.0)
    one.strength.zero_()
    one._draw_piece()
    known = (one.hole == 0).repeat(2, 1, 1, 1)
    reals = one.reals.repeat(2, 1, 1, 1)
    assert torch.equal(one.fakes[known.expand_as(reals)], reals[known.expand_as(reals)])
    seen = one._fakes_seen()  # a condition's completions side by side, the mask beside them
    torch.testing.assert_close(seen[0::2, 3:], one.seen, atol=1e-5, rtol=0)
    torch.testing.assert_close(seen[1::2, 3:], one.seen, atol=1e-5, rtol=0)
    torch.testing.assert_close(seen[1::2, :3], one.fakes[4:], atol=1e-4, rtol=0)


def test_the_baseline_has_one_answer() -> None:
    one = trainer(from_unconditional(), plain=True, pairs=1)
    for _ in range(3):
        one.step()
    columns = [p[:, 8:] for name, p in one.generator.named_parameters() if name.endswith("affine.weight")]
    assert all(column.abs().max() == 0 for column in columns), "the condition modulates nothing"
    net = one.average
    condition = hole_condition(torch.rand(1, 3, 16, 16), torch.ones(1, 1, 16, 16))
    a, b = (net(condition, torch.randn(1, 8), psi=0.0, noise=noise) for noise in ("const", "random"))
    torch.testing.assert_close(a, b)


def test_a_run_goes_on_where_it_was(tmp_path) -> None:
    one = trainer(from_unconditional(), held_out=True)
    train(one, tmp_path, minutes=10, images=160)
    again = trainer(held_out=True)
    again.load_state(tmp_path / "state.pt")
    assert again.images_seen == one.images_seen
    for a, b in zip(one.generator.parameters(), again.generator.parameters(), strict=True):
        assert torch.equal(a, b)
    assert load_embedded(tmp_path / "generator_ema.safetensors", framing="face").kind == "hole"
    later = trainer(read_starts(tmp_path, None, None))
    torch.testing.assert_close(later.average.state_dict(), one.average.state_dict(), rtol=1e-3, atol=1e-3)


def test_command_line(tmp_path) -> None:
    for i, pixels in enumerate(pictures(12)):
        folder = tmp_path / "data"
        folder.mkdir(exist_ok=True)
        Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(folder / f"x_p{i}.png")
    for name, net in zip(("g", "d"), unconditional(), strict=True):
        store.save(tmp_path / f"{name}.safetensors", net.state_dict(), config=net.config)
    sizes = [part for name, value in SIZES.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    command = [sys.executable, "-m", "gan_core.training.comodgan.train", "--data", str(tmp_path / "data"), *sizes]
    command += ["--out", str(tmp_path / "out"), "--images", "160", "--device", "cpu", "--holes", "16", "--no-state"]
    starts = ["--generator", str(tmp_path / "g.safetensors"), "--discriminator", str(tmp_path / "d.safetensors")]
    root = Path(__file__).resolve().parents[3]
    subprocess.run(command + starts, check=True, cwd=root, capture_output=True)
    made = {path.suffix for path in (tmp_path / "out").iterdir()}
    assert made == {".safetensors", ".jsonl", ".jpg"}
    refused = subprocess.run([*command, *starts[:2]], cwd=root, capture_output=True, text=True)
    assert refused.returncode == 1 and "go together" in refused.stderr and "Traceback" not in refused.stderr


# ------------------------------------------------------------ places


def places_folder(folder: Path, count: int = 12) -> Path:
    """Cube maps of blocks of colour."""
    rng = np.random.default_rng(0)
    for i in range(count):
        (folder / f"place{i}").mkdir(parents=True)
        for face in ("px", "nx", "py", "ny", "pz", "nz"):
            blocks = rng.integers(0, 255, (4, 4, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
            Image.fromarray(blocks).save(folder / f"place{i}" / f"{face}.png")
    return folder


def places_trainer(folder: Path, monkeypatch, starts: Starts | None = None, **changes) -> CoModGANTrainer:
    monkeypatch.setattr("gan_core.training.stylegan2.step.load_features", random_features)
    settings = CoModGANSettings(**(SIZES | {"resolution": 32, "projected_weight": 0.5, "objects": 0.5} | changes))
    holes = torch.from_numpy(mixed_bank(32, 32, settings.objects))
    held_out = held_out_set(fixed_views(folder, 32, 8), "hole")
    stream = PlacesStream(read_places(folder), 32)
    return CoModGANTrainer(settings, stream, ALONE, holes, held_out, starts)


def test_places_train_all_networks_and_resume_exactly(tmp_path, monkeypatch) -> None:
    folder = places_folder(tmp_path / "places")
    one = places_trainer(folder, monkeypatch)
    before = [[p.detach().clone() for p in flat.parameters] for flat in one.gradients]
    train(one, tmp_path / "run", minutes=10, images=160)  # 20 steps
    assert one.steps == 20 and len(one.gradients) == 3
    stats = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert all(np.isfinite(value) for line in stats for value in line.values())
    assert stats[-1]["loss_projected"] > 0 and stats[-1]["dropped"] == 0
    for old, flat in zip(before, one.gradients, strict=True):
        moved = [not torch.equal(a, b) for a, b in zip(old, flat.parameters, strict=True)]
        assert sum(moved) > 0.9 * len(moved)
    again = places_trainer(folder, monkeypatch)
    again.load_state(tmp_path / "run" / "state.pt")
    for both in (one, again):
        torch.manual_seed(5)
        both._draw_piece()
    assert torch.equal(one.fakes, again.fakes)
    for name in ("generator", "average", "discriminator", "projected"):
        torch.testing.assert_close(getattr(one, name).state_dict(), getattr(again, name).state_dict(), rtol=0, atol=0)
    assert one.generator_adam.state_dict()["state"].keys() == again.generator_adam.state_dict()["state"].keys()
    later = places_trainer(folder, monkeypatch, read_starts(tmp_path / "run", None, None, 32))
    torch.testing.assert_close(later.projected.state_dict(), one.projected.state_dict(), rtol=1e-3, atol=1e-3)


def test_the_projected_discriminators_see_the_mask(tmp_path, monkeypatch) -> None:
    one = places_trainer(places_folder(tmp_path), monkeypatch, full=0.0)
    one._draw_piece()
    reals, fakes = one._projected_input()
    assert reals.shape == (4, 4, 32, 32) and fakes.shape == (8, 4, 32, 32)
    assert torch.equal(fakes[:4, 3:], reals[:, 3:]) and torch.equal(0.5 - reals[:, 3:], one.hole)
    known = (one.hole == 0).expand_as(one.reals)
    assert torch.equal(fakes[:4, :3][known], reals[:, :3][known])
    maps = one._maps(reals)
    assert [m.shape[1] for m in maps] == [c + 1 for c in MIXED]
    assert maps[0][:, -1].std() > 0.5


def test_portraits_start_places(tmp_path, monkeypatch) -> None:
    """Without a discriminator of its own; with one of pictures; and of another size where shapes agree."""
    trainer(from_unconditional()).save(tmp_path)
    (tmp_path / "discriminator.safetensors").unlink()
    store.save(tmp_path / "judge.safetensors", unconditional()[1].state_dict(), config={})
    folder = places_folder(tmp_path / "places")
    one = places_trainer(folder, monkeypatch, read_starts(tmp_path, None, None, 16), resolution=16)
    saved = store.read(tmp_path / "generator.safetensors")[0]
    torch.testing.assert_close(one.generator.state_dict(), saved)
    starts = read_starts(tmp_path, None, tmp_path / "judge.safetensors", 16)
    two = places_trainer(folder, monkeypatch, starts, resolution=16)
    blocks = unconditional()[1].state_dict()["blocks.0.conv.weight"]
    torch.testing.assert_close(two.discriminator.discriminator.blocks[0].conv.weight, blocks, rtol=1e-3, atol=1e-3)
    plain = places_trainer(folder, monkeypatch, read_starts(tmp_path, None, None), resolution=16, plain=True, pairs=1)
    columns = [p for name, p in plain.generator.named_parameters() if name.endswith("affine.weight")]
    assert all(p[:, 8:].abs().max() == 0 for p in columns)
    wider = places_trainer(folder, monkeypatch, read_starts(tmp_path, None, None), resolution=16, global_dim=7)
    assert torch.equal(wider.generator.encoder.conv.weight, one.generator.encoder.conv.weight)
    with pytest.raises(BadCheckpoint, match="agree in shape"):
        places_trainer(folder, monkeypatch, read_starts(tmp_path, None, None), resolution=16, channel_max=32)


def test_object_masks_look_like_objects() -> None:
    """Most are small, compact holes of few parts; the same for the same seed."""
    from scipy import ndimage

    bank = mixed_bank(60, 64, 1.0, seed=3)
    assert bank.shape == (60, 64, 64) and set(np.unique(bank)) == {0, 1}
    assert np.array_equal(bank, mixed_bank(60, 64, 1.0, seed=3))
    assert all(ndimage.label(mask)[1] <= 8 for mask in bank)
    assert 0.02 < np.median(bank.mean((1, 2))) < 0.3
    half = mixed_bank(8, 16, 0.5)
    assert np.array_equal(half[:4], masks.bank(4, 16))
    with pytest.raises(BadValue, match="share"):
        mixed_bank(8, 16, 1.5)


def test_command_line_of_places(tmp_path) -> None:
    folder = places_folder(tmp_path / "places", 8)
    sizes = [part for name, value in SIZES.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    command = [
        sys.executable,
        "-m",
        "gan_core.training.comodgan.train",
        "--places",
        str(folder),
        *sizes,
        "--holes",
        "8",
    ]
    command += ["--out", str(tmp_path / "out"), "--images", "160", "--device", "cpu", "--no-state", "--objects", "0.5"]
    root = Path(__file__).resolve().parents[3]
    subprocess.run(command, check=True, cwd=root, capture_output=True)
    assert (tmp_path / "out" / "generator_ema.safetensors").is_file()
    refused = subprocess.run([*command, "--task", "drawing"], cwd=root, capture_output=True, text=True)
    assert refused.returncode == 1 and "not of places" in refused.stderr and "Traceback" not in refused.stderr


def test_people_of_all_collections_are_trained_on_and_shown(tmp_path, monkeypatch) -> None:
    """The command itself: mixed pictures in training, and every collection's held-out people in the log's grid."""
    rng, count = np.random.default_rng(0), {}
    for name, light in (("portraits", 40), ("varied", 200)):
        for i in range(40):
            path = tmp_path / "people" / name / f"{i:03d}.webp"
            path.parent.mkdir(parents=True, exist_ok=True)
            block = rng.integers(light - 30, light + 30, (8, 8, 3), dtype=np.uint8).repeat(2, 0).repeat(2, 1)
            Image.fromarray(block).save(path, lossless=True)
            count[name] = count.get(name, 0) + is_held_out(name, path.stem)
    held = read_people(tmp_path / "people", 16, {"portraits": 1, "varied": 1}, held_out=True)
    mixed = mixed_people(held)
    assert len(mixed) == 2 * min(count.values()) > 0
    assert (mixed[0::2].float().mean([1, 2, 3]) < 100).all() and (mixed[1::2].float().mean([1, 2, 3]) > 100).all()

    monkeypatch.setattr("gan_core.training.stylegan2.step.load_features", random_features)
    sizes = [f"--{key.replace('_', '-')}={value}" for key, value in SIZES.items()]
    flags = ["--people", str(tmp_path / "people"), "--shares", "portraits=1,varied=3", "--out", str(tmp_path / "run")]
    monkeypatch.setattr("sys.argv", ["train", *flags, *sizes, "--images", "16", "--holes", "16", "--device", "cpu"])
    main()
    assert {"generator_ema.safetensors", "log.jsonl"} <= {path.name for path in (tmp_path / "run").iterdir()}
