"""Threads follow what a container allows."""

import os
from pathlib import Path

import pytest

from gan_core.threads import available_cores

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


@pytest.mark.parametrize(
    ("text", "cores"),
    [("max 100000", CORES), ("100000 100000", 1), ("50000 100000", 1), ("9900000 100000", CORES), ("odd", CORES)],
)
def test_quota(tmp_path: Path, text: str, cores: int) -> None:
    file = tmp_path / "cpu.max"
    file.write_text(text + "\n")
    assert available_cores(file) == cores


def test_no_quota(tmp_path: Path) -> None:
    assert available_cores(tmp_path / "nowhere") == CORES
