"""Networks from this project's own weight files."""

from __future__ import annotations

import inspect
from pathlib import Path

from torch import Tensor, nn

from gan_core.checkpoints import store
from gan_core.checkpoints.keys import load_strict, refused
from gan_core.stylegan2 import Generator


def build_from_file(cls: type[nn.Module], path: Path, what: str) -> tuple[nn.Module, dict[str, Tensor]]:
    """A network of `cls` from a file written by `store.save`, and its tensors that are not the network's (latent_avg).

    `what` names the network in error messages. Raises WeightsMissing, or BadCheckpoint on a misfit.
    """
    tensors, config = store.read(path)
    # trainers keep notes of their own beside the constructor's arguments
    known = {name for base in cls.__mro__ for name in inspect.signature(base).parameters}
    with refused(f"The file {path.name}"):
        network = cls(**{name: value for name, value in config.items() if name in known})
        extra = {name: tensors.pop(name) for name in ("latent_avg",) if name in tensors}
        return load_strict(network, tensors, what), extra


def load_face_generator(folder: Path | str, name: str = "portraits_face") -> Generator:
    """A face generator that ships with the project, in `folder` (weights/), in evaluation mode.

    Reads NAME/generator.safetensors: portraits_face, which knows one parliament's faces, or people_face, which was
    trained on from it and knows more kinds of people. Raises WeightsMissing or BadCheckpoint.
    """
    path = Path(folder) / name / "generator.safetensors"
    generator, _ = build_from_file(Generator, path, "generator")
    return generator
