"""What the predictor learns from, and how it is tested."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch

from gan_core.checkpoints import store
from gan_core.errors import BadValue
from gan_core.self_conditioned.predictors import MEASURES, SIZE, load_predictor
from gan_core.training.self_conditioned import train_predictors as training
from gan_core.training.self_conditioned.faces import read_portraits
from gan_core.training.self_conditioned.views import random_views
from tests.gan_core.self_conditioned.small import plain_generator, predictor, write_faces


def test_views_keep_the_picture_and_say_which_are_mirrored() -> None:
    torch.manual_seed(0)
    images = torch.full((64, 3, 64, 64), -0.8)
    images[..., 32:] = 0.8  # bright at the right
    views, mirrored = random_views(images)
    assert views.shape == (64, 3, SIZE, SIZE) and 10 < mirrored.sum() < 54
    brighter_right = views[..., SIZE // 2 :].mean((1, 2, 3)) > views[..., : SIZE // 2].mean((1, 2, 3))
    assert torch.equal(brighter_right, ~mirrored)


def test_pairs_are_of_one_person_and_of_two_pictures_where_there_are() -> None:
    torch.manual_seed(0)
    people = np.array(["b", "a", "c", "a", "b", "b", "d"])
    pairs = training.PairsOfPeople(people, torch.device("cpu"))
    seen = set()
    for _ in range(60):
        first, second = pairs.draw(3).numpy()
        assert (people[first] == people[second]).all() and len(set(people[first])) == 3
        assert all((a == b) == (people[a] in "cd") for a, b in zip(first, second, strict=True))
        seen |= set(zip(first.tolist(), second.tolist(), strict=True))
    assert len(seen) == 2 + 2 + 6
    assert pairs.draw(99).shape == (2, 4)


def test_contrast_is_least_where_partners_agree() -> None:
    people = torch.eye(6)
    assert training.contrast(torch.cat([people, people])) < 0.01
    assert training.contrast(torch.cat([people, people.roll(1, 0)])) > 5


def test_roc_auc() -> None:
    assert training.roc_auc(np.array([2.0, 3.0]), np.array([0.0, 1.0, 1.5])) == 1
    assert training.roc_auc(np.array([0.0]), np.array([1.0, 2.0])) == 0
    assert training.roc_auc(np.array([1.0, 2.0]), np.array([1.0, 2.0])) == pytest.approx(0.5)


def test_identity_is_tested_on_pairs_of_one_person() -> None:
    identities = torch.nn.functional.normalize(
        torch.tensor([[1.0, 0.1], [1.0, 0.0], [0.0, 1.0], [0.1, 1.0], [-1.0, 0.0]]), dim=1
    )
    facts = training.identity_facts(identities, np.array(["a", "a", "b", "b", "c"]))
    assert facts["pairs"] == 2 and facts["roc_auc"] == 1 and facts["same"] > 0.9 > facts["different"]


def table(folder: Path) -> Path:
    paths = write_faces(folder / "face", 8)
    with (folder / "portraits.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["id", "person", *MEASURES])
        writer.writeheader()
        for i, path in enumerate(paths):
            person = f"P{i // 2}" if i < 4 else path.stem
            writer.writerow({"id": path.stem, "person": person, "age": "" if i == 5 else 40 + i, "yaw_deg": i,
                             "corner_lift": 0.1 * i})  # fmt: skip
        writer.writerow({"id": "not_here", "person": "X", "age": 1, "yaw_deg": 0, "corner_lift": 0})
    return folder / "portraits.csv"


def test_the_table_of_portraits(tmp_path: Path) -> None:
    path = table(tmp_path)
    read = read_portraits(tmp_path / "face", path, MEASURES)
    assert len(read.paths) == 8 and read.twice.tolist() == [True] * 4 + [False] * 4
    assert np.isnan(read.columns["age"]).sum() == 1
    assert read.subset(~read.twice).columns["yaw_deg"].tolist() == [4, 5, 6, 7]
    with pytest.raises(BadValue, match="hat"):
        read_portraits(tmp_path / "face", path, ("hat",))
    with pytest.raises(BadValue, match="None of the pictures"):
        read_portraits(
            write_faces(tmp_path / "other", 1)[0].rename(tmp_path / "other" / "x.png").parent, path, MEASURES
        )


def test_the_command_trains_and_tests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, generator = table(tmp_path), tmp_path / "generator.safetensors"
    net = plain_generator()
    store.save(generator, net.state_dict(), config=net.config)
    monkeypatch.setattr(training, "FacePredictor", lambda measures: predictor(measures).train())
    out = tmp_path / "predictors.safetensors"
    arguments = ["--data", str(tmp_path / "face"), "--labels", str(path), "--generator", str(generator)]
    arguments += ["--out", str(out), "--minutes", "0.01", "--folds", "2", "--fold-minutes", "0.005", "--batch", "3"]
    monkeypatch.setattr("sys.argv", ["train_predictors", *arguments, "--device", "cpu"])
    training.main()
    report = store.read(out)[1]["_report"]
    assert report["identity"]["pairs"] == 2 and "age_mae" in report["cross_validation"]
    assert load_predictor(out).predict(torch.zeros(1, 3, 64, 64))[1].shape == (1, 3)
