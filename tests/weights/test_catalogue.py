"""Every fact of every weights file is filled in and agrees with the file."""

import dataclasses
import json
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from weights import catalogue
from weights.published import ALIGNMENTS, PUBLISHED, offered_by


@pytest.mark.parametrize("entry", [*catalogue.EMBEDDED, *PUBLISHED], ids=lambda entry: entry.name)
def test_every_field_is_filled(entry):
    for field in dataclasses.fields(entry):
        if field.default is not dataclasses.MISSING and not field.default:
            continue  # may be left empty
        value = getattr(entry, field.name)
        assert value, f"{entry.name}: {field.name} is empty"
    assert entry.resolution in (112, 128, 224, 256, 299, 512, 640, 1024)


def test_names_are_unique():
    for entries in (catalogue.EMBEDDED, PUBLISHED):
        names = [entry.name for entry in entries]
        assert len(set(names)) == len(names)
    for model in PUBLISHED:
        assert len({file.file for file in model.files}) == len(model.files)
        assert model.alignment in ALIGNMENTS and model.paper and model.licence
        assert model.fetchable or model.page, f"{model.name} can be had neither by a program nor by hand"
        for file in (file for files in model.sets for file in files):
            hosts = ("https://", "http://efrosgans.eecs.berkeley.edu/")  # the latter has no https
            assert all(url.startswith(hosts) for url in file.sources)
            assert len(set(file.sources)) == len(file.sources)
            assert Path(file.file).name == file.file
            assert file.sha256 is None or re.fullmatch("[0-9a-f]{64}", file.sha256)


def test_a_tabs_choices_are_names_and_unique():
    for tab in {model.tab for model in PUBLISHED if model.tab}:
        choices = [part.choice for model in offered_by(tab) for part in model.parts or [model]]
        assert len(set(choices)) == len(choices) and all(re.fullmatch(r"[a-z0-9_]+", choice) for choice in choices)


def test_shipped_files_are_those_of_the_catalogue():
    assert catalogue.problems() == []


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A weights folder with two small files in place of the real ones."""
    entries = catalogue.EMBEDDED[:2]
    monkeypatch.setattr(catalogue, "FOLDER", tmp_path)
    monkeypatch.setattr(catalogue, "_MEASURED", tmp_path / "measured.json")
    monkeypatch.setattr(catalogue, "EMBEDDED", entries)
    for entry in entries:
        entry.path.parent.mkdir(parents=True, exist_ok=True)
        tensors = {"a": torch.zeros(3, 5), "b": torch.zeros(())}
        save_file(tensors, entry.path, metadata={"config": json.dumps({"z_dim": 4})})
    return tmp_path


def test_update_then_any_change_is_noticed(folder):
    first, second = catalogue.EMBEDDED
    assert len(catalogue.problems()) == 2, "nothing has been measured yet"
    assert catalogue.main(["--update"]) == 0
    assert first.measured.parameters == 16 and first.measured.bytes == first.path.stat().st_size
    assert catalogue.read_config(first.path) == {"z_dim": 4}

    first.path.write_bytes(first.path.read_bytes()[:-1] + b"\x01")
    assert catalogue.problems() == [f"{first.file} is not the file that measured.json describes"]
    second.path.unlink()
    assert f"{second.file} is missing" in catalogue.problems()
    save_file({"a": torch.zeros(1)}, folder / "stray.safetensors")
    assert "stray.safetensors is not in the catalogue" in catalogue.problems()
    assert catalogue.main([]) == 1


def test_header_of_something_else(tmp_path):
    path = tmp_path / "x.safetensors"
    path.write_bytes(b"\xff" * 64)
    with pytest.raises(ValueError, match="no safetensors"):
        catalogue.read_header(path)
