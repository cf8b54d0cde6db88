"""Regression cases: what the fuzzer found (see `fuzz.py`)."""

from __future__ import annotations

from tests.hostile.cases import Case


def cases() -> list[Case]:
    """All of these."""
    return []
