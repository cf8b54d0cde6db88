"""Scores of methods that fill holes in places: on the same pictures and holes, kept, and in one table."""

import json
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from gan_core.checkpoints import store
from gan_core.errors import BadImage, BadValue
from gan_core.evaluation.comodgan import places as evaluation
from gan_core.evaluation.comodgan.fillers import FILLERS
from gan_core.evaluation.comodgan.free_photos import carried_photos, squares
from gan_core.evaluation.comodgan.places import BANDS, Cases, evaluate, kept, scores
from tests.gan_core.comodgan.test_networks import generator
from tests.training.comodgan.test_train import places_folder
from tests.training.test_projected import random_features


def textured(count: int, side: int) -> torch.Tensor:
    """Diagonal stripes of many widths and colours, uint8 (count, 3, side, side)."""
    y, x = torch.meshgrid(*[torch.arange(side)] * 2, indexing="ij")
    rows = []
    for i in range(count):
        wave = torch.sin((x + y * (1 + i % 3)) * (0.3 + 0.1 * i))
        rows.append(torch.stack([wave, wave * 0.5, -wave]) * 100 + 128)
    return torch.stack(rows).to(torch.uint8)


@pytest.mark.parametrize("name", FILLERS)
def test_classical_methods_fill_the_hole_only(name: str) -> None:
    images = textured(2, 64).float() / 127.5 - 1
    holes = torch.zeros(2, 1, 64, 64)
    holes[0, :, 20:40, 25:50] = 1
    holes[1] = 1  # everything
    done = FILLERS[name](images, holes)
    known = holes.expand_as(images) == 0
    assert done.shape == images.shape and torch.isfinite(done).all() and done.abs().max() <= 1
    assert torch.equal(done[known], images[known])
    off = (done - images)[0][:, holes[0, 0] == 1].abs().mean()
    blank = (images[0] - images[0].mean((1, 2), keepdim=True))[:, holes[0, 0] == 1].abs().mean()
    assert off < (0.5 if name == "PatchMatch" else 1.3) * blank, "patches continue a texture"


def test_cases_are_of_their_band_and_stable() -> None:
    for band in BANDS:
        cases = Cases("some", band, textured(6, 32))
        holes = cases.holes()
        shares = holes.mean((1, 2, 3))
        assert torch.equal(holes, cases.holes()) and (holes.flatten(1).amax(1) == 1).all()
        assert (shares <= band[1] + 0.01).all() and (shares >= band[0] - 0.01).all()


def test_scores_tell_better_from_worse() -> None:
    rng = np.random.default_rng(0)
    real = rng.normal(size=(120, 40)).astype(np.float32)
    near, far = (real + rng.normal(size=real.shape) * s + s * 0.3 for s in (0.1, 1.0))
    good, bad = scores(real, near.astype(np.float32)), scores(real, far.astype(np.float32))
    assert good["frechet"] < bad["frechet"] and good["u_ids"] > bad["u_ids"]


def test_features_are_kept_and_another_number_is_refused(tmp_path) -> None:
    path = tmp_path / "a" / "rows.npy"
    rows = kept(path, 3, lambda: np.ones((3, 2), np.float32))
    assert np.array_equal(kept(path, 3, lambda: 1 / 0), rows)
    with pytest.raises(BadValue, match="same --count"):
        kept(path, 4, lambda: 1 / 0)


@pytest.fixture
def fewer_features(monkeypatch) -> None:
    """Every tenth feature: eigenvalues of all, for each score of a method, would take half a minute."""
    pooled = evaluation.pooled_features
    monkeypatch.setattr(evaluation, "pooled_features", lambda *arguments: pooled(*arguments)[:, ::10])


@pytest.mark.usefixtures("fewer_features")
def test_methods_of_several_runs_are_in_one_table(tmp_path) -> None:
    sets = [Cases("stripes", band, textured(6, 32)) for band in BANDS[:2]]
    features = random_features()
    evaluate({"grey": lambda images, holes: images * (1 - holes)}, sets, tmp_path, features)
    found = evaluate({"all": lambda images, holes: images}, sets, tmp_path, features)
    assert found["methods"] == ["grey", "all"]
    for band in found["sets"]["stripes"].values():
        assert set(band["methods"]) == {"grey", "all"} and band["pictures"] == 6
        assert abs(band["methods"]["all"]["frechet"]) < 0.01 * band["methods"]["grey"]["frechet"]
    assert json.loads((tmp_path / "places.json").read_text()) == json.loads(json.dumps(found))
    text = (tmp_path / "places.md").read_text()
    assert text.count("| grey |") == text.count("| all |") == 1 and "holes 20% to 40%" in text


def test_free_photos(tmp_path) -> None:
    paths = carried_photos()
    assert {path.name for path in paths} >= {"china.jpg", "flower.jpg"} and all(path.is_file() for path in paths)
    taken = squares(paths[:2], 64)
    assert taken.shape == (8, 3, 64, 64) and taken.float().std() > 20
    assert not torch.equal(taken[0], taken[1])
    with pytest.raises(BadImage, match="free photographs"):
        squares([], 64)
    Image.new("RGB", (40, 40)).save(tmp_path / "small.png")
    with pytest.raises(BadImage):
        squares([tmp_path / "small.png"], 64)


@pytest.mark.usefixtures("fewer_features")
def test_command_line(tmp_path, monkeypatch, capsys) -> None:
    net = generator(32, skip_gain=True)
    for name in ("net", "plain"):
        store.save(tmp_path / f"{name}.safetensors", net.state_dict(), config=net.config)
    monkeypatch.setattr(evaluation, "load_features", random_features)
    words = ["places", "--places", str(places_folder(tmp_path / "places", 8)), "--out", str(tmp_path / "out")]
    words += ["--network", f"ours={tmp_path / 'net.safetensors'}", "--plain", f"U-Net={tmp_path / 'plain.safetensors'}"]
    words += ["--textured", f"app={tmp_path / 'net.safetensors'}", "--each", "2"]
    words += ["--methods", "Telea", "--resolution", "32", "--count", "6", "--device", "cpu"]
    monkeypatch.setattr(sys, "argv", words)
    evaluation.main()
    found = json.loads((tmp_path / "out" / "places.json").read_text())
    assert found["methods"] == ["Telea", "U-Net", "ours", "app"]
    assert set(found["sets"]) == {"held-out places", "free photos"} and len(found["sets"]["free photos"]) == 3
    assert (tmp_path / "out" / "places.jpg").is_file() and "| ours |" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", [*words, "--network", "nameless"])
    with pytest.raises(BadValue, match="NAME=WEIGHTS"):
        evaluation.main()
