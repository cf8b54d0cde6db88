"""The number of CPU threads: as many as this process may really run at once."""

from __future__ import annotations

import os
from pathlib import Path

_QUOTA = Path("/sys/fs/cgroup/cpu.max")  # "150000 100000": microseconds of each period; "max 100000": no limit


def available_cores(quota: Path = _QUOTA) -> int:
    """Cores that the process may use: those of its affinity, but no more than its container's CPU quota, rounded up.

    PyTorch counts the machine's cores; in a container with a small quota on a large machine so many threads slow each
    other down.
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
    """Set the number of PyTorch's threads to `available_cores`, unless OMP_NUM_THREADS is set. Imports torch."""
    if "OMP_NUM_THREADS" not in os.environ:
        import torch

        torch.set_num_threads(available_cores())
