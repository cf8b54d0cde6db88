"""The held-out people, chosen by a hash of their id so that every script has the same split."""

from __future__ import annotations

import zlib

HELD_OUT_PERCENT = 8


def is_held_out(person_id: str) -> bool:
    """Whether a person is held out: about 8 % of people, by the CRC-32 of the person's id."""
    return zlib.crc32(person_id.encode()) % 100 >= 100 - HELD_OUT_PERCENT
