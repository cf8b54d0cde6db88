"""HFGI as the StyleHEAT authors publish it, in three files: which one a file is, and all three as one checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gan_core.checkpoints.reader import read_tensors
from gan_core.errors import BadCheckpoint, WeightsMissing

FILES = ("hfgi.pth", "Encoder_e4e.pth", "StyleGAN_e4e.pth")
"""Consultation and alignment; encoder and mean latent; generator."""


def part_of(tree: Mapping[str, Any], name: str = "") -> str:
    """The name of the published file that these are the contents of; "" for any other file.

    name: what the file is called. The generator cannot be told from other conversions of the same network, so it counts
    under its own name only.
    """
    if isinstance(tree.get("aligner"), Mapping) and isinstance(tree.get("encoder"), Mapping):
        return FILES[0]
    if isinstance(tree.get("encoder"), Mapping) and "latent_avg" in tree and "state_dict" not in tree:
        return FILES[1]
    if name == FILES[2] and "conv1.conv.modulation.weight" in tree:
        return FILES[2]
    return ""


def join(folder: Path) -> dict[str, Any]:
    """The three files in `folder` as one checkpoint, laid out as the authors' ckpt.pt.

    Raises WeightsMissing if one is not there, BadCheckpoint or UnsafeFile if they are not what they should be.
    """
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise WeightsMissing(
            f"{', '.join(missing)} of the published HFGI weights are not on this machine. "
            "Fetch them with: python -m gan_core.checkpoints.fetch hfgi_ffhq"
        )
    consultation, encoder, generator = (read_tensors(folder / name) for name in FILES)
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
