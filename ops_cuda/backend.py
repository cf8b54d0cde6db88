"""Chooses between the Triton kernel and the plain PyTorch reference of an operation, and says why."""

from __future__ import annotations

import importlib
import logging
import os
from dataclasses import dataclass
from types import ModuleType

import torch

log = logging.getLogger(__name__)

KERNEL_DTYPES = (torch.float32, torch.float16, torch.bfloat16)


@dataclass
class BackendStatus:
    """What runs the ops on CUDA tensors: `name` is "triton" or "reference", `reason` says why, and which kernels are
    off."""

    name: str
    reason: str


_status: BackendStatus | None = None
_off: dict[str, str] = {}  # kernels that failed, and how


def status() -> BackendStatus:
    """The back end for CUDA tensors in this process, decided once (CPU tensors always take the reference)."""
    global _status
    if _status is None:
        _status = _decide()
    return _status


def _decide() -> BackendStatus:
    if os.environ.get("GAN_STUDIO_OPS", "").lower() == "reference":
        return BackendStatus("reference", "chosen by GAN_STUDIO_OPS=reference")
    if not torch.cuda.is_available() and os.environ.get("TRITON_INTERPRET") != "1":
        return BackendStatus("reference", "no CUDA device")
    if torch.version.hip is None and torch.cuda.is_available() and torch.cuda.get_device_capability() < (7, 0):
        return BackendStatus("reference", "the GPU is older than Triton supports (compute capability 7.0)")
    try:
        importlib.import_module("triton")
    except ImportError as error:
        return BackendStatus("reference", f"Triton cannot be imported: {error}")
    return BackendStatus("triton", "kernels are compiled on first use")


def kernel_for(x: torch.Tensor, module: str, function: str = "forward") -> ModuleType | None:
    """The Triton module `ops_cuda.kernels.<module>` if its `function` can serve `x`, else None."""
    if x.dtype not in KERNEL_DTYPES or x.numel() == 0 or status().name != "triton" or f"{module}.{function}" in _off:
        return None
    if not x.is_cuda and os.environ.get("TRITON_INTERPRET") != "1":
        return None
    return importlib.import_module(f"ops_cuda.kernels.{module}")


def give_up(error: Exception, module: str, function: str = "forward") -> None:
    """Use the reference instead of this kernel for the rest of the process, with one warning that says which and why.
    Other kernels are not affected. Out of memory is no fault of the kernel; that error is raised again."""
    if isinstance(error, torch.OutOfMemoryError):
        raise error
    kernel = f"{module}.{function}"
    if kernel in _off:
        return
    _off[kernel] = f"{type(error).__name__}: {error}"
    status().reason = "; ".join(f"{name} failed and is off ({why})" for name, why in _off.items())
    log.warning("the GPU kernel %s is off, plain PyTorch does its work instead (slower): %s", kernel, _off[kernel])
