"""The contact sheet of the model card: `python -m gan_core.evaluation.hfgi.contact_sheet --weights weights --out
edits.jpg`.

Faces drawn by the embedded generator (nobody real), inverted and edited, one person a row.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from gan_core.hfgi.pipeline import HFGIPipeline, load_embedded
from gan_core.training.grids import save_grid

SLIDERS = (
    "smile",
    "age",
    "pose",
    "mouth_open",
    "eyes_open",
    "gender",
    "hair_length",
    "hair",
    "glasses",
    "beard",
    "lips",
)


@torch.inference_mode()
def draw_people(pipeline: HFGIPipeline, seeds: Sequence[int], psi: float = 0.7) -> Tensor:
    """One face (1, 3, R, R) in [-1, 1] a seed, below one another."""
    generator = pipeline.generator
    z = torch.cat(
        [torch.randn(1, generator.config["z_dim"], generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    ).to(pipeline.device)
    w = generator.mapping.truncate(generator.mapping(z), psi)
    return torch.cat([pipeline.decode(one).clamp(-1, 1) for one in generator.broadcast(w).split(1)])


def edit_rows(pipeline: HFGIPipeline, faces: Tensor, sliders: Sequence[str], reach: float = 3.0) -> tuple[Tensor, int]:
    """Pictures row by row, and the number of columns: face, plain inversion, with consultation, both ends of each
    slider; the upper one only of those whose lower end is nearer than `reach`.

    faces: (N, 3, R, R) in [-1, 1].
    """
    known = [name for name in sliders if name in pipeline.attributes]
    ends = [(name, end) for name in known for end in (-reach, reach) if end >= pipeline.attributes[name].low]
    pictures = []
    for face in faces.split(1):
        inversion = pipeline.invert(face)
        pictures += [face.to(pipeline.device), inversion.image.clamp(-1, 1), inversion.restored]
        pictures += [pipeline.edit(inversion, {name: end}) for name, end in ends]
    return torch.cat(pictures).cpu(), 3 + len(ends)


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--weights", type=Path, default=Path("weights"))
    parser.add_argument("--out", type=Path, required=True, help="JPEG or PNG to write")
    parser.add_argument("--seeds", type=int, nargs="+", default=[110, 114, 119, 126, 130, 133])
    parser.add_argument("--sliders", nargs="+", default=list(SLIDERS))
    parser.add_argument("--size", type=int, default=128, help="pixels a side of each picture")
    parser.add_argument("--faces-only", action="store_true", help="only the faces, to choose seeds from")
    args = parser.parse_args(arguments)
    pipeline = load_embedded(args.weights)
    faces = draw_people(pipeline, args.seeds)
    pictures, columns = (faces, 10) if args.faces_only else edit_rows(pipeline, faces, args.sliders)
    save_grid(F.interpolate(pictures, size=args.size, mode="area"), args.out, columns)


if __name__ == "__main__":
    main()
