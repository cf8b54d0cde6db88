"""Weights with fewer fraction bits: close to what they were, fewer different values, the same file otherwise."""

import sys

import pytest
import torch

from gan_core.checkpoints import store
from gan_core.errors import BadCheckpoint, BadValue
from gan_core.training import round_weights as round_weights


def test_numbers_keep_so_many_bits() -> None:
    value = torch.randn(20_000, generator=torch.Generator().manual_seed(0)).half()
    kept = round_weights.rounded(value, 6)
    assert kept.dtype == torch.float16
    assert ((kept - value).abs() <= value.abs() * 2**-7 * 1.001).all()
    assert (kept.view(torch.int16) & 0b1111 == 0).all()  # the last four of ten fraction bits
    assert torch.equal(round_weights.rounded(value, 10), value)
    assert torch.equal(round_weights.rounded(torch.zeros(3).half(), 6), torch.zeros(3).half())


def test_other_types_stay_and_nonsense_is_refused() -> None:
    value = torch.arange(9)
    assert torch.equal(round_weights.rounded(value, 6), value)
    with pytest.raises(BadValue, match="fraction bits"):
        round_weights.rounded(value, 11)


def test_command_keeps_names_and_config(tmp_path, monkeypatch) -> None:
    source, target = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    store.save(source, {"w": torch.tensor([1.0009765625]), "n": torch.tensor([3])}, config={"resolution": 8})
    monkeypatch.setattr(sys, "argv", ["round_weights", str(source), str(target)])
    round_weights.main()
    tensors, config = store.read(target)
    assert config == {"resolution": 8} and tensors["w"].item() == 1.0 and tensors["n"].item() == 3
    source.write_bytes(b"no weights")
    with pytest.raises(BadCheckpoint, match="damaged"):
        round_weights.main()
