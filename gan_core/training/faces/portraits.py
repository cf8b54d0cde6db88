"""Reads the portraits folder for the training and evaluation of the finder."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from gan_core.errors import BadValue
from gan_core.faces.geometry import apply_affine, invert_affine
from gan_core.training.table import read_table

REGISTERED = 5.0  # grey levels: largest residual of a bust's registration that is accepted


@dataclass(frozen=True)
class Portrait:
    """One portrait: path of its aligned crop, path of the wider picture (or None) with the map from crop pixels to it,
    and its 478 face-mesh points in crop pixels."""

    name: str
    person: str
    face: Path
    bust: Path | None
    to_bust: np.ndarray | None
    mesh: np.ndarray


def read_portraits(data: Path, busts: Path | None = None) -> list[Portrait]:
    """All portraits of a folder with face/, landmarks.npz, portraits.csv and transfer.npz (`transfer.py`).

    busts: folder of the wider pictures; by default `bust/` in the folder, or a sibling named `<folder>_bust`.
    Raises BadValue where something needed is missing.
    """
    for name in ("landmarks.npz", "portraits.csv"):
        if not (data / name).exists():
            raise BadValue(f"The portraits folder has no {name}.")
    if busts is None:
        busts = next((p for p in (data / "bust", data.with_name(data.name + "_bust")) if p.is_dir()), None)
    with np.load(data / "landmarks.npz") as stored:
        meshes = dict(zip(stored["id"].tolist(), stored["xy"].astype(np.float64), strict=True))
    transfers: dict[str, np.ndarray] = {}
    if busts is not None and (data / "transfer.npz").exists():
        with np.load(data / "transfer.npz") as stored:
            transfers = {
                name: matrix.astype(np.float64)
                for name, matrix, residual in zip(
                    stored["id"].tolist(), stored["matrix"], stored["residual"], strict=True
                )
                if residual < REGISTERED
            }
    people = {name: row["person"] for name, row in read_table(data / "portraits.csv").items()}
    found = []
    for name, mesh in sorted(meshes.items()):
        face = data / "face" / f"{name}.jpg"
        bust = None if busts is None or name not in transfers else busts / f"{name}.jpg"
        if not face.exists():
            continue
        known = bust is not None and bust.exists()
        found.append(
            Portrait(
                name,
                people.get(str(name), str(name)),
                face,
                bust if known else None,
                transfers[name] if known else None,
                mesh,
            )
        )
    return found


def read_pictures(paths: list[Path], size: int = 256) -> np.ndarray:
    """(N, 3, size, size) uint8."""

    def one(path: Path) -> np.ndarray:
        with Image.open(path) as image:
            picture = image.convert("RGB")
            return np.asarray(picture if picture.size == (size, size) else picture.resize((size, size)))

    with ThreadPoolExecutor() as pool:
        return np.stack(list(pool.map(one, paths))).transpose(0, 3, 1, 2)


def frame_to_crop(mesh: np.ndarray) -> np.ndarray:
    """2x3 map from the FFHQ frame (0..1) to the crop's pixels, near 256 times identity."""
    from gan_core.faces.geometry import face_from_five, ffhq_quad, five_points

    quad = ffhq_quad(face_from_five(five_points(mesh), 1.0))
    return np.stack([quad[3] - quad[0], quad[1] - quad[0], quad[0]], axis=1)


def pictures_and_maps(portraits: list[Portrait], points: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every crop and every bust as pictures (N, 3, 256, 256) uint8, maps (N, 2, 3) from the FFHQ frame to the
    picture in 0..1, and the chosen face-mesh points (N, P, 2) in the frame."""
    paths, maps, landmarks = [], [], []
    for portrait in portraits:
        crop = frame_to_crop(portrait.mesh)
        inside = apply_affine(invert_affine(crop), portrait.mesh[list(points)])
        paths.append(portrait.face)
        maps.append(crop / 256)
        landmarks.append(inside)
        if portrait.bust is not None and portrait.to_bust is not None:
            m = portrait.to_bust
            joined = np.concatenate([m[:, :2] @ crop[:, :2], apply_affine(m, crop[:, 2])[:, None]], axis=1)
            paths.append(portrait.bust)
            maps.append(joined / 256)
            landmarks.append(inside)
    return read_pictures(paths), np.stack(maps), np.stack(landmarks)
