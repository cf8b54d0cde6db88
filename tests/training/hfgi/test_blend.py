"""Weights between two trainings."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from gan_core.checkpoints import store
from gan_core.errors import BadCheckpoint, BadValue
from gan_core.hfgi.networks import ConsultationEncoder
from gan_core.training.hfgi import blend


def test_the_command_and_its_mistakes(tmp_path: Path) -> None:
    torch.manual_seed(0)
    nets = [ConsultationEncoder(8, (4, 6, 8), blocks=1) for _ in range(2)]
    files = [tmp_path / f"{name}.safetensors" for name in ("before", "after")]
    for net, file in zip(nets, files, strict=True):
        net.stem.norm.num_batches_tracked.fill_(3 if file is files[0] else 7)
        store.save(file, net.state_dict(), config=net.config, half=False)
    blend.main([str(files[0]), str(files[1]), "--share", "0.25", "--out", str(tmp_path / "out.safetensors")])
    got, config = store.read(tmp_path / "out.safetensors")
    assert config["_blend"] == 0.25 and config["channels"] == 8
    a, b = (net.state_dict() for net in nets)
    assert torch.allclose(
        got["stem.conv.weight"], 0.75 * a["stem.conv.weight"] + 0.25 * b["stem.conv.weight"], atol=1e-3
    )
    assert got["stem.norm.num_batches_tracked"] == 7
    with pytest.raises(BadValue, match="from 0 to 1"):
        blend.blend(a, b, 1.5)
    with pytest.raises(BadCheckpoint, match="two trainings"):
        blend.blend(a, {}, 0.5)
