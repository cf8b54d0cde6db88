"""A published checkpoint under this project's own names: one safetensors file, written once and atomically.

Tensors are named MODULE.NAME ("generator.synthesis.start"); what belongs to no module is "tensors.NAME". The metadata
key `config` holds the format, each module's constructor's arguments, and where the file came from.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from gan_core.checkpoints.keys import Adapter, BuiltCheckpoint, build_with, laid_out, load_strict
from gan_core.checkpoints.reader import read_tensors
from gan_core.errors import BadCheckpoint, Cancelled, WeightsMissing
from weights.published import CONVERTED

_TYPES = {
    torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.float64: "F64",
    torch.int64: "I64", torch.int32: "I32", torch.uint8: "U8", torch.bool: "BOOL",
}  # fmt: skip
_FAULTS = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
_LARGEST = 1 << 17  # of the numbers that describe a network: channels, layers, pixels
Modules = Mapping[str, type[nn.Module]]
USED = ("generator", "encoder", "alignment", "consultation")
"""What editing needs; discriminators only serve training."""


def write(
    built: BuiltCheckpoint,
    path: Path,
    *,
    source: Mapping[str, Any] | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> None:
    """Write a checkpoint to `path`, complete or not at all; one tensor at a time, so that no copy of it is made.

    source: what is to be remembered of the published file.
    Raises BadCheckpoint if a number in it is not finite, WeightsMissing if the disk cannot be written, Cancelled.
    """
    tensors = dict(_tensors(built))
    config = {"format": built.format, "modules": built.config, "notes": built.notes, "source": dict(source or {})}
    header: dict[str, Any] = {"__metadata__": {"config": json.dumps(config)}}
    at = 0
    for name, tensor in tensors.items():
        size = tensor.numel() * tensor.element_size()
        header[name] = {"dtype": _TYPES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [at, at + size]}
        at += size
    head = json.dumps(header, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    temporary = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name + ".", suffix=".part")
        with os.fdopen(descriptor, "wb") as file:
            file.write(len(head).to_bytes(8, "little") + head)
            for name, tensor in tensors.items():
                if stop():
                    raise Cancelled("The conversion was stopped.")
                if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
                    raise BadCheckpoint(f"The checkpoint's {name} holds numbers that are not finite; it was not kept.")
                raw = tensor.contiguous().view(-1)
                if raw.numel():
                    file.write(memoryview(raw.view(torch.uint8).numpy()))
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError as error:
        raise WeightsMissing(f"The converted file cannot be written: {error.strerror or error}.") from error
    finally:
        if temporary:
            Path(temporary).unlink(missing_ok=True)


def _tensors(built: BuiltCheckpoint) -> Iterator[tuple[str, Tensor]]:
    for name, module in built.modules.items():
        for key, tensor in module.state_dict().items():
            yield f"{name}.{key}", tensor.detach()
    for name, tensor in built.tensors.items():
        yield f"tensors.{name}", tensor.detach()


def open_model(folder: Path, files: Sequence[Path], adapters: Sequence[Adapter], what: str) -> BuiltCheckpoint:
    """A published model: its converted file in `folder`, or else the first of its published files.

    For one paper's own adapters; `library.load` knows those of all. Raises WeightsMissing, BadCheckpoint, UnsafeFile.
    """
    path = folder / CONVERTED
    if path.is_file():
        modules = {name: kind for adapter in adapters for name, kind in adapter.MODULES.items()}
        return read(path, modules, only=USED)
    if not files:
        raise WeightsMissing(
            f"{what} is not on this machine. Install it on the Models page, or with: gan-studio fetch {folder.name}"
        )
    return build_with(adapters, read_tensors(files[0]), files[0].name)


def read(path: Path, modules: Modules, *, only: tuple[str, ...] | None = None) -> BuiltCheckpoint:
    """The checkpoint of a file that `write` made, its modules in evaluation mode on the CPU.

    modules: the class of each; only: the modules that are wanted, others are not read.
    Raises WeightsMissing if there is no such file, BadCheckpoint if it is damaged or of another kind.
    """
    if not path.is_file():
        raise WeightsMissing(f"The weights file {path.name} is not on this machine.")
    try:
        with safe_open(str(path), framework="pt", device="cpu") as file:
            config = json.loads((file.metadata() or {}).get("config", "{}"))
            _check_numbers(config["modules"])
            names = [name for name in config["modules"] if only is None or name in only]
            parts: dict[str, dict[str, Tensor]] = {name: {} for name in (*names, "tensors")}
            for key in file.keys():  # noqa: SIM118 (no mapping)
                part, _, rest = key.partition(".")
                if part in parts:
                    # A copy: where the file is cut short later, using what is mapped of it would end the process.
                    parts[part][rest] = file.get_tensor(key).clone()
        built = {
            name: load_strict(laid_out(modules[name], **config["modules"][name]), parts[name], name) for name in names
        }
    except (SafetensorError, OSError, *_FAULTS) as error:
        raise BadCheckpoint(f"The weights file {path.name} is damaged or of another kind; install it again.") from error
    described = {name: config["modules"][name] for name in names}
    return BuiltCheckpoint(config["format"], built, parts["tensors"], described, notes=config.get("notes", []))


def _check_numbers(described: Any) -> None:
    """Raise ValueError if a description holds a number that no network has: laying it out would take for ever."""
    values = described.values() if isinstance(described, dict) else described if isinstance(described, list) else ()
    for value in values:
        if isinstance(value, (int, float)) and not -_LARGEST <= value <= _LARGEST:
            raise ValueError(f"a network of {value}")
        _check_numbers(value)
