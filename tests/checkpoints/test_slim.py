"""Weights with fewer fraction bits: close to what they were, fewer different values, the same file otherwise."""

import sys

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from gan_core.checkpoints import slim
from gan_core.errors import BadValue


def test_numbers_keep_so_many_bits() -> None:
    value = torch.randn(20_000, generator=torch.Generator().manual_seed(0)).half()
    kept = slim.rounded(value, 6)
    assert kept.dtype == torch.float16
    assert ((kept - value).abs() <= value.abs() * 2**-7 * 1.001).all()
    assert (kept.view(torch.int16) & 0b1111 == 0).all()  # the last four of ten fraction bits
    assert torch.equal(slim.rounded(value, 10), value)
    assert torch.equal(slim.rounded(torch.zeros(3).half(), 6), torch.zeros(3).half())


def test_other_types_stay_and_nonsense_is_refused() -> None:
    value = torch.randn(9)
    assert torch.equal(slim.rounded(value, 6), value)
    with pytest.raises(BadValue, match="fraction bits"):
        slim.rounded(value, 11)


def test_command_keeps_names_and_metadata(tmp_path, monkeypatch) -> None:
    source, target = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    save_file({"w": torch.tensor([1.0009765625]).half(), "n": torch.tensor([3])}, source, {"kind": "generator"})
    monkeypatch.setattr(sys, "argv", ["slim", str(source), str(target)])
    slim.main()
    with safe_open(target, "pt") as file:
        assert file.metadata() == {"kind": "generator"}
        assert file.get_tensor("w").item() == 1.0
        assert file.get_tensor("n").item() == 3
