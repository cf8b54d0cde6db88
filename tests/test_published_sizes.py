"""What runs every published model: a failure is noted and the next one is run, and results are joined."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
import torch

from gan_core.checkpoints.places import Place, places
from gan_core.errors import BadCheckpoint
from tests import published_sizes
from tests.gan_core.checkpoints.test_library import canvas
from tests.published_stand_ins import CASES, name_of


@dataclass(frozen=True)
class Small:
    """A case with a narrow model, whose use does as it is told."""

    does: str
    place: Place = Place("stylegan_human_v2_512")
    others: tuple[str, ...] = ()

    def make(self):
        if self.does == "is no checkpoint":
            return {"nothing": torch.zeros(1)}
        return canvas()

    def beside(self):
        return {}

    @contextmanager
    def opened(self, root, device) -> Iterator[str]:
        assert self.place.file(root).is_file()
        yield device

    def use(self, _pipeline):
        if self.does == "raises":
            raise BadCheckpoint("it is damaged")
        if self.does == "ends":
            os._exit(9)
        return torch.full((1,), float("nan" if self.does == "nan" else 1))


@pytest.fixture
def cases(monkeypatch):
    cases = {name: Small(name) for name in ("fine", "raises", "ends", "nan", "is no checkpoint", "fine too")}
    monkeypatch.setattr(published_sizes, "CASES", cases)
    return cases


def test_every_place_has_a_case() -> None:
    assert set(CASES) == {name_of(place) for place in places()}


@pytest.mark.parametrize("jobs", ["0", "2"])
def test_failures_are_noted_and_the_rest_is_run(cases, tmp_path, jobs) -> None:
    path = tmp_path / "results.json"
    assert published_sizes.main(["--results", str(path), "--threads", "1", "--jobs", jobs]) == 1
    found = {name: kinds["cpu"] for name, kinds in json.loads(path.read_text()).items()}
    assert list(found) == list(cases)
    for name in ("fine", "fine too"):
        assert found[name]["memory"] > 0 and found[name]["seconds"] >= 0 and found[name]["convert"] >= 0
    assert found["raises"] == {"failed": "BadCheckpoint: it is damaged"}
    assert "ended with 9" in found["ends"]["failed"] and "not finite" in found["nan"]["failed"]
    assert "BadCheckpoint" in found["is no checkpoint"]["failed"]


def test_a_limit_leaves_the_rest_out(cases, tmp_path) -> None:
    path = tmp_path / "results.json"
    published_sizes.main(["fine", "fine too", "--results", str(path), "--limit", "0"])
    assert list(json.loads(path.read_text())) == ["fine"]


def test_results_of_two_machines_are_joined(cases, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(published_sizes, "TRIED", tmp_path / "tried.json")
    here = {"fine too": {"cpu": {"seconds": 2}}, "fine": {"cpu": {"seconds": 1}, "cuda": {"failed": "no"}}}
    (tmp_path / "tried.json").write_text(json.dumps(here))
    (tmp_path / "more.json").write_text(json.dumps({"fine": {"cuda": {"seconds": 0.1}}}))
    assert published_sizes.main(["--merge", str(tmp_path / "more.json")]) == 0
    joined = json.loads((tmp_path / "tried.json").read_text())
    assert list(joined) == ["fine", "fine too"]
    assert joined["fine"] == {"cpu": {"seconds": 1}, "cuda": {"seconds": 0.1}}
