"""The authors' HFGI for FFHQ, from the files that a person has fetched (weights/published.py, hfgi_ffhq).

Either the three files of the StyleHEAT release or the authors' single ckpt.pt is read; the edit directions
are the small files of HFGI's own repository.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gan_core.checkpoints import hfgi as adapter
from gan_core.checkpoints.keys import build_with
from gan_core.checkpoints.reader import read_tensors
from gan_core.errors import BadCheckpoint, WeightsMissing
from gan_core.hfgi.pipeline import EditDirection, HFGIPipeline

SINGLE_FILE = "ckpt.pt"
RELEASE_FILES = ("hfgi.pth", "Encoder_e4e.pth", "StyleGAN_e4e.pth")

# The authors' demo offers age and smile from -5 to 5 of their direction; sliders here go from -3 to 3.
_HYPERPLANE_SCALE = 5 / 3
_HYPERPLANES = {"smile": "Smile", "age": "Age", "pose": "Pose"}
# GANSpace component, first and past-the-end W+ index, and the demo's target in standard deviations.
_PRINCIPAL = {
    "eyes": ("Eyes", 54, 7, 8, 20.0),
    "beard": ("Beard", 58, 7, 9, -20.0),
    "lips": ("Lips", 34, 10, 11, 20.0),
}


def load_published(folder: Path) -> HFGIPipeline:
    """The pipeline at 1024 pixels from the files in `folder`.

    Raises WeightsMissing where files are missing, BadCheckpoint or UnsafeFile where they are damaged or of another
    kind.
    """
    built = build_with((adapter,), _read_networks(folder))
    num_ws = built.modules["generator"].num_ws
    return HFGIPipeline.from_checkpoint(built, _read_attributes(folder, num_ws))


def _read_networks(folder: Path) -> dict[str, Any]:
    if (folder / SINGLE_FILE).is_file():
        return read_tensors(folder / SINGLE_FILE)
    missing = [name for name in RELEASE_FILES if not (folder / name).is_file()]
    if missing:
        raise WeightsMissing(
            f"{', '.join(missing)} of the published HFGI weights are not on this machine. "
            "Fetch them with: python -m gan_core.checkpoints.fetch hfgi_ffhq"
        )
    consultation, encoder, generator = (read_tensors(folder / name) for name in RELEASE_FILES)
    try:
        parts = {
            "residue": consultation["encoder"],
            "grid_align": consultation["aligner"],
            "encoder": encoder["encoder"],
            "decoder": generator,
        }
        state = {f"{part}.{key}": value for part, tensors in parts.items() for key, value in tensors.items()}
        return {"state_dict": state, "latent_avg": encoder["latent_avg"]}
    except (KeyError, AttributeError) as error:
        raise BadCheckpoint("The files of the published HFGI weights do not belong together.") from error


def _read_attributes(folder: Path, num_ws: int) -> dict[str, EditDirection]:
    attributes = {}
    for name, label in _HYPERPLANES.items():
        path = folder / f"{name}.pt"
        if path.is_file():
            direction = _tensor(read_tensors(path).get("tensor"), path).reshape(-1, 512).expand(num_ws, -1)
            attributes[name] = EditDirection(name, label, direction * _HYPERPLANE_SCALE)
    path = folder / "ffhq_pca.pt"
    if path.is_file():
        table = read_tensors(path)
        components, deviations = _tensor(table.get("comp"), path), _tensor(table.get("std"), path)
        for name, (label, index, start, end, target) in _PRINCIPAL.items():
            direction = torch.zeros(num_ws, components.shape[-1])
            direction[start:end] = components[index].reshape(-1) * deviations[index] * (target / 3)
            attributes[name] = EditDirection(name, label, direction, kind="principal")
    return attributes


def _tensor(value: Any, path: Path) -> Tensor:
    if not isinstance(value, Tensor):
        raise BadCheckpoint(f"{path.name} holds no tensor where an edit direction should be.")
    return value.float()
