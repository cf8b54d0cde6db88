"""Domain vectors and principal directions, on codes where the answer is known, and the command from end to end."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gan_core.checkpoints import store
from gan_core.errors import BadValue
from gan_core.swapping_autoencoder.networks import Encoder
from gan_core.swapping_autoencoder.pipeline import load_directions
from gan_core.training.split import is_held_out
from gan_core.training.swapping_autoencoder import directions


def test_two_sets() -> None:
    having, lacking = directions.two_sets(np.array([1.0, 0.0, np.nan, 1.0]), 1 / 3)
    assert having.tolist() == [True, False, False, True] and lacking.tolist() == [False, True, False, False]
    having, lacking = directions.two_sets(np.arange(9.0), 1 / 3)
    assert np.flatnonzero(having).tolist() == [6, 7, 8] and np.flatnonzero(lacking).tolist() == [0, 1, 2]


def test_difference_within_groups_leaves_the_group_out() -> None:
    """Those who have it are mostly of the second group, whose codes differ in another entry."""
    draw = np.random.RandomState(0)
    group = draw.rand(400) < 0.5
    having = draw.rand(400) < np.where(group, 0.9, 0.1)
    textures = torch.from_numpy(np.stack([having, 3 * group, np.zeros(400)], 1)).float()
    plain = directions.domain_vector(textures, having, ~having)
    within = directions.domain_vector(textures, having, ~having, group.astype(int))
    assert plain[1] > 2 and within.tolist() == pytest.approx([1, 0, 0], abs=1e-5)
    assert directions.domain_vector(textures[:3], having[:3], ~having[:3]) is None  # too few


def test_separation() -> None:
    textures = torch.tensor([[0.0], [1.0], [2.0], [3.0]])
    having = np.array([False, False, True, True])
    assert directions.separation(textures, torch.ones(1), having, ~having) == 1
    assert directions.separation(textures, -torch.ones(1), having, ~having) == 0
    assert np.isnan(directions.separation(textures, torch.ones(1), having, having & False))


def test_vectors_that_do_not_hold_are_left_out() -> None:
    torch.manual_seed(0)
    draw = np.random.RandomState(0)
    column, held_out = draw.rand(300), np.arange(300) % 4 == 0
    textures = torch.randn(300, 8)
    textures[:, 2] += torch.from_numpy(4 * column).float()
    targets = [directions.VectorTarget("real", "Real", "column"), directions.VectorTarget("noise", "Noise", "random")]
    columns = {"column": column, "random": draw.rand(300)}
    tensors, entries = directions.fit_textures(textures, columns, held_out, targets)
    assert list(tensors) == ["real"] and entries[0]["label"] == "Real"
    assert tensors["real"].abs().argmax() == 2 and tensors["real"][2] > 0


def test_principal_directions_are_named_and_signed() -> None:
    """Two causes of equal variance: any two of their mixtures could be the principal components."""
    torch.manual_seed(0)
    yaw, other = torch.randn(2, 400, 1, 1, 1)
    first, second = torch.linalg.qr(torch.randn(48, 2)).Q.T.view(2, 3, 4, 4) * 4
    codes = 0.1 * torch.randn(400, 3, 4, 4) - yaw * first + other * second
    columns = {"yaw_deg": 10 * yaw.flatten().numpy().astype(float), "age": np.full(400, np.nan)}
    tensors, entries = directions.fit_structures(codes, columns, 3)
    assert [entry["name"] for entry in entries] == ["turn", "structure_1", "structure_2"]
    # a step along it is a standard deviation of yaw towards positive yaw
    assert torch.allclose(tensors["turn"], -first * yaw.std(), atol=0.25)
    alignment = torch.nn.functional.cosine_similarity(tensors["structure_1"].flatten(), second.flatten(), dim=0)
    assert alignment.abs() > 0.95
    vectors = torch.stack([tensors[entry["name"]].flatten() for entry in entries])
    assert vectors[2].norm() < 0.3 * vectors[1].norm()  # only noise is left


def test_channel_colours() -> None:
    torch.manual_seed(0)
    codes = torch.randn(20, 4, 5, 5) * torch.tensor([0.1, 3.0, 1.0, 2.0])[:, None, None]
    colours = directions.channel_colours(codes)
    assert colours.abs().argmax(1).tolist() == [1, 3, 2]
    assert torch.allclose(colours @ colours.T, torch.eye(3), atol=1e-5)


def test_pixel_columns() -> None:
    images = torch.zeros(3, 3, 32, 32)
    images[1] += 0.5
    images[2, 0] += 0.5
    columns = directions.pixel_columns(images)
    assert columns["brightness"][1] == pytest.approx(0.5) and columns["warmth"][2] == pytest.approx(0.5)
    assert columns["saturation"].tolist() == pytest.approx([0, 0, 0.5]) and columns["contrast"].max() < 1e-6


def write_pictures(folder: Path, count: int = 60) -> list[str]:
    folder.mkdir()
    draw = np.random.RandomState(0)
    names = [f"a_p{i}" for i in range(count)]
    for i, name in enumerate(names):
        low = draw.randint(0, 120, (4, 4, 3)) + (120 if i % 2 else 0)
        Image.fromarray(low.astype(np.uint8)).resize((32, 32), Image.Resampling.BICUBIC).save(folder / f"{name}.png")
    assert any(is_held_out(name.split("_")[1]) for name in names)
    return names


def test_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = write_pictures(tmp_path / "data")
    torch.manual_seed(0)
    encoder = Encoder(widths=(4, 6, 8), texture_widths=(10,), structure_dim=4, texture_dim=12)
    weights = tmp_path / "weights"
    store.save(weights / "encoder.safetensors", encoder.state_dict(), config={**encoder.config, "_training": {}})
    rows = [f"{name},p,2013,{40 + i},M,{i % 2},0" for i, name in enumerate(names)]
    (tmp_path / "labels.csv").write_text("\n".join(["id,person,year,age,gender,grey,yaw_deg", *rows]))
    words = f"x --weights {weights} --data {tmp_path}/data --labels {tmp_path}/labels.csv --resolution 32"
    words += f" --principal 2 --pair snow_fall={tmp_path}/data,{tmp_path}/data"
    monkeypatch.setattr(sys, "argv", words.split())
    directions.main()
    found, colours = load_directions(weights / "directions.safetensors")
    assert colours.shape == (3, 4)
    assert found["bright"].vector.shape == (12,) and found["bright"].kind == "texture"
    assert found["snow_fall"].label == "Snow fall" and found["snow_fall"].vector.abs().max() < 1e-3
    shapes = [d for d in found.values() if d.kind == "structure"]
    assert len(shapes) == 2 and shapes[0].vector.shape == (4, 8, 8)


def test_bad_arguments(tmp_path: Path) -> None:
    encoder = Encoder(widths=(4, 6), texture_widths=(6,), structure_dim=2, texture_dim=4)
    with pytest.raises(BadValue, match="form"):
        directions.fit_pair(encoder, "snow=only_one", 32, "cpu")
    (tmp_path / "labels.csv").write_text("id,age\nsomebody,40\n")
    with pytest.raises(BadValue, match="None of the pictures"):
        directions.label_columns(tmp_path / "labels.csv", ["nobody"])


def test_of_several_collections_the_difference_is_taken_within_each() -> None:
    """All who have it are of the collection with other codes, but for a few."""
    draw = np.random.RandomState(0)
    collection = (draw.rand(400) < 0.5).astype(float)
    having = (draw.rand(400) < np.where(collection, 0.9, 0.1)).astype(float)
    textures = torch.from_numpy(np.stack([4 * having, 9 * collection], 1)).float()
    columns = {"it": having, directions.COLLECTION: collection}
    found, _ = directions.fit_textures(
        textures, columns, np.arange(400) % 4 == 0, [directions.VectorTarget("it", "It", "it")]
    )
    assert found["it"].tolist() == pytest.approx([4, 0], abs=1e-4)


def test_collections_with_their_tables(tmp_path: Path) -> None:
    for name, colour in (("portraits", 40), ("london", 120), ("varied", 200)):
        (tmp_path / "people" / name).mkdir(parents=True)
        stems = [f"{prefix}_{i}" for i, prefix in enumerate("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMN")]
        for stem in stems:
            Image.new("RGB", (32, 32), (colour, 0, 0)).save(tmp_path / "people" / name / f"{stem}.png")
        rows = [f"{stem},{20 + i},female" for i, stem in enumerate(stems)]
        column = "sex" if name == "varied" else "gender"
        (tmp_path / f"{name}.csv").write_text("\n".join([f"id,age,{column}", *rows[:-1]]))
    given = directions.read_collections(tmp_path / "people", tmp_path, 32)
    assert len(given.pictures) == 120 == len(given.columns["age"]) and 0 < given.held_out.sum() < 40
    assert np.isnan(given.columns["age"]).sum() == 3 and (given.columns["gender"][given.columns["age"] > 0] == 1).all()
    reds = given.pictures[:, 0, 0, 0].numpy()
    assert (reds == np.array([40, 120, 200])[given.columns[directions.COLLECTION].astype(int)]).all()
