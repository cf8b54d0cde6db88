"""A direction made of two sets of latents, and its file."""

from __future__ import annotations

import pytest
import torch

from gan_core.checkpoints import store
from gan_core.errors import BadValue
from gan_core.own_direction import LARGEST_FILE, OwnDirection, difference, read, save

SHAPE = (1, 4, 8)


def codes(*values: float) -> list[torch.Tensor]:
    return [torch.full(SHAPE, value) for value in values]


def test_it_is_the_difference_of_the_means_and_survives_its_file(tmp_path) -> None:
    made = difference("  a   beard ", "fake/hfgi", codes(1, 3), codes(0, 0, 3))
    assert made.name == "a beard" and torch.equal(made.vector, torch.ones(SHAPE))
    assert torch.allclose(made.offset(3), made.vector) and torch.allclose(made.offset(-1.5), -made.vector / 2)
    save(made, tmp_path / "one.safetensors")
    again = read(tmp_path / "one.safetensors", "fake/hfgi", SHAPE)
    assert (again.name, again.model) == (made.name, made.model) and torch.equal(again.vector, made.vector)


@pytest.mark.parametrize(
    ("having", "lacking", "name", "sentence"),
    [
        (codes(1), codes(0), "", "from 2 to 20 examples that have it, not 1"),
        (codes(1, 2), [], "", "from 2 to 20 examples that lack it, not 0"),
        (codes(*range(21)), codes(0, 1), "", "not 21"),
        (codes(1, 2), codes(2, 1), "", "nothing tells them apart"),
        (codes(1, 2), codes(0, 1), "x" * 41, "at most 40 letters"),
    ],
)
def test_sets_that_make_none_are_a_sentence(having, lacking, name, sentence) -> None:
    with pytest.raises(BadValue, match=sentence):
        difference(name, "fake/hfgi", having, lacking)


def test_other_files_are_refused(tmp_path) -> None:
    path = tmp_path / "one.safetensors"
    for content in (b"", b"no tensors", b"\xff" * (LARGEST_FILE + 1)):
        path.write_bytes(content)
        with pytest.raises(BadValue, match="no direction that was saved here"):
            read(path, "fake/hfgi", SHAPE)
    store.save(path, {"direction": torch.ones(SHAPE)}, config={"name": "weights of something"})
    with pytest.raises(BadValue, match="no direction that was saved here"):
        read(path, "fake/hfgi", SHAPE)
    save(OwnDirection("one", "fake/edges", torch.ones(SHAPE)), path)
    with pytest.raises(BadValue, match="made with other weights"):
        read(path, "fake/hfgi", SHAPE)
    for vector in (torch.ones(2), torch.full(SHAPE, float("nan"))):
        save(OwnDirection("one", "fake/hfgi", vector), path)
        with pytest.raises(BadValue, match="no direction that was saved here"):
            read(path, "fake/hfgi", SHAPE)
