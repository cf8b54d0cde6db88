"""Faces of several collections, with their labels: who is whose, who is held out, what is measured."""

from __future__ import annotations

import csv
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gan_core.errors import BadValue
from gan_core.self_conditioned.predictors import PEOPLE_MEASURES
from gan_core.training.people import is_held_out
from gan_core.training.self_conditioned.faces import faces_of, read_people_faces, side_light

SIDE = 32


def write_people(folder: Path, labels: Path, people: int = 12) -> None:
    """Two collections of noise with mattes and backdrops, and their tables: two pictures each of people in `london`,
    one in `varied`, which knows glasses and no ages."""
    random = np.random.RandomState(0)
    labels.mkdir(parents=True)
    for collection, kinds in (("london", ("_03", "_08")), ("varied", ("",))):
        (folder / collection / "mattes").mkdir(parents=True)
        stems = [f"L{i:03d}{kind}" for i in range(people) for kind in kinds]
        for stem in stems:
            picture = Image.fromarray(random.randint(0, 255, (SIDE, SIDE, 3), dtype=np.uint8))
            picture.save(folder / collection / f"{stem}.png")
            Image.new("L", (SIDE, SIDE), 255).save(folder / collection / "mattes" / f"{stem}.png")
        names = ["id", "yaw_deg", "corner_lift", "mouth_open", *(["age"] if kinds[0] else ["glasses"])]
        with (labels / f"{collection}.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            for i, stem in enumerate(stems[1:]):  # the first picture is in no table
                values = {"yaw_deg": i, "corner_lift": 0.1 * i, "mouth_open": 0.0, "age": 20 + i, "glasses": i % 2}
                writer.writerow({"id": stem} | {name: values[name] for name in names[1:]})
    (folder / "backdrops").mkdir()
    Image.new("RGB", (SIDE, SIDE), (0, 0, 200)).save(folder / "backdrops" / "x.png")


def test_collections_are_joined_with_what_each_knows(tmp_path: Path) -> None:
    write_people(tmp_path / "people", tmp_path / "labels")
    faces = read_people_faces(tmp_path / "people", ("london", "varied"), tmp_path / "labels")
    assert len(faces) == 36 and faces.names[:2] == ("london/L000_03", "london/L000_08")
    assert faces.twice.tolist() == [True] * 24 + [False] * 12  # one id in two collections is two people
    assert faces.held_out.tolist() == [is_held_out(*name.split("/")) for name in faces.names] and faces.held_out.any()
    assert np.isnan(faces.columns["age"][[0, *range(24, 36)]]).all() and faces.columns["age"][1] == 20
    assert np.isfinite(faces.columns["glasses"]).sum() == 11
    assert np.isfinite(faces.columns["side_light"]).all() and "gaze" not in faces.columns
    assert set(faces.columns) <= set(PEOPLE_MEASURES)
    few = faces_of(Namespace(people=tmp_path / "people", shares="varied=1", labels=None), limit=3)
    assert few.names == ("varied/L000", "varied/L001", "varied/L002") and not few.columns
    assert few.pictures(16).shape == (3, 3, 16, 16)


def test_a_table_of_other_pictures_is_refused(tmp_path: Path) -> None:
    write_people(tmp_path / "people", tmp_path / "labels")
    (tmp_path / "labels" / "varied.csv").write_text("id,age\nnobody,30\n")
    with pytest.raises(BadValue, match="None of the pictures"):
        read_people_faces(tmp_path / "people", ("varied",), tmp_path / "labels")


def test_gaze_is_what_the_turn_of_the_head_does_not_explain(tmp_path: Path) -> None:
    write_people(tmp_path / "people", tmp_path / "labels")
    stems = sorted(path.stem for path in (tmp_path / "people" / "varied").glob("*.png"))
    random = np.random.RandomState(1)
    turn, looks = np.arange(12.0) - 1, random.normal(size=12)
    points = np.zeros((12, 478, 2))
    for iris, left, right in ((468, 33, 133), (473, 362, 263)):
        points[:, left], points[:, right] = (10, 50), (30, 50)
        points[:, iris, 0] = 20 + 0.2 * turn + looks
        points[:, iris, 1] = 50
    np.savez(tmp_path / "labels" / "varied.npz", id=np.array(stems), xy=points.astype(np.float16))
    faces = read_people_faces(tmp_path / "people", ("varied",), tmp_path / "labels")
    gaze, known = faces.columns["gaze"], np.isfinite(faces.columns["yaw_deg"])
    slope = np.polyfit(turn[known], looks[known], 1)
    np.testing.assert_allclose(gaze[known], (looks - np.polyval(slope, turn))[known] / 20, atol=2e-3)


def test_side_light_is_of_the_side_that_is_brighter() -> None:
    pictures = torch.full((2, 3, 64, 64), 60, dtype=torch.uint8)
    pictures[0, ..., 32:] = 200
    found = side_light(torch.cat([pictures, pictures.flip(3)]))
    assert found[0] > 0.8 and found[1] == 0
    torch.testing.assert_close(found[2:], -found[:2])
