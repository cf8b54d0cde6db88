"""The authors' HFGI for FFHQ, and e4e for FFHQ without consultation, from the files that a person has fetched.

They are the entries hfgi_ffhq and e4e_ffhq of weights/published.py. Of HFGI either the three files of the StyleHEAT
release or the authors' single ckpt.pt is read; the edit directions are the small files of HFGI's own repository.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from gan_core.checkpoints import hfgi as adapter
from gan_core.checkpoints.converted import USED, read
from gan_core.checkpoints.hfgi_parts import join
from gan_core.checkpoints.keys import BuiltCheckpoint, build_with
from gan_core.checkpoints.reader import read_tensors
from gan_core.errors import BadCheckpoint
from gan_core.faces.whole import WIDE_ROWS
from gan_core.hfgi.models import principal_sliders
from gan_core.hfgi.networks import CONDITION_SIZE, ConsultationEncoder, DistortionAlignment
from gan_core.hfgi.pipeline import EditDirection, HFGIPipeline
from gan_core.perceptual import load_embedded_features
from gan_core.stylegan2 import Generator
from weights import catalogue
from weights.published import CONVERTED

SINGLE_FILES = ("ckpt.pt", *(f"e4e_{name}_encode.pt" for name in ("ffhq", "cars", "church", "horse")))
"""HFGI's own, and e4e's, which have no consultation."""

# The authors' demo offers age and smile from -5 to 5 of their direction; sliders here go from -3 to 3.
_HYPERPLANE_SCALE = 5 / 3
_SAMPLES = 4096  # of the latents, for their principal directions
_HYPERPLANES = {"smile": "Smile", "age": "Age", "pose": "Pose"}
# GANSpace component, first and past-the-end W+ index, and the demo's target in standard deviations.
_PRINCIPAL = {
    "eyes": ("Eyes", 54, 7, 8, 20.0),
    "beard": ("Beard", 58, 7, 9, -20.0),
    "lips": ("Lips", 34, 10, 11, 20.0),
}


def load_published(folder: Path, *, wide: bool = False) -> HFGIPipeline:
    """The pipeline from the files in `folder`. wide: its pictures are of 4 to 3, between black bars.

    Raises WeightsMissing where files are missing, BadCheckpoint or UnsafeFile where they are damaged or of another
    kind.
    """
    built = with_consultation(_read_networks(folder))
    generator = cast(Generator, built.modules["generator"])
    attributes = _read_attributes(folder, generator.num_ws) or principal_directions(generator)
    features = load_embedded_features(catalogue.FOLDER)
    pipeline = HFGIPipeline.from_checkpoint(built, attributes, features=features)
    if wide:
        pipeline.rows = WIDE_ROWS
    return pipeline


@torch.no_grad()
def principal_directions(generator: Generator) -> dict[str, EditDirection]:
    """What `principal_sliders` names: the directions in which the generator's latents vary most, the first the most;
    a strength of 1 is a standard deviation (GANSpace, Haerkoenen et al. 2020)."""
    z = torch.randn(_SAMPLES, generator.mapping.z_dim, generator=torch.Generator().manual_seed(1))
    w = generator.mapping(z)
    _, lengths, components = torch.linalg.svd(w - w.mean(0), full_matrices=False)
    sliders = principal_sliders()
    found = {}
    for slider, length, component in zip(sliders, lengths, components, strict=False):
        component = component * component[component.abs().argmax()].sign()  # else the sign is the library's choice
        step = (component * length / (_SAMPLES - 1) ** 0.5).expand(generator.num_ws, -1)
        found[slider.name] = EditDirection(slider.name, slider.label, step, kind="principal")
    return found


def with_consultation(built: BuiltCheckpoint) -> BuiltCheckpoint:
    """The checkpoint, where it is e4e alone with a consultation that says nothing: a scale and a shift of 0, so that
    what is drawn is e4e's own inversion. Its networks are as small as they can be."""
    if "consultation" in built.modules:
        return built
    channels = next(
        block.conv.weight.shape[0]
        for i, block in enumerate(built.modules["generator"].synthesis.blocks)
        if built.modules["generator"].config["start_shape"][0] << i == CONDITION_SIZE
    )
    consultation = ConsultationEncoder(channels, (4, 4, 4), blocks=1, hidden=4)
    with torch.no_grad():
        for head in (consultation.scale, consultation.shift):
            head[1].weight.zero_()
            head[1].bias.zero_()
    alignment = DistortionAlignment((4, 4, 4, 4), blocks=2)
    for module in (alignment, consultation):
        module.eval().requires_grad_(False)
    return replace(built, modules={**built.modules, "alignment": alignment, "consultation": consultation})


def _read_networks(folder: Path) -> BuiltCheckpoint:
    if (folder / CONVERTED).is_file():
        return read(folder / CONVERTED, adapter.MODULES, only=USED)
    single = next((folder / name for name in SINGLE_FILES if (folder / name).is_file()), None)
    return build_with((adapter,), join(folder) if single is None else read_tensors(single))


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
