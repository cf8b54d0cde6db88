"""The aligned faces to train on, with what is known of them: of one folder, or several collections of people.

--data FACES     a folder of portraits, named as `gan_core.training.data.person_of` reads; --labels is their table
--people PEOPLE  collections, see `gan_core.training.people`; --labels is a folder with a table for each, NAME.csv, and
                 optionally the points of the face mesh, NAME.npz (`id`, and `xy` of (N, 478, 2) pixels)
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from gan_core.errors import BadValue
from gan_core.self_conditioned.predictors import MEASURES, PEOPLE_MEASURES
from gan_core.training.data import find_pictures, load_pictures
from gan_core.training.data import person_of as portrait_of
from gan_core.training.people import MATTES, SHARES, is_held_out, parse_shares, person_of
from gan_core.training.split import is_held_out as portrait_held_out
from gan_core.training.table import Row, numbers, read_table

_CHEEKS = ((0.332, 0.617), (0.668, 0.617))  # of an aligned crop, across and down
_CHEEK = 0.031  # half the side of the squares that are measured there
_EYES = ((468, 33, 133), (473, 362, 263))  # iris, left and right corner as seen in the picture


@dataclass(frozen=True)
class Faces:
    """Pictures of real people and their labels.

    names: of the N pictures: the file's name without suffix; in people's data with the collection, "london/L001_03".
    people: (N,) ids. held_out: (N,) bool, of people kept out of training. columns: labels (N,), NaN where unknown.
    """

    names: tuple[str, ...]
    paths: list[Path]
    people: np.ndarray
    held_out: np.ndarray
    columns: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.names)

    def subset(self, chosen: np.ndarray) -> Faces:
        """Those where `chosen` (N,) is true."""
        rows = np.flatnonzero(chosen)
        return Faces(
            tuple(self.names[i] for i in rows),
            [self.paths[i] for i in rows],
            self.people[rows],
            self.held_out[rows],
            {name: column[rows] for name, column in self.columns.items()},
        )

    @property
    def twice(self) -> np.ndarray:
        """(N,) bool: pictures of people who have two or more."""
        counts = Counter(self.people.tolist())
        return np.array([counts[person] > 1 for person in self.people])

    def pictures(self, resolution: int) -> Tensor:
        """uint8 (N, 3, resolution, resolution), on the CPU."""
        return load_pictures(self.paths, resolution)


def add_data(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """The flags that `faces_of` and `measures_of` read."""
    data = parser.add_mutually_exclusive_group(required=required)
    data.add_argument("--data", type=Path, help="folder of aligned portraits")
    data.add_argument("--people", type=Path, help="folder of collections, see gan_core.training.people")
    parser.add_argument("--shares", default=SHARES, help="with --people: share of each collection in a batch")
    parser.add_argument("--labels", type=Path, help="table of --data, or folder with a table NAME.csv for each "
                        "collection of --people, and landmarks NAME.npz where they are known")  # fmt: skip


def faces_of(args: argparse.Namespace, limit: int | None = None) -> Faces:
    """What the flags name, of each collection at most `limit`; see `read_portraits` and `read_people_faces`."""
    if args.people is not None:
        return read_people_faces(args.people, list(parse_shares(args.shares)), args.labels, limit)
    return read_portraits(args.data, args.labels, limit=limit)


def measures_of(args: argparse.Namespace) -> tuple[str, ...]:
    """The columns that a predictor learns from this data."""
    return MEASURES if args.people is None else PEOPLE_MEASURES


def read_portraits(
    folder: Path, table: Path | None = None, columns: tuple[str, ...] = MEASURES, limit: int | None = None
) -> Faces:
    """The pictures of `folder`; with a table those that it names, by their stems, in its column "id".

    columns: those to read as numbers. Raises BadValue if there are no such pictures, or no such column,
    and BadImage if there are none at all.
    """
    pictures = {path.stem: path for path in find_pictures(folder)}
    if table is None:
        names = list(pictures)[:limit]
        people = [portrait_of(pictures[name]) for name in names]
        values = {}
    else:
        rows = list(read_table(table, pictures).values())[:limit]
        missing = [name for name in ("person", *columns) if name not in rows[0]]
        if missing:
            raise BadValue(f"{table.name} has no column {', '.join(missing)}.")
        names, people = [row["id"] for row in rows], [row["person"] for row in rows]
        values = {name: numbers(rows, name) for name in columns}
    held_out = np.array([portrait_held_out(person) for person in people])
    return Faces(tuple(names), [pictures[name] for name in names], np.array(people), held_out, values)


def read_people_faces(
    folder: Path, collections: Sequence[str], labels: Path | None = None, limit: int | None = None
) -> Faces:
    """All pictures of these collections, also of people held out, with `PEOPLE_MEASURES` where they are known.

    Raises BadValue if a table names none of its collection's pictures, BadImage if there are none.
    """
    parts = [_read_collection(folder, name, labels, limit) for name in collections]
    known = [name for name in PEOPLE_MEASURES if any(name in part.columns for part in parts)]

    def column(part: Faces, name: str) -> np.ndarray:
        return part.columns.get(name, np.full(len(part), np.nan))

    columns = {name: np.concatenate([column(part, name) for part in parts]) for name in known}
    if "gaze" in columns and "yaw_deg" in columns:
        columns["gaze"] = _without(columns["gaze"], columns["yaw_deg"])
    return Faces(
        tuple(name for part in parts for name in part.names),
        [path for part in parts for path in part.paths],
        np.concatenate([part.people for part in parts]),
        np.concatenate([part.held_out for part in parts]),
        columns,
    )


def _read_collection(folder: Path, collection: str, labels: Path | None, limit: int | None) -> Faces:
    pictures = {p.stem: p for p in find_pictures(folder / collection) if p.parent.name != MATTES}
    stems = list(pictures)[:limit]
    rows: dict[str, Row] = {}
    columns: dict[str, np.ndarray] = {}
    if labels is not None:
        rows = read_table(labels / f"{collection}.csv", stems)
        listed = [rows.get(stem, {}) for stem in stems]
        columns = {name: numbers(listed, name) for name in PEOPLE_MEASURES}
        columns = {name: values for name, values in columns.items() if np.isfinite(values).any()}
        columns["side_light"] = side_light(load_pictures([pictures[stem] for stem in stems], 256)).numpy()
        if (labels / f"{collection}.npz").is_file():
            columns["gaze"] = _gaze(labels / f"{collection}.npz", stems)
    held_out = np.array([is_held_out(collection, stem) for stem in stems])
    people = np.array([f"{collection}/{person_of(collection, stem)}" for stem in stems])
    names = tuple(f"{collection}/{stem}" for stem in stems)
    return Faces(names, [pictures[stem] for stem in stems], people, held_out, columns)


def side_light(pictures: Tensor) -> Tensor:
    """Logarithm of how much brighter the cheek at the picture's right is, (N,), of uint8 crops (N, 3, R, R)."""
    size = pictures.shape[-1]
    half, sides = max(round(_CHEEK * size), 1), []
    for x, y in _CHEEKS:
        across, down = round(x * size), round(y * size)
        part = pictures[..., down - half : down + half, across - half : across + half]
        sides.append((part.float().mean((1, 2, 3)) / 255 + 0.05).log())
    return sides[1] - sides[0]


def _gaze(path: Path, stems: Sequence[str]) -> np.ndarray:
    """How far the irises lie to the right of the eyes' middles, in widths of the eyes, (N,)."""
    with np.load(path) as stored:
        at = {str(name): i for i, name in enumerate(stored["id"])}
        points = stored["xy"].astype(np.float64)
    found = np.full(len(stems), np.nan)
    for i, stem in enumerate(stems):
        if stem in at:
            found[i] = np.mean([_along(points[at[stem]], *eye) for eye in _EYES]) - 0.5
    return found


def _along(points: np.ndarray, iris: int, left: int, right: int) -> float:
    """Where between two corners of an eye the iris lies: 0 at the left one, 1 at the right one."""
    across = points[right] - points[left]
    return float((points[iris] - points[left]) @ across / (across @ across))


def _without(values: np.ndarray, other: np.ndarray) -> np.ndarray:
    """`values` (N,) without what is linear in `other`: who turns the head to one side looks to the other."""
    known = np.isfinite(values) & np.isfinite(other)
    if known.sum() < 3:
        return values
    slope, offset = np.polyfit(other[known], values[known], 1)
    return values - slope * other - offset
