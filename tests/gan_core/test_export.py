"""ONNX files of each paper's networks against PyTorch, on small networks of the same kinds; the real ones by one."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from gan_core import export
from gan_core.comodgan.networks import CoModGenerator
from gan_core.errors import BadCheckpoint, WeightsMissing
from gan_core.export import export_model, export_network
from gan_core.export_networks import NETWORKS, Network
from gan_core.hfgi.networks import ConsultationEncoder, DistortionAlignment
from gan_core.packing import KINDS
from gan_core.pretrained import GanModel
from gan_core.self_conditioned.networks import SelfConditionedGenerator
from gan_core.stylegan2 import Generator
from gan_core.stylegan2.mapping import MappingNetwork
from gan_core.swapping_autoencoder import networks as swapping
from tests.gan_core.checkpoints.test_adapters import random_generator

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")
pytestmark = pytest.mark.timeout(600)
SMALL = {"z_dim": 16, "w_dim": 16, "mapping_layers": 1, "channel_base": 512, "channel_max": 16}


def shaken(net: torch.nn.Module) -> torch.nn.Module:
    """With noise strengths and biases that are not zero, so that leaving one out would show."""
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return net.eval().requires_grad_(False)


def hfgi() -> SimpleNamespace:
    return SimpleNamespace(
        generator=random_generator(64, **SMALL),
        encoder=shaken(
            torch.nn.Sequential(torch.nn.AvgPool2d(64), torch.nn.Flatten(), torch.nn.Linear(3 * 4 * 4, 192))
        ),
        alignment=shaken(DistortionAlignment((4, 4, 4, 4), blocks=1)),
        consultation=shaken(ConsultationEncoder(8, (4, 4, 4), blocks=1, hidden=4)),
        latent_avg=torch.zeros(192),
        _fusion_layer=7,
    )


MODELS = {
    "hfgi": hfgi,
    "self_conditioned": lambda: SimpleNamespace(
        generator=shaken(SelfConditionedGenerator(8, attributes=2, **SMALL)), plain=random_generator(8, **SMALL)
    ),
    "comodgan": lambda: SimpleNamespace(generator=shaken(CoModGenerator(8, global_dim=24, **SMALL))),
    "insetgan": lambda: SimpleNamespace(
        canvas=random_generator(8, start_shape=(4, 2), **SMALL), inset=random_generator(8, **SMALL)
    ),
    "swapping_autoencoder": lambda: SimpleNamespace(
        encoder=shaken(swapping.Encoder(widths=(4, 8, 8), texture_widths=(8,), structure_dim=4, texture_dim=16)),
        generator=shaken(swapping.Generator(head_widths=(8,), widths=(8, 4), structure_dim=4, texture_dim=16)),
        resolution=32,
    ),
    "stylegan2": lambda: random_generator(8, **SMALL),
}
ALL = {
    "hfgi": {"encoder", "alignment", "consultation", "synthesis_consulted", "mapping", "synthesis"},
    "self_conditioned": {"plain_mapping", "plain_synthesis", "synthesis"},
    "comodgan": {"mapping", "complete"},
    "insetgan": {"canvas_mapping", "canvas_synthesis", "inset_mapping", "inset_synthesis"},
    "swapping_autoencoder": {"encoder", "generator"},
    "stylegan2": {"mapping", "synthesis"},
}
SAME = {
    "hfgi": {"mapping", "synthesis"},
    "self_conditioned": {"plain_mapping", "plain_synthesis"},
    "insetgan": {"canvas_mapping", "inset_mapping", "inset_synthesis"},
}
"""Of the class and by the lines that export "stylegan2": not exported once more, which takes ten seconds each."""


def test_every_paper_can_be_exported() -> None:
    assert NETWORKS.keys() == KINDS.keys() == MODELS.keys()


@pytest.mark.parametrize("paper", MODELS)
def test_each_network_computes_the_same(paper: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = GanModel(paper, MODELS[paper]())
    networks = {network.name: network for network in NETWORKS[paper](model.pipeline)}
    assert networks.keys() == ALL[paper]
    for name in SAME.get(paper, ()):
        assert isinstance(networks.pop(name).modules[0], Generator | MappingNetwork)
    monkeypatch.setitem(NETWORKS, paper, lambda _pipeline: list(networks.values()))
    done = export_model(model, tmp_path / "onnx")
    assert {one.path.stem for one in done} == networks.keys()
    assert [path.name for path in sorted((tmp_path / "onnx").iterdir())] == sorted(one.path.name for one in done)
    for one in done:
        assert one.error < 1e-3
        if paper == "stylegan2" and one.path.stem == "synthesis":
            assert_weights_are_constants(one.path)
        session = onnxruntime.InferenceSession(str(one.path), providers=["CPUExecutionProvider"])
        assert [value.name for value in session.get_inputs()] == list(one.inputs)
        assert all(isinstance(value.shape[0], str) for value in session.get_inputs()), "the batch is not fixed"
        assert {node.domain for node in nodes(one.path)} == {""}, "only ONNX's own operators"


def nodes(path: Path) -> list:
    import onnx

    return list(onnx.load(str(path)).graph.node)


def assert_weights_are_constants(path: Path) -> None:
    """Modulation scales the activations: no 3x3 convolution has a weight that is computed from its input."""
    import onnx

    graph = onnx.load(str(path)).graph
    constants = {value.name for value in graph.initializer}
    convolutions = [node for node in graph.node if node.op_type in ("Conv", "ConvTranspose")]
    assert convolutions and all(node.input[1] in constants for node in convolutions)


def test_a_network_that_differs_is_refused_and_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net = shaken(torch.nn.Linear(4, 4))
    network = Network("line", net, (net,), {"x": (4,)}, ("y",))
    assert export_network(network, tmp_path / "line.onnx").error < 1e-5
    changed = []

    class Session(onnxruntime.InferenceSession):
        def run(self, *arguments: object) -> list:
            changed.append([value * 1.01 for value in super().run(*arguments)])
            return changed[-1]

    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    with pytest.raises(BadCheckpoint, match="something else"):
        export_network(network, tmp_path / "other.onnx")
    assert changed and [path.name for path in tmp_path.iterdir()] == ["line.onnx"]


def test_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    saved = GanModel("stylegan2", random_generator(8, **SMALL)).save_pretrained(tmp_path / "model")
    assert json.loads((saved / "config.json").read_text())["paper"] == "stylegan2"
    out = tmp_path / "onnx"
    assert export.main(["stylegan2", str(out), "--model", str(saved)]) == 0
    assert "w_plus -> image" in caplog.text and (out / "synthesis.onnx").is_file()
    assert export.main(["hfgi", str(out), "--model", str(saved)]) == 1 and "is a model of stylegan2" in caplog.text
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(WeightsMissing, match=r"gan-studio\[onnx\]"):
        export_model(GanModel("stylegan2", Generator(32, **SMALL)), out)
