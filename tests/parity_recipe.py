"""Stand-in weights and inputs for published checkpoint formats, and the verdict on what a network makes of
them.

A fixture folder holds spec.json (a published format's key table, configuration, inputs and tolerance) and
expected.npz (the outputs that the authors' public code gave for the weights and inputs drawn here). All
numbers come from numpy's frozen legacy stream, seeded per name, so they are the same with every version of
numpy.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray
LABELS = ("one_hot", "onehot", "one-hot", "label")  # kinds of an input that is a label
CLASSES = ("classes", "class", "labels", "label", "indices", "index", "value")  # where it says which


def load(folder: Path) -> tuple[dict[str, Any], dict[str, Array]]:
    """A fixture's spec and expected outputs."""
    with np.load(folder / "expected.npz") as stored:
        return json.loads((folder / "spec.json").read_text()), dict(stored)


def draw(seed: int, name: str, shape: Sequence[int], scale: float = 1.0, offset: float = 0.0) -> Array:
    """offset + scale * N(0, 1) in float32, from a stream of the name's own."""
    stream = np.random.RandomState((zlib.crc32(name.encode()) ^ (seed * 2654435761)) & 0x7FFFFFFF)
    normal = stream.standard_normal(tuple(shape) or (1,)).astype(np.float32).reshape(tuple(shape))
    return np.asarray(offset + scale * normal, dtype=np.float32)


def weights(spec: dict[str, Any]) -> dict[str, Array]:
    """The checkpoint's tensors by published name."""
    result = {}
    for name, entry in spec["keys"].items():
        kind, shape = entry["kind"], entry["shape"]
        if kind == "constant":  # resampling filters: the published values
            result[name] = np.array(entry["value"], dtype=np.float32).reshape(shape)
        elif kind == "count":  # BatchNorm's num_batches_tracked
            result[name] = np.zeros(shape, dtype=np.int64)
        elif kind == "positive":
            normal = np.abs(draw(spec["seed"], name, shape))
            result[name] = np.asarray(entry["offset"] + entry["scale"] * normal, dtype=np.float32)
        else:
            result[name] = draw(spec["seed"], name, shape, entry["scale"], entry["offset"])
    return result


def inputs(spec: dict[str, Any]) -> dict[str, Array]:
    """The inputs by name: smooth images in [-1, 1], masks (1 = known), labels of one 1 a row, values given in full,
    normal draws."""
    makers = {"image": _image, "mask": _mask, "constant": _given, **dict.fromkeys(LABELS, _label)}
    return {
        name: makers.get(entry["kind"], _normal)(spec["seed"], name, entry) for name, entry in spec["inputs"].items()
    }


def _normal(seed: int, name: str, entry: dict[str, Any]) -> Array:
    return draw(seed, name, entry["shape"], entry.get("scale", 1.0), entry.get("offset", 0.0))


def _image(seed: int, name: str, entry: dict[str, Any]) -> Array:
    # a 16x16 grid of normal draws, interpolated bilinearly and squashed
    *lead, height, width = entry["shape"]
    grid = draw(seed, name, (*lead, 16, 16))
    y, x = np.linspace(0, 15, height), np.linspace(0, 15, width)
    y0, x0 = np.minimum(y.astype(int), 14), np.minimum(x.astype(int), 14)
    fy, fx = (y - y0)[:, None], (x - x0)[None, :]

    def corner(dy: int, dx: int) -> Array:
        return grid[..., y0 + dy, :][..., x0 + dx]

    top = corner(0, 0) * (1 - fy) * (1 - fx) + corner(0, 1) * (1 - fy) * fx
    bottom = corner(1, 0) * fy * (1 - fx) + corner(1, 1) * fy * fx
    return np.tanh(top + bottom).astype(np.float32)


def _given(_seed: int, _name: str, entry: dict[str, Any]) -> Array:
    return np.array(entry["value"], dtype=np.float32).reshape(entry["shape"])


def _label(seed: int, name: str, entry: dict[str, Any]) -> Array:
    """Rows with a single 1, at the classes that the entry gives; row i has class i where it gives none."""
    given = next((entry[key] for key in CLASSES if key in entry), None)
    rows, width = entry["shape"]
    if given is not None and np.shape(given) == (rows, width):
        return _given(seed, name, {**entry, "value": given})
    classes = np.arange(rows) % width if given is None else np.broadcast_to(given, (rows,))
    return np.eye(width, dtype=np.float32)[classes]


def _mask(_seed: int, _name: str, entry: dict[str, Any]) -> Array:
    mask = np.ones(entry["shape"], dtype=np.float32)
    height, width = mask.shape[-2:]
    mask[..., height // 4 : 3 * height // 4, width // 3 : 2 * width // 3] = 0
    mask[..., : height // 5, : width // 6] = 0
    return mask


def summarise(image: Array) -> dict[str, Array]:
    """What a fixture keeps of an image larger than 64x64: its 64x64 block means and a 48x48 window at the
    centre."""
    height, width = image.shape[-2:]
    if height <= 64 and width <= 64:
        return {"full": image}
    block_h, block_w = height // 64, width // 64
    cut = image[..., : block_h * 64, : block_w * 64]
    means = cut.reshape(*image.shape[:-2], 64, block_h, 64, block_w).mean((-3, -1))
    top, left = height // 2 - 24, width // 2 - 24
    return {"means": means.astype(np.float32), "window": image[..., top : top + 48, left : left + 48]}


def errors(expected: dict[str, Array], got: dict[str, Array]) -> dict[str, float]:
    """|got - expected| / |expected| per recorded array. Raises AssertionError if one is missing or
    misshapen."""
    result = {}
    for name, value in got.items():
        value = np.asarray(value, dtype=np.float32)
        whole = name in expected
        parts = {name: value} if whole else {f"{name}/{k}": v for k, v in summarise(value).items()}
        for part, array in parts.items():
            assert part in expected, f"{part} is not recorded"
            assert array.shape == expected[part].shape, f"{part}: {array.shape}, expected {expected[part].shape}"
            result[part] = float(np.linalg.norm(array - expected[part]) / (np.linalg.norm(expected[part]) + 1e-12))
    assert not expected.keys() - result.keys(), f"not produced: {sorted(expected.keys() - result.keys())}"
    return result
