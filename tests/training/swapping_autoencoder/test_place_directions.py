"""Vectors of places: what the labels say, snow that lies on the ground, vectors that hold for other places only."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gan_core.checkpoints import store
from gan_core.swapping_autoencoder.networks import Encoder
from gan_core.swapping_autoencoder.pipeline import load_directions
from gan_core.training.cube_maps import CUBE
from gan_core.training.swapping_autoencoder import place_directions
from gan_core.training.swapping_autoencoder.place_directions import FOLDS, LabelledViews, fit_places, place_columns


def row(place: str, time: str, season: str = "none") -> dict[str, str]:
    return {"place": place, "time": time, "season": season}


def test_what_labels_say_and_do_not_say() -> None:
    rows = [row("outdoor", "day", "green"), row("indoor", "night"), row("outdoor", "golden", "autumn"), {}]
    rows += [row("indoor", "golden", "green"), row("outdoor", "overcast", "snow")]
    unknown = np.nan
    wanted = {
        "indoor": [0, 1, 0, unknown, 1, 0],
        "night": [0, 1, 0, unknown, 0, 0],
        "golden": [unknown, unknown, 1, unknown, unknown, 0],  # what light a room has is not told
        "autumn": [0, unknown, 1, unknown, unknown, unknown],
    }
    columns = place_columns(rows)
    for name, values in wanted.items():
        np.testing.assert_array_equal(columns[name], values, err_msg=name)


def test_snow_lies_on_the_ground_and_not_in_the_sky() -> None:
    elevation = torch.linspace(0.5, -0.5, 32)[:, None].expand(32, 32)[None]
    picture = torch.where(elevation[:, None] > 0, 0.8, -0.6) * torch.ones(1, 3, 1, 1)
    picture[:, 2] -= 0.2  # warm
    snowy = place_directions.snowed(picture, elevation)
    assert snowy.shape == picture.shape and snowy.abs().max() <= 1
    assert snowy[:, :, 22:].mean() - picture[:, :, 22:].mean() > 0.8
    assert (snowy[:, :, :12].mean() - picture[:, :, :12].mean()).abs() < 0.1
    assert (snowy[:, 0] - snowy[:, 2])[:, 22:].abs().max() < 0.1 < (picture[:, 0] - picture[:, 2]).min()


def made_up(folds: np.ndarray, night: np.ndarray, generator: np.random.Generator) -> LabelledViews:
    count = len(night)
    coin = generator.integers(0, 2, count).astype(float)
    columns = {"indoor": np.zeros(count), "night": night, "golden": coin, "autumn": coin[::-1].copy()}
    return LabelledViews(torch.zeros(count, 3, 1, 1, dtype=torch.uint8), columns | {"snow": night * np.nan}, folds)


def test_a_vector_is_kept_if_it_holds_for_places_that_it_was_not_fitted_to() -> None:
    generator = np.random.default_rng(0)
    folds = np.arange(400) % FOLDS
    night = generator.integers(0, 2, 400).astype(float)
    textures = torch.from_numpy(generator.normal(size=(400, 6))).float()
    textures[:, 2] += torch.from_numpy(2.0 * night).float()
    tensors, entries = fit_places(textures, made_up(folds, night, generator))
    assert list(tensors) == ["night"] and [entry["name"] for entry in entries] == ["night"]
    assert tensors["night"].argmax() == 2 and tensors["night"][2].item() == pytest.approx(2, abs=0.3)


def test_a_vector_that_only_knows_the_places_themselves_is_left_out() -> None:
    """Each place has a colour of its own, and night means nothing beyond it: views of other places tell."""
    generator = np.random.default_rng(1)
    folds = np.arange(400) % FOLDS
    night = (folds % 2).astype(float)
    textures = torch.zeros(400, FOLDS)
    textures[torch.arange(400), torch.from_numpy(folds)] = torch.from_numpy(2 * night - 1).float()
    assert "night" not in fit_places(textures, made_up(folds, night, generator))[0]


def test_the_command_writes_directions_that_the_pipeline_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places, weights, rng = tmp_path / "places", tmp_path / "weights", np.random.default_rng(0)
    rows = []
    for i in range(10):
        name, night = f"red_wall_{i}", i % 2 == 0
        (places / name).mkdir(parents=True)
        for face in CUBE:
            pixels = rng.integers(0, 60 if night else 255, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(places / name / f"{face}.png")
        rows.append({"name": name, "family": name, **row("outdoor", "night" if night else "day", "green")})
    with (places / "places.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    torch.manual_seed(0)
    encoder = Encoder(widths=(4, 6, 8), texture_widths=(10,), structure_dim=3, texture_dim=12)
    store.save(weights / "encoder.safetensors", encoder.state_dict(), config=encoder.config)
    words = f"place_directions --weights {weights} --places {places} --each 4 --resolution 32 --principal 2"
    monkeypatch.setattr(sys, "argv", words.split())
    place_directions.main()
    found, colours = load_directions(weights / "directions.safetensors")
    assert {"night", "snow", "structure_1", "structure_2"} <= found.keys() and colours is not None
    assert "golden" not in found  # no place is labelled so
    assert found["night"].vector.shape == (12,) and found["night"].label == "Day to night"
