"""Which people are kept out of training, decided by their id alone so that every script agrees."""

from __future__ import annotations

import zlib

HELD_OUT_PERCENT = 8


def is_held_out(person_id: str) -> bool:
    """True for about the last 8 % of people, by the CRC-32 of the person's id (all portraits of one together)."""
    return zlib.crc32(person_id.encode()) % 100 >= 100 - HELD_OUT_PERCENT
