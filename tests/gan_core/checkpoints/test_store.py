"""This project's own weight files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from gan_core.checkpoints import store
from gan_core.errors import BadCheckpoint, WeightsMissing

CONFIG = {"resolution": 256, "widths": [1, 2]}
TENSORS = {"a.weight": torch.randn(4, 3), "big": torch.tensor([1e6, -2.0]), "count": torch.tensor(7)}


def test_round_trip(tmp_path: Path) -> None:
    store.save(tmp_path / "deep" / "x.safetensors", TENSORS, config=CONFIG, half=False)
    tensors, config = store.read(tmp_path / "deep" / "x.safetensors")
    assert config == CONFIG
    assert all(torch.equal(tensors[name], TENSORS[name]) for name in TENSORS)


def test_half_keeps_what_float16_cannot_hold(tmp_path: Path) -> None:
    shared = torch.randn(4, 4)
    store.save(tmp_path / "x", {**TENSORS, "one": shared, "view": shared.t()}, config={})
    tensors, _ = store.read(tmp_path / "x")
    assert tensors["a.weight"].dtype == torch.float32 and tensors["count"].dtype == torch.int64
    assert torch.equal(tensors["a.weight"], TENSORS["a.weight"].half().float())
    assert torch.equal(tensors["big"], TENSORS["big"])
    assert torch.equal(tensors["view"], tensors["one"].t())


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    store.save(tmp_path / "x", TENSORS, config={"n": 1})
    with pytest.raises(TypeError):
        store.save(tmp_path / "x", TENSORS, config={"n": object()})
    assert store.read(tmp_path / "x")[1] == {"n": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_missing_and_damaged(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match="not on this machine"):
        store.read(tmp_path / "x.safetensors")
    store.save(tmp_path / "x", TENSORS, config={})
    (tmp_path / "x").write_bytes((tmp_path / "x").read_bytes()[:-5])
    with pytest.raises(BadCheckpoint, match="damaged"):
        store.read(tmp_path / "x")
