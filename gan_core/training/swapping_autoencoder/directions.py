"""Fits a model's directions: domain vectors, and principal directions of the structure code.

    python -m gan_core.training.swapping_autoencoder.directions --weights FOLDER --data FOLDER ...
    python -m gan_core.training.swapping_autoencoder.directions --weights FOLDER --people FOLDER --labels TABLES

A domain vector (Park et al., NeurIPS 2020, section 4.3) is the mean texture code of pictures with some property minus
that of pictures without it. The two sets come from a column of labels (--labels CSV, with the portraits' columns), from
measures of the pixels, or from two folders (--pair snow=WINTER,SUMMER). If the sets also differ in another property,
the difference is taken within groups of equal values of it; with several collections of people (--people,
`gan_core.training.people`) always within each of them. A vector is kept if it separates held-out pictures of the
two sets. The file directions.safetensors beside the model's weights also gets principal directions of the structure
code and the three components of its channels that are shown as colours.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gan_core.checkpoints import store
from gan_core.checkpoints.embedded import build_from_file
from gan_core.errors import BadValue
from gan_core.swapping_autoencoder.networks import Encoder, unit_length
from gan_core.training.data import find_pictures, load_pictures, person_of
from gan_core.training.people import SHARES, parse_shares, read_people
from gan_core.training.split import is_held_out
from gan_core.training.table import genders, numbers, read_table

log = logging.getLogger(__name__)
Columns = dict[str, np.ndarray]
KEEP = 0.65  # least area under the ROC curve on held-out pictures of a domain vector that is kept
CORRELATED = 0.6  # least correlation with a column by which a direction of the structure code is named
SMALLEST_GROUP = 4
COLLECTION = "collection"  # the column that says of which collection a picture is, where there are several


@dataclass(frozen=True)
class VectorTarget:
    """A domain vector: pictures with high values of a column against those with low values."""

    name: str
    label: str
    column: str
    within: tuple[str, ...] = ()  # columns of two values; the difference is taken within groups of equal values
    share: float = 1 / 3  # of the pictures in each set; with a column of two values all are used
    low: float = -1.0  # beyond it colours degrade
    high: float = 1.0
    note: str = ""


TARGETS = (
    VectorTarget(
        "older",
        "Older",
        "age",
        ("gender", "studio"),
        low=-2.0,
        high=2.0,
        note="skin, hair and their light; the shape stays",
    ),
    VectorTarget("light_hair", "Light hair", "hair", ("gender", "studio"), low=-1.5, high=1.5),
    VectorTarget("woman", "Man to woman", "gender", ("studio",), low=-1.5, high=1.5, note="of colours and surfaces"),
    VectorTarget("studio", "New studio", "studio", ("gender",), note="the light and backdrop of 2023 instead of 2013"),
    VectorTarget("grey", "Black and white", "grey", ("gender",), low=-0.5),
    VectorTarget("bright", "Bright", "brightness", ("studio",)),
    VectorTarget("contrast", "Hard light", "contrast", ("studio", "gender")),
    VectorTarget("warm", "Warm colours", "warmth", ("studio",)),
    VectorTarget("vivid", "Vivid colours", "saturation", ("studio",)),
)
# Names of principal directions of the structure code, by the column that they correlate with.
SHAPES = {
    "yaw_deg": ("turn", "Turn the head"),
    "mouth_open": ("mouth", "Open mouth"),
    "mouth_width": ("mouth_width", "Wide mouth"),
    "corner_lift": ("smile", "Smile"),
    "gender": ("build", "Build: man to woman"),
    "age": ("age_shape", "Build: young to old"),
    "backdrop": ("backdrop", "Shape against the backdrop"),
}


def pixel_columns(images: Tensor) -> Columns:
    """Measures (N,) of the pixels of pictures (N, 3, H, W) in [-1, 1]: brightness, contrast, warmth (red minus blue),
    saturation, and for aligned faces the brightness above the forehead."""
    x = images.float()
    grey = x.mean(1)
    height, width = grey.shape[-2:]
    hair = grey[:, round(0.06 * height) : round(0.24 * height), round(0.41 * width) : round(0.59 * width)]
    columns = {
        "brightness": grey.mean((1, 2)),
        "contrast": grey.std((1, 2)),
        "warmth": (x[:, 0] - x[:, 2]).mean((1, 2)),
        "saturation": (x.amax(1) - x.amin(1)).mean((1, 2)),
        "hair": hair.mean((1, 2)),
        "backdrop": -grey[:, : height // 8, : width // 8].mean((1, 2)),
    }
    return {name: value.double().cpu().numpy() for name, value in columns.items()}


def label_columns(path: Path, ids: Sequence[str]) -> Columns:
    """Columns (N,) of the portraits' labels for pictures of these ids, NaN where unknown.

    Raises BadValue if no row fits a picture.
    """
    rows = read_table(path, ids)
    chosen = [rows.get(key, {}) for key in ids]
    names = ("age", "grey", "yaw_deg", "mouth_open", "mouth_width", "corner_lift")
    columns = {name: numbers(chosen, name) for name in names}
    columns["gender"] = genders(chosen)
    years = numbers(chosen, "year")
    columns["studio"] = np.where(np.isnan(years), np.nan, (years > 2018).astype(float))
    return columns


@dataclass(frozen=True)
class LabelledPictures:
    """What directions are fitted to."""

    pictures: Tensor
    """uint8 (N, 3, R, R)."""
    columns: Columns
    held_out: np.ndarray
    """(N,) bool: pictures of people, or files, that nothing is fitted to."""


def read_folder(folder: Path, labels: Path | None, resolution: int) -> LabelledPictures:
    """The pictures of one folder. labels: a table (CSV) of them."""
    paths = find_pictures(folder)
    pictures = load_pictures(paths, resolution)
    columns = pixel_columns(pictures.float() / 127.5 - 1)
    if labels is not None:
        columns |= label_columns(labels, [path.stem for path in paths])
    return LabelledPictures(pictures, columns, np.array([is_held_out(person_of(path)) for path in paths]))


def read_collections(folder: Path, tables: Path | None, resolution: int) -> LabelledPictures:
    """Several collections of people, prepared by `prepare_people`. tables: a folder with a NAME.csv of each."""
    shares = parse_shares(SHARES)
    parts = [read_people(folder, resolution, shares, held_out=held_out) for held_out in (False, True)]
    pictures = torch.cat([part.pictures for part in parts])
    stems = np.array([stem for part in parts for stem in part.stems])
    collection = torch.cat([part.collection for part in parts]).numpy()
    columns = pixel_columns(pictures.float() / 127.5 - 1) | {COLLECTION: collection.astype(float)}
    for number, name in enumerate(parts[0].names if tables is not None else ()):
        own = collection == number
        read = label_columns(Path(tables or "") / f"{name}.csv", [stem.split("/", 1)[1] for stem in stems[own]])
        for column, values in read.items():
            columns.setdefault(column, np.full(len(stems), np.nan))[own] = values
    return LabelledPictures(pictures, columns, np.repeat([False, True], [len(part) for part in parts]))


def two_sets(values: np.ndarray, share: float) -> tuple[np.ndarray, np.ndarray]:
    """The pictures with and without the property, (N,) bool each: by the two values, or the upper and lower share."""
    known = values[~np.isnan(values)]
    if len(np.unique(known)) <= 2:
        return values == known.max(initial=1), values == known.min(initial=0)
    low, high = np.quantile(known, [share, 1 - share])
    return values >= high, values <= low


def domain_vector(
    textures: Tensor, having: np.ndarray, lacking: np.ndarray, groups: np.ndarray | None = None
) -> Tensor | None:
    """Difference (D,) of the mean textures (N, D) of two sets, (N,) bool each; None where a set is too small.

    groups: (N,) numbers; the difference is taken within each and averaged by the smaller set's size.
    """
    groups = np.zeros(len(textures), int) if groups is None else groups
    total, weight = torch.zeros(textures.shape[1]), 0
    for group in np.unique(groups):
        inside = groups == group
        sets = [torch.from_numpy(inside & chosen) for chosen in (having, lacking)]
        count = min(int(s.sum()) for s in sets)
        if count >= SMALLEST_GROUP:
            total += count * (textures[sets[0]].mean(0) - textures[sets[1]].mean(0))
            weight += count
    return total / weight if weight else None


def separation(textures: Tensor, vector: Tensor, having: np.ndarray, lacking: np.ndarray) -> float:
    """How well the projection on a vector separates the two sets: area under the ROC curve, NaN if one is empty."""
    return area_under_curve((textures @ vector).numpy(), having, lacking)


def area_under_curve(scores: np.ndarray, having: np.ndarray, lacking: np.ndarray) -> float:
    """Share of pairs of one of each set, (N,) bool each, in which the first has the higher score; NaN if one is
    empty."""
    above = scores[having][:, None] - scores[lacking][None]
    return float(((above > 0) + 0.5 * (above == 0)).mean()) if above.size else float("nan")


def principal(structures: Tensor, count: int) -> tuple[Tensor, np.ndarray]:
    """The first directions (count, C, h, w) of structure codes (N, C, h, w), one standard deviation long, and the
    codes' coordinates (N, count) in standard deviations."""
    flat = structures.flatten(1)
    flat = flat - flat.mean(0)
    count = min(count, min(flat.shape) - 1)
    u, s, v = torch.linalg.svd(flat, full_matrices=False)
    deviation = s[:count] / len(flat) ** 0.5
    directions = (v[:count] * deviation[:, None]).unflatten(1, structures.shape[1:])
    return directions, (u[:, :count] * len(flat) ** 0.5).numpy()


def channel_colours(structures: Tensor) -> Tensor:
    """First three principal components (3, C) of the channels of structure codes (N, C, h, w)."""
    flat = structures.transpose(0, 1).flatten(1)
    covariance = torch.cov(flat.double())
    return torch.linalg.eigh(covariance).eigenvectors.flip(1)[:, :3].T.float()


@torch.inference_mode()
def read_codes(encoder: Encoder, pictures: Tensor, device: str) -> tuple[Tensor, Tensor]:
    """Structure (N, C, h, w) and texture (N, D) codes of pictures, uint8 (N, 3, R, R), on the CPU."""
    structures, textures = [], []
    for part in pictures.split(16):
        structure, texture = encoder(part.to(device).float() / 127.5 - 1)
        structures.append(structure.cpu())
        textures.append(texture.cpu())
    return torch.cat(structures), unit_length(torch.cat(textures))


def fit_textures(
    textures: Tensor, columns: Columns, held_out: np.ndarray, targets: Sequence[VectorTarget] = TARGETS
) -> tuple[dict[str, Tensor], list[dict]]:
    """The domain vectors that are valid on held-out pictures, and their entries for the file."""
    tensors, entries = {}, []
    for target in targets:
        if target.column not in columns:
            continue
        having, lacking = two_sets(columns[target.column], target.share)
        within = (*target.within, COLLECTION)
        shared = [np.nan_to_num(columns[name], nan=-1) for name in within if name in columns]
        groups = np.unique(np.stack(shared, 1), axis=0, return_inverse=True)[1].reshape(-1) if shared else None
        vector = domain_vector(textures, having & ~held_out, lacking & ~held_out, groups)
        if vector is None:
            log.info("%s: too few pictures", target.name)
            continue
        score = separation(textures, vector, having & held_out, lacking & held_out)
        log.info("%s: length %.3f, held-out area under the curve %.3f", target.name, vector.norm(), score)
        if score >= KEEP:
            tensors[target.name] = vector
            entries.append(
                {"name": target.name, "label": target.label, "kind": "texture", "low": target.low}
                | {"high": target.high, "note": target.note}
            )
    return tensors, entries


def fit_structures(structures: Tensor, columns: Columns, count: int) -> tuple[dict[str, Tensor], list[dict]]:
    """Principal directions of the structure code, rotated within their space towards named attributes.

    Components of nearly equal variance are arbitrary mixtures. So first, for each column of SHAPES, the direction that
    correlates most with it is chosen (if the correlation is at least 0.6); then directions perpendicular to the chosen
    ones are numbered. Each is one standard deviation long.
    """
    directions, coordinates = principal(structures, count)
    basis = np.zeros((0, len(directions)))  # unit vectors in the components' space, chosen so far
    named: list[Any] = []
    candidates = dict(SHAPES)
    while candidates and len(named) < len(directions):
        fits = {column: _fit(columns.get(column), coordinates, basis) for column in candidates}
        column = max(fits, key=lambda name: fits[name][0])
        strength, unit = fits[column]
        if strength < CORRELATED:
            break
        basis = np.vstack([basis, unit])
        name, label = candidates.pop(column)
        log.info("%s: correlation %.2f with %s", name, strength, column)
        named.append((name, label))
    complement = np.linalg.qr(np.vstack([basis, np.eye(len(directions))]).T)[0].T[len(basis) :]
    # QR may flip a component's sign; the remaining ones keep their own.
    signs = np.array([1.0 if row[np.abs(row).argmax()] > 0 else -1.0 for row in complement])
    rest = [(f"structure_{i + 1}", f"Structure {i + 1}") for i in range(len(complement))]
    tensors, entries = {}, []
    for (name, label), unit in zip([*named, *rest], [*basis, *(complement * signs[:, None])], strict=True):
        tensors[name] = torch.einsum("k,kchw->chw", torch.from_numpy(unit).float(), directions).contiguous()
        entries.append({"name": name, "label": label, "kind": "structure", "low": -2.0, "high": 2.0, "note": ""})
    return tensors, entries


def _fit(column: np.ndarray | None, coordinates: np.ndarray, basis: np.ndarray) -> tuple[float, np.ndarray]:
    """Greatest correlation of a column (N,) with a direction of coordinates (N, k) perpendicular to `basis` (m, k), and
    its unit vector."""
    column = np.full(len(coordinates), np.nan) if column is None else column
    known = ~np.isnan(column)
    if known.sum() < 20 or np.std(column[known]) == 0:
        return 0.0, np.zeros(coordinates.shape[1])
    values = (column[known] - column[known].mean()) / column[known].std()
    correlations = values @ coordinates[known] / known.sum()
    correlations -= basis.T @ (basis @ correlations)
    strength = float(np.linalg.norm(correlations))
    return strength, correlations / max(strength, 1e-9)


def fit_pair(encoder: Encoder, text: str, side: int, device: str) -> tuple[str, Tensor]:
    """A domain vector from "name=FOLDER_WITH,FOLDER_WITHOUT". Raises BadValue or BadImage."""
    name, _, folders = text.partition("=")
    having, _, lacking = folders.partition(",")
    if not (name and having and lacking):
        raise BadValue(f'"{text}" is not of the form name=FOLDER_WITH,FOLDER_WITHOUT.')
    means = [
        read_codes(encoder, load_pictures(find_pictures(folder), side), device)[1].mean(0)
        for folder in (having, lacking)
    ]
    return name, means[0] - means[1]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--weights", type=Path, required=True, help="folder of the model's encoder.safetensors")
    data = parser.add_mutually_exclusive_group(required=True)
    data.add_argument("--data", type=Path, help="folder of pictures")
    data.add_argument("--people", type=Path, help="folder of collections, see gan_core.training.people")
    parser.add_argument(
        "--labels",
        type=Path,
        help="CSV with columns id, age, gender, grey, year, yaw_deg, ...; of --people their folder",
    )
    parser.add_argument("--pair", action="append", default=[], help="name=FOLDER_WITH,FOLDER_WITHOUT; repeatable")
    parser.add_argument("--resolution", type=int, default=256)
    parser.add_argument("--principal", type=int, default=6, help="directions of the structure code")
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    encoder, _ = build_from_file(Encoder, args.weights / "encoder.safetensors", "encoder")
    encoder.to(args.device)
    read, folder = (read_folder, args.data) if args.people is None else (read_collections, args.people)
    given = read(folder, args.labels, args.resolution)
    pictures, columns, held_out = given.pictures, given.columns, given.held_out
    structures, textures = read_codes(encoder, pictures, args.device)
    mirrored, _ = read_codes(encoder, pictures.flip(3), args.device)
    tensors, entries = fit_textures(textures, columns, held_out)
    for text in args.pair:
        name, vector = fit_pair(encoder, text, args.resolution, args.device)
        tensors[name] = vector
        label = name.replace("_", " ").capitalize()
        entries.append({"name": name, "label": label, "kind": "texture", "low": -2.0, "high": 2.0, "note": ""})
    keep = torch.from_numpy(~held_out)
    both = torch.cat([structures[keep], mirrored[keep]])
    doubled = {
        name: np.concatenate([v[~held_out], (-1 if name == "yaw_deg" else 1) * v[~held_out]])
        for name, v in columns.items()
    }
    shapes, more = fit_structures(both, doubled, args.principal)
    tensors |= shapes | {"colours": channel_colours(structures)}
    store.save(args.weights / "directions.safetensors", tensors, config={"directions": entries + more})
    log.info("%s", json.dumps([entry["name"] for entry in entries + more]))


if __name__ == "__main__":
    try:
        main()
    except BadValue as error:
        raise SystemExit(str(error)) from error
