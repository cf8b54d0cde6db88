"""A paper's networks as ONNX files: `gan-studio export PAPER [FOLDER]`, each checked against PyTorch in onnxruntime.

PAPER is hfgi, self_conditioned, comodgan, insetgan, swapping_autoencoder or stylegan2 (the face generator alone), with
the embedded weights, or --model names a folder or a hub repository. The batch is dynamic. Modulation scales
activations, not weights, so that one weight serves a batch. Noise is each layer's stored one; nothing is random. Needs
the packages onnx, onnxscript and onnxruntime (pip install "gan-studio[onnx]").
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_core.errors import BadCheckpoint, StudioError, WeightsMissing
from gan_core.export_networks import NETWORKS, Network
from gan_core.packing import KINDS
from gan_core.pretrained import GanModel

logger = logging.getLogger(__name__)

OPSET = 20
TOLERANCE = 1e-3
"""Largest difference that is accepted, in units of the largest value of an output."""
BATCHES = (1, 3)
"""Batch sizes that are checked; the network is traced with 2."""


@dataclass(frozen=True)
class Exported:
    """One ONNX file."""

    path: Path
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    error: float
    """Largest difference from PyTorch, in units of the largest value of an output."""


class Graph(nn.Module):
    """A network's function over the modules that it belongs to, as a module that can be traced."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.parts = nn.ModuleList(network.modules)
        self.function = network.function

    def forward(self, *inputs: Tensor) -> Any:
        """The function, over the modules that it belongs to."""
        return self.function(*inputs)


# ---------------------------------------------------------------- this project's operations as plain ones


def _plain_bias_act(
    x: Tensor, bias: Tensor | None, noise: Tensor | None, slope: float, gain: float, clamp: float
) -> Tensor:
    y = x if noise is None else x + noise
    if bias is not None:
        y = y + bias.view(1, -1, *[1] * (x.ndim - 2))
    if slope != 1.0:
        y = F.leaky_relu(y, slope)
    y = y * gain
    return y.clamp(-clamp, clamp) if clamp >= 0 else y


def _plain_scaled(
    x: Tensor, bias: Tensor | None, noise: Tensor | None, scale: Tensor, slope: float, gain: float, clamp: float
) -> Tensor:
    return _plain_bias_act(x * scale[:, :, None, None], bias, noise, slope, gain, clamp)


def _plain_upfirdn2d(
    x: Tensor, filter: Tensor, up: int, down: int, padding: list[int], flip: bool, gain: float
) -> Tensor:
    _, channels, height, width = x.shape
    if up > 1:  # zeros between the pixels
        x = F.pad(x[:, :, :, None, :, None], (0, up - 1, 0, 0, 0, up - 1)).reshape(
            -1, channels, height * up, width * up
        )
    kernel = (filter if flip else filter.flip(0, 1)) * gain
    x = F.pad(x, padding)
    return F.conv2d(x, kernel.to(x.dtype).expand(channels, 1, *filter.shape), stride=down, groups=channels)


def plain_table() -> dict[Any, Callable[..., Any]]:
    """Decompositions of PyTorch's operations and of this project's own into plain ones."""
    ops = torch.ops.gan_studio
    return {
        **torch.export.default_decompositions(),
        ops.bias_act.default: _plain_bias_act,
        ops.scaled_bias_act.default: _plain_scaled,
        ops.upfirdn2d.default: _plain_upfirdn2d,
    }


# ---------------------------------------------------------------- exporting


def export_model(model: GanModel, folder: Path, *, report: Callable[[Exported], None] | None = None) -> list[Exported]:
    """Write every network of a model as folder/NAME.onnx and check it.

    Raises WeightsMissing if the packages are not installed or the folder cannot be written, BadCheckpoint if a file
    computes something else than PyTorch does; that file is removed.
    """
    need_packages()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WeightsMissing(f"The folder {folder} cannot be made: {error.strerror}.") from error
    done = []
    for network in NETWORKS[model.paper](model.pipeline):
        done.append(export_network(network, folder / f"{network.name}.onnx"))
        if report:
            report(done[-1])
    return done


def export_network(network: Network, path: Path) -> Exported:
    """Write one network as ONNX and check it. Raises BadCheckpoint where the two differ; the file is then removed."""
    graph = Graph(network).eval().requires_grad_(False).cpu()
    inputs = _inputs(network, 2)
    batch = torch.export.Dim("batch", min=2)
    with torch.no_grad():
        dynamic = (tuple({0: batch} for _ in inputs),)
        program = torch.export.export(graph, inputs, dynamic_shapes=dynamic, strict=False)
        program = program.run_decompositions(plain_table())
        temporary = path.with_suffix(".onnx.part")
        try:
            made = torch.onnx.export(
                program,
                (),
                input_names=list(network.shapes),
                output_names=list(network.outputs),
                opset_version=OPSET,
                dynamo=True,
                verbose=False,
            )
            made.save(str(temporary), external_data=False)
            error = _difference(graph, network, temporary)
            if not error <= TOLERANCE:  # also refuses NaN
                raise BadCheckpoint(f"{network.name} computes something else in onnxruntime: {error:.1e} apart.")
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    return Exported(path, tuple(network.shapes), network.outputs, error)


def _inputs(network: Network, count: int) -> tuple[Tensor, ...]:
    random = torch.Generator().manual_seed(count)
    return tuple(torch.randn(count, *shape, generator=random) for shape in network.shapes.values())


def _difference(graph: nn.Module, network: Network, path: Path) -> float:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    worst = 0.0
    for count in BATCHES:
        inputs = _inputs(network, count)
        expected = graph(*inputs)
        expected = expected if isinstance(expected, tuple) else (expected,)
        named = {name: value.numpy() for name, value in zip(network.shapes, inputs, strict=True)}
        for got, want in zip(session.run(list(network.outputs), named), expected, strict=True):
            apart = (torch.from_numpy(got) - want).abs().max() / want.abs().max().clamp_min(1e-12)
            worst = max(worst, apart.item()) if apart.isfinite() else float("nan")
    return worst


def need_packages() -> None:
    """Raises WeightsMissing where a package that exporting takes is not installed."""
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise WeightsMissing(
            f'Exporting needs the package {error.name}. Install what it takes with: pip install "gan-studio[onnx]"'
        ) from error


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m gan_core.export", description=__doc__)
    parser.add_argument("paper", choices=sorted(KINDS))
    parser.add_argument("folder", nargs="?", type=Path, help="default: onnx/PAPER")
    parser.add_argument(
        "--model", help="a folder that save_pretrained wrote, or a hub repository, instead of the embedded"
    )
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for name in ("torch.onnx", "onnxscript", "onnx_ir"):
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        model = GanModel.from_pretrained(options.model) if options.model else GanModel.embedded(options.paper)
        if model.paper != options.paper:
            raise BadCheckpoint(f"{options.model} is a model of {model.paper}, not of {options.paper}.")
        folder = options.folder or Path("onnx") / options.paper
        export_model(model, folder, report=_say)
    except StudioError as error:
        logger.error("%s", error)
        return 1
    return 0


def _say(done: Exported) -> None:
    size = done.path.stat().st_size / 1e6
    names = f"{', '.join(done.inputs)} -> {', '.join(done.outputs)}"
    logger.info("%s (%.0f MB): %s; %.1e from PyTorch", done.path, size, names, done.error)


if __name__ == "__main__":
    sys.exit(main())
