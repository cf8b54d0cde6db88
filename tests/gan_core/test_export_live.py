"""The committed graphs of the live page compute what PyTorch computes today, from the committed weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from demo.live import WEIGHTS_FILES
from gan_core import export_live
from gan_core.checkpoints import store
from gan_core.errors import BadCheckpoint
from gan_core.export import TOLERANCE
from gan_core.export_live import FOLDER, difference, make_graph, open_graph, write_index
from gan_core.export_live import export_live as export
from gan_core.export_networks import Network
from gan_core.live_networks import FILES, LiveNetwork, live_networks
from weights.catalogue import FOLDER as WEIGHTS

pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")


@pytest.fixture(scope="module")
def networks() -> dict[str, LiveNetwork]:
    return {live.network.name: live for live in live_networks(WEIGHTS)}


def test_committed_graphs_compute_the_same(networks: dict[str, LiveNetwork]) -> None:
    assert {path.stem for path in FOLDER.glob("*.onnx")} == networks.keys()
    for name, live in networks.items():
        for module in live.network.modules:
            module.eval()
        session = open_graph((FOLDER / f"{name}.onnx").read_bytes(), WEIGHTS)
        assert difference(live, session) < TOLERANCE, name
        assert [value.name for value in session.get_inputs()] == list(live.network.shapes)


def test_a_region_is_written_as_it_is_committed(networks: dict[str, LiveNetwork]) -> None:
    live = networks["put_in_place_eyes"]
    graph = make_graph(live, WEIGHTS).SerializeToString(deterministic=True)
    assert difference(live, open_graph(graph, WEIGHTS)) < TOLERANCE, "nothing traced is kept"
    assert len(graph) < 10_000, "its mask is computed and not copied"


def test_weights_are_named_and_not_copied() -> None:
    for path in FOLDER.glob("*.onnx"):
        model = onnx.load(str(path), load_external_data=False)
        copied = [tensor.name for tensor in model.graph.initializer if len(tensor.raw_data) > 2000]
        assert copied == [], path.name
        assert str(Path.home()).encode() not in path.read_bytes()


def test_index_names_the_files(tmp_path: Path) -> None:
    for path in FOLDER.glob("*.onnx"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    write_index(tmp_path, WEIGHTS)
    assert (tmp_path / "index.json").read_text() == (FOLDER / "index.json").read_text()
    named = {file for files in json.loads((FOLDER / "index.json").read_text())["graphs"].values() for file in files}
    assert named | {FILES["directions"]} == set(FILES.values()) == set(WEIGHTS_FILES)


def test_a_graph_is_made_and_one_that_differs_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net, weights, folder = torch.nn.Linear(16, 8).requires_grad_(False), tmp_path / "weights", tmp_path / "graphs"
    store.save(
        weights / "line.safetensors", {f"net.{name}": value for name, value in net.state_dict().items()}, config={}
    )
    store.save(weights / "directions.safetensors", {}, config={})
    net.load_state_dict({name: value.half() for name, value in net.state_dict().items()})  # what the file has
    live = LiveNetwork(Network("line", lambda x: net(x), (net,), {"x": (16,)}, ("y",)), (("line", "net."),))
    monkeypatch.setattr(export_live, "FILES", {"line": "line.safetensors", "directions": "directions.safetensors"})
    monkeypatch.setattr(export_live, "live_networks", lambda _weights: [live])
    assert export(folder, weights)["line"] < 1e-6
    assert json.loads((folder / "index.json").read_text())["graphs"] == {"line": ["line.safetensors"]}
    assert difference(live, open_graph((folder / "line.onnx").read_bytes(), weights), 3) < 1e-6
    monkeypatch.setattr(export_live, "difference", lambda *_arguments: float("nan"))
    with pytest.raises(BadCheckpoint, match="something else"):
        export(tmp_path / "other", weights)
    assert list((tmp_path / "other").iterdir()) == []
