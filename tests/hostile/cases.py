"""A malformed file of the corpus, and how numbers in a well-formed one are replaced by wrong ones.

Everything is made anew by code and is the same in every run; no file of the corpus is stored.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

MARKER = "a-file-was-executed"
"""Name of the file that every piece of code in the corpus would make in the working folder, were it ever run."""
SECRET = "a-secret-file.txt"
"""Name of the file that files of the corpus point to; its contents must show up nowhere."""


@dataclass(frozen=True)
class Case:
    """One file."""

    kind: str
    """Which readers it is for: a key of `readers.READERS`."""
    name: str
    """Format, then what is wrong with it; unique among its kind."""
    data: bytes = field(repr=False)
    suffix: str = ""
    sound: bool | None = None
    """True: it must be read; False: it must be refused; None: either, as long as it is done properly."""

    @property
    def key(self) -> str:
        """Unique in the corpus."""
        return f"{self.kind}: {self.name}"

    def __str__(self) -> str:
        return f"{self.key} ({len(self.data)} bytes, {hashlib.sha256(self.data).hexdigest()[:12]})"

    @property
    def file_name(self) -> str:
        """For writing it out."""
        plain = "".join(letter if letter.isalnum() else "-" for letter in self.name)
        return f"{self.kind}-{plain}{self.suffix}"


@dataclass(frozen=True)
class Field:
    """A whole number in a file: where it lies, how many bytes it has, and "<" or ">"."""

    name: str
    at: int
    size: int
    order: str = ">"

    def read(self, data: bytes) -> int:
        """Its value."""
        return int.from_bytes(data[self.at : self.at + self.size], "big" if self.order == ">" else "little")

    def replaced(self, data: bytes, value: int) -> bytes:
        """The file with another value there; higher bits than fit are dropped."""
        raw = (value % (1 << 8 * self.size)).to_bytes(self.size, "big" if self.order == ">" else "little")
        return data[: self.at] + raw + data[self.at + self.size :]


def wrong_values(value: int, size: int) -> dict[str, int]:
    """Wrong values for a field of `size` bytes that holds `value`, by what they are."""
    top = (1 << 8 * size) - 1
    wanted = {
        "0": 0, "1": 1, "one more": value + 1, "one less": value - 1, "the most": top, "the least": top // 2 + 1,
        "large": top // 2,
    }  # fmt: skip
    found: dict[int, str] = {}
    for name, number in wanted.items():
        if number % (top + 1) != value:
            found.setdefault(number % (top + 1), name)
    return {name: number for number, name in found.items()}


def with_wrong_fields(
    data: bytes, fields: Iterable[Field], leave_out: Iterable[str] = ()
) -> Iterator[tuple[str, bytes]]:
    """(what is wrong, file) for each field and each wrong value, but for some kinds of wrong."""
    for one in fields:
        for name, value in wrong_values(one.read(data), one.size).items():
            if name in leave_out:
                continue
            yield f"{one.name} is {name}", one.replaced(data, value)


def cut_short(data: bytes, ends: Iterable[int]) -> Iterator[tuple[str, bytes]]:
    """The file cut at each of these places and one byte before it."""
    for end in sorted({max(0, place + shift) for place in ends for shift in (-1, 0) if place <= len(data)}):
        if end < len(data):
            yield f"cut after {end} bytes", data[:end]


def packed(order: str, **values: int) -> tuple[bytes, list[tuple[str, int, int]]]:
    """Whole numbers one after another, each named NAME_BYTES (width_4): the bytes, and (name, place, size) of each."""
    letters = {1: "B", 2: "H", 4: "I", 8: "Q"}
    raw, places = b"", []
    for name, value in values.items():
        word, _, size = name.rpartition("_")
        places.append((word, len(raw), int(size)))
        raw += struct.pack(order + letters[int(size)], value)
    return raw, places


def collect(kind: str, prefix: str, suffix: str, found: Iterable[tuple[str, bytes]], sound: bool | None = None):
    """Cases of named files; a file that was there before is left out."""
    cases, seen, names = [], set(), set()
    for name, data in found:
        if data in seen:
            continue
        seen.add(data)
        full = f"{prefix}, {name}"
        while full in names:
            full += " again"
        names.add(full)
        cases.append(Case(kind, full, data, suffix, sound))
    return cases
