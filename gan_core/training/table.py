"""Reads a collection's table (portraits.csv, people.csv): a row for each picture, with its `id` and labels."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from gan_core.errors import BadValue

Row = Mapping[str, str]
GENDERS = {"M": 0.0, "F": 1.0}


def read_table(path: Path, ids: Iterable[str] | None = None) -> dict[str, Row]:
    """Rows by id, in the table's order; only those of `ids` where these are given.

    Raises BadValue if there is no column "id", or no row of one of `ids`.
    """
    wanted = None if ids is None else set(ids)
    with path.open(newline="") as file:
        reader = csv.DictReader(file)
        if "id" not in (reader.fieldnames or ()):
            raise BadValue(f'{path.name} has no column "id", so it cannot say which pictures its rows are of.')
        rows: dict[str, Row] = {str(row["id"]): row for row in reader if wanted is None or row["id"] in wanted}
    if wanted is not None and not rows:
        raise BadValue(f"None of the pictures that {path.name} names is in the folder.")
    return rows


def numbers(rows: Sequence[Row], name: str) -> np.ndarray:
    """A column as float64 (N,), NaN where it is empty or no number."""

    def number(text: str | None) -> float:
        try:
            return float(text or "nan")
        except ValueError:
            return float("nan")

    return np.array([number(row.get(name)) for row in rows])


def genders(rows: Sequence[Row]) -> np.ndarray:
    """(N,), from the column "gender" or "sex": 0 for "M" (or "male"), 1 for "F", NaN where unknown."""
    named = [(row.get("gender") or row.get("sex") or "")[:1].upper() for row in rows]
    return np.array([GENDERS.get(name, float("nan")) for name in named])
