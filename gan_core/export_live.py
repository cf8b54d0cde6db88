"""ONNX graphs of the live page, without weights: `gan-studio export-live [FOLDER]`.

A graph names where each weight lies in this project's weights files (ONNX's external data: file, offset, length), in
half precision; a Cast follows, which onnxruntime computes once when it opens the graph. So the graphs are small, and a
browser reads the same files as the server. Each graph is checked against PyTorch in onnxruntime. Needs the packages
onnx, onnxscript and onnxruntime (pip install "gan-studio[onnx]").
"""

from __future__ import annotations

import argparse
import json
import logging
import struct
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gan_core.errors import BadCheckpoint, StudioError
from gan_core.export import OPSET, TOLERANCE, Graph, need_packages, plain_table
from gan_core.live_networks import FILES, LiveNetwork, live_networks
from weights import catalogue

logger = logging.getLogger(__name__)

FOLDER = Path(__file__).resolve().parents[1] / "demo" / "assets" / "live" / "graphs"
SMALL = 64
"""Tensors of fewer numbers are written into the graph."""


@dataclass(frozen=True)
class Stored:
    """Where a tensor lies in a safetensors file."""

    kind: str
    """"F16", "F32" or "I64"."""
    shape: tuple[int, ...]
    offset: int
    """Bytes from the file's beginning."""
    length: int


def stored_tensors(path: Path) -> dict[str, Stored]:
    """The tensors of a safetensors file, by name."""
    with path.open("rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(size))
    header.pop("__metadata__", None)
    return {
        name: Stored(entry["dtype"], tuple(entry["shape"]), 8 + size + begin, end - begin)
        for name, entry in header.items()
        for begin, end in (entry["data_offsets"],)
    }


def make_graph(live: LiveNetwork, folder: Path) -> Any:
    """The ONNX model (an onnx.ModelProto) of a network, its weights named in the files of `folder` (weights/)."""
    from onnxscript import optimizer

    graph = Graph(live.network).eval().requires_grad_(False)
    inputs = example_inputs(live, 1 if live.single else 2)
    with torch.no_grad():
        program = torch.export.export(graph, inputs, dynamic_shapes=(_dynamic(live),), strict=False)
        program = program.run_decompositions(plain_table())
        made = torch.onnx.export(
            program,
            (),
            input_names=list(live.network.shapes),
            output_names=list(live.network.outputs),
            opset_version=OPSET,
            dynamo=True,
            optimize=False,  # it would fold batch normalisations into weights, which are then no longer the file's
            verbose=False,
        )
    assert made is not None
    optimizer.inline(made.model)
    optimizer.fold_constants(
        made.model,
        input_size_limit=SMALL,
        output_size_limit=SMALL,
        should_fold=lambda node: False if node.op_type == "Transpose" else None,  # else of weights of any size
    )
    optimizer.remove_unused_nodes(made.model)
    return _without_weights(made.model_proto, live, folder)


def example_inputs(live: LiveNetwork, count: int) -> tuple[Tensor, ...]:
    """Random inputs of the network, in its order."""
    random = torch.Generator().manual_seed(count)
    return tuple(torch.rand(count, *shape, generator=random) * 1.6 - 0.8 for shape in live.network.shapes.values())


def _dynamic(live: LiveNetwork) -> tuple[dict[int, Any], ...]:
    if live.single:
        return tuple({} for _ in live.network.shapes)
    batch = torch.export.Dim("batch", min=2)
    cells = {2: 8 * torch.export.Dim("rows", min=2), 3: 8 * torch.export.Dim("columns", min=2)}  # the locator's stride
    return tuple({0: batch, **(cells if name in live.sizes else {})} for name in live.network.shapes)


def _without_weights(model: Any, live: LiveNetwork, folder: Path) -> Any:
    """`model` with every weight of a file named there, and everything that tells of this machine taken out."""
    import onnx

    tables = {key: stored_tensors(folder / FILES[key]) for key, _ in live.sources}
    graph = model.graph
    kept, casts = [], []
    for tensor in graph.initializer:
        place = _place(tensor.name, live, tables)
        if place is None or np.prod(tensor.dims) < SMALL:
            kept.append(tensor)
            continue
        file, stored = place
        half = stored.kind == "F16"
        name = f"{tensor.name}.half" if half else tensor.name
        kept.append(_external(name, file, stored))
        if half:
            casts.append(onnx.helper.make_node("Cast", [name], [tensor.name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    for node in nodes:
        del node.metadata_props[:]
        node.doc_string = node.name = ""
    del graph.initializer[:], graph.node[:], graph.value_info[:], graph.metadata_props[:], model.metadata_props[:]
    graph.initializer.extend(kept)
    graph.node.extend(nodes)
    graph.name, model.producer_version = live.network.name, ""
    return model


def _place(name: str, live: LiveNetwork, tables: dict[str, dict[str, Stored]]) -> tuple[str, Stored] | None:
    """The file and the place of a parameter of the traced module (parts.INDEX.NAME), None if no file has it."""
    words = name.split(".", 2)
    if len(words) < 3 or words[0] != "parts" or not words[1].isdigit():
        return None
    key, prefix = live.sources[int(words[1])]
    stored = tables[key].get(prefix + words[2])
    return None if stored is None else (FILES[key], stored)


def _external(name: str, file: str, stored: Stored) -> Any:
    import onnx

    kinds = {"F16": onnx.TensorProto.FLOAT16, "F32": onnx.TensorProto.FLOAT}
    tensor = onnx.TensorProto(name=name, data_type=kinds[stored.kind], dims=stored.shape)
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", file), ("offset", stored.offset), ("length", stored.length)):
        tensor.external_data.add(key=key, value=str(value))
    return tensor


def open_graph(graph: bytes, folder: Path) -> Any:
    """An onnxruntime session of a graph, with the weights in `folder` (weights/)."""
    import onnx
    import onnxruntime

    model = onnx.load_from_string(graph)
    files = {}
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location" and entry.value not in files:
                files[entry.value] = (folder / entry.value).read_bytes()
    options = onnxruntime.SessionOptions()
    names = list(files)
    options.add_external_initializers_from_files_in_memory(
        names, [files[name] for name in names], [len(files[name]) for name in names]
    )
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def difference(live: LiveNetwork, session: Any, count: int = 1) -> float:
    """Largest difference between an onnxruntime session and PyTorch, in units of the largest value of an output."""
    inputs = example_inputs(live, count)
    with torch.no_grad():
        expected = live.network.function(*inputs)
    expected = expected if isinstance(expected, tuple) else (expected,)
    named = {name: value.numpy() for name, value in zip(live.network.shapes, inputs, strict=True)}
    worst = 0.0
    for got, want in zip(session.run(list(live.network.outputs), named), expected, strict=True):
        apart = float((torch.from_numpy(got) - want).abs().max() / want.abs().max().clamp_min(1e-12))
        worst = max(worst, apart) if apart == apart else float("nan")
    return worst


def export_live(folder: Path, weights: Path = catalogue.FOLDER) -> dict[str, float]:
    """Write all graphs as folder/NAME.onnx, each complete or not at all. Returns the differences from PyTorch.

    Raises WeightsMissing if packages or weights are missing, BadCheckpoint if a graph computes something else.
    """
    need_packages()
    folder.mkdir(parents=True, exist_ok=True)
    apart = {}
    for live in live_networks(weights):
        name = live.network.name
        data = make_graph(live, weights).SerializeToString(deterministic=True)
        apart[name] = difference(live, open_graph(data, weights))
        if not apart[name] <= TOLERANCE:  # also refuses NaN
            raise BadCheckpoint(f"{name} computes something else in onnxruntime: {apart[name]:.1e} apart.")
        temporary = folder / f"{name}.onnx.part"
        try:
            temporary.write_bytes(data)
            temporary.replace(folder / f"{name}.onnx")
        finally:
            temporary.unlink(missing_ok=True)
        logger.info("%s.onnx (%.0f kB): %.1e from PyTorch", name, len(data) / 1e3, apart[name])
    write_index(folder, weights)
    return apart


def write_index(folder: Path, weights: Path) -> None:
    """Write folder/index.json: the weights files that each graph names, and the bytes of all files."""
    import onnx

    graphs: dict[str, list[str]] = {}
    sizes = {FILES["directions"]: (weights / FILES["directions"]).stat().st_size}
    for path in sorted(folder.glob("*.onnx")):
        model = onnx.load(str(path), load_external_data=False)
        entries = (entry for tensor in model.graph.initializer for entry in tensor.external_data)
        files = sorted({entry.value for entry in entries if entry.key == "location"})
        graphs[path.stem] = files
        sizes |= {file: (weights / file).stat().st_size for file in files} | {path.name: path.stat().st_size}
    text = json.dumps({"graphs": graphs, "bytes": dict(sorted(sizes.items()))}, indent=1) + "\n"
    (folder / "index.json").write_text(text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m gan_core.export_live", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER, help=f"default: {FOLDER}")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for name in ("torch.onnx", "onnxscript", "onnx_ir"):
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        export_live(options.folder)
    except StudioError as error:
        logger.error("%s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
