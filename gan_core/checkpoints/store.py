"""This project's own weight files: safetensors with the constructor's arguments beside the tensors."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from gan_core.errors import BadCheckpoint, WeightsMissing


def save(
    path: str | os.PathLike[str],
    tensors: Mapping[str, torch.Tensor],
    *,
    config: Mapping[str, Any],
    half: bool = True,
) -> None:
    """Write `tensors` and `config` (anything JSON can hold) to `path`, complete or not at all.

    With `half`, floating-point tensors are stored as float16; a value beyond float16's range keeps its
    tensor in float32. The file appears under its name only once it is whole (temporary file in the same
    folder, then rename).
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    stored = {name: _stored(tensor.detach(), half) for name, tensor in tensors.items()}
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name + ".", suffix=".part")
    os.close(descriptor)
    try:
        save_file(stored, temporary, metadata={"config": json.dumps(dict(config))})
        os.chmod(temporary, 0o644)  # mkstemp makes it private; weights are meant to be read
        os.replace(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)


def _stored(tensor: torch.Tensor, half: bool) -> torch.Tensor:
    tensor = tensor.to("cpu")
    if tensor.is_floating_point():
        fits = half and (tensor.numel() == 0 or bool(tensor.abs().max() < torch.finfo(torch.float16).max))
        tensor = tensor.to(torch.float16 if fits else torch.float32)
    return tensor.clone(memory_format=torch.contiguous_format)  # two names of one memory are written twice


def read(path: str | os.PathLike[str]) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """The tensors (floating-point ones as float32, on the CPU) and the config of a file written by `save`.

    Raises WeightsMissing if there is no such file, BadCheckpoint if it is damaged.
    """
    path = Path(path)
    if not path.is_file():
        raise WeightsMissing(f"The weights file {path.name} is not on this machine.")
    try:
        with safe_open(str(path), framework="pt", device="cpu") as file:
            config = json.loads((file.metadata() or {}).get("config", "{}"))
            tensors = {name: _kept(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118 (no mapping)
    except (SafetensorError, OSError, ValueError) as error:
        raise BadCheckpoint(f"The weights file {path.name} is damaged; fetch it again.") from error
    return tensors, config


def _kept(tensor: torch.Tensor) -> torch.Tensor:
    """A copy, floating-point numbers as float32. safe_open's own is the file, mapped into memory: where that is cut
    short later, using the tensor would end the process."""
    return tensor.to(torch.float32 if tensor.is_floating_point() else tensor.dtype, copy=True)
