"""How many CPU threads pay: those that this process may really run at once."""

from __future__ import annotations

import os
from pathlib import Path

_QUOTA = Path("/sys/fs/cgroup/cpu.max")  # "150000 100000": microseconds of each period; "max 100000": no limit


def available_cores(quota: Path = _QUOTA) -> int:
    """Cores that the process may use: its affinity, and at most its container's share of time, rounded up.

    PyTorch counts the machine's cores, and on a small share of a large machine its threads stand in each other's way.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    try:
        allowed, period = quota.read_text().split()
    except (OSError, ValueError):  # no such limit on this system
        return cores
    if allowed == "max":
        return cores
    return max(1, min(cores, -(-int(allowed) // int(period))))


def use_available_cores() -> None:
    """Set PyTorch's threads to `available_cores`, unless OMP_NUM_THREADS says how many. Imports torch."""
    if "OMP_NUM_THREADS" not in os.environ:
        import torch

        torch.set_num_threads(available_cores())
