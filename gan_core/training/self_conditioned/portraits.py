"""Aligned portraits and their labels from the table."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gan_core.errors import BadValue
from gan_core.training.data import find_pictures
from gan_core.training.table import numbers, read_table


@dataclass(frozen=True)
class Portraits:
    """Picture files, ids of the people in them, and label columns (N,) with NaN where unknown."""

    paths: list[Path]
    people: np.ndarray  # (N,) of names
    columns: dict[str, np.ndarray]

    def subset(self, chosen: np.ndarray) -> Portraits:
        """Those where `chosen` (N,) is true."""
        paths = [path for path, keep in zip(self.paths, chosen, strict=True) if keep]
        return Portraits(paths, self.people[chosen], {name: v[chosen] for name, v in self.columns.items()})

    @property
    def twice(self) -> np.ndarray:
        """(N,) bool: pictures of people who have two or more."""
        counts = Counter(self.people.tolist())
        return np.array([counts[person] > 1 for person in self.people])


def read_portraits(folder: Path, table: Path, columns: tuple[str, ...], limit: int | None = None) -> Portraits:
    """The pictures of `folder` that the table names, by their stems, in its column "id".

    columns: those to read as numbers. Raises BadValue if there are no such pictures, or no such column,
    and BadImage if there are none at all.
    """
    pictures = {path.stem: path for path in find_pictures(folder)}
    rows = list(read_table(table, pictures).values())[:limit]
    missing = [name for name in ("person", *columns) if name not in rows[0]]
    if missing:
        raise BadValue(f"{table.name} has no column {', '.join(missing)}.")
    values = {name: numbers(rows, name) for name in columns}
    paths = [pictures[row["id"]] for row in rows]
    return Portraits(paths, np.array([row["person"] for row in rows]), values)
