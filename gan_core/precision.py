"""The precision in which a device draws pictures fastest without a visible difference."""

from __future__ import annotations

import functools

import torch
from torch import nn

# Below this many parameters a CPU's gain is tens of milliseconds, and results stay the same on every machine instead.
LARGE = 30_000_000


def half_precision_pays(device: torch.device) -> bool:
    """Whether the device has matrix units for float16 (NVIDIA since compute capability 7.0, AMD's own)."""
    if device.type != "cuda":
        return False
    return torch.version.hip is not None or torch.cuda.get_device_capability(device) >= (7, 0)


@functools.cache
def cpu_has_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 itself (AVX-512 BF16 or AMX) and PyTorch can say so and use it."""
    capabilities = getattr(torch.cpu, "get_capabilities", None)  # not in older versions
    if capabilities is None or not torch.backends.mkldnn.is_available():
        return False
    has = capabilities()
    return bool(has.get("avx512_bf16") or has.get("amx_bf16"))


def drawing_dtype(device: torch.device, *networks: nn.Module) -> torch.dtype:
    """The default precision of drawing with these networks: float16 on a GPU with matrix units for it, bfloat16 for
    large networks on a CPU that has it, float32 otherwise. Optimisation and inversion choose theirs themselves."""
    if half_precision_pays(device):
        return torch.float16
    size = sum(parameter.numel() for network in networks for parameter in network.parameters())
    if device.type == "cpu" and size >= LARGE and cpu_has_bfloat16():
        return torch.bfloat16
    return torch.float32
