"""How well edits across the range keep the person, by dlib's identity network, which took part in no training here.

    python -m gan_core.evaluation.self_conditioned.second_opinion --people PEOPLE --labels TABLES

The edits are those of `evaluate.measure_across`, by this method and by the hyperplane's direction (Liu et al. 2022,
section 5). Prints, for each attribute, the difference of similarity below and beyond the 90th percentile of the data's
deviations, with standard errors over faces. Needs `pip install dlib-bin face-recognition-models`.
"""

from __future__ import annotations

import argparse
import json
import sys

import numpy as np
from torch import Tensor
from torch.nn import functional as F

from gan_core.evaluation.judges.identity import DlibIdentity
from gan_core.evaluation.self_conditioned.curves import compare
from gan_core.evaluation.self_conditioned.evaluate import OURS, PLAIN, Methods, measure_across, reference_values
from gan_core.self_conditioned.pipeline import load_embedded
from gan_core.training.self_conditioned.base import add_base, base_generator
from gan_core.training.self_conditioned.faces import add_data, faces_of


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_data(parser)
    add_base(parser)
    parser.add_argument("--faces", type=int, default=24)
    parser.add_argument("--sizes", type=int, default=3, help="values at either end, of each face and attribute")
    parser.add_argument("--psi", type=float, default=0.7)
    parser.add_argument("--limit", type=int, help="use only so many pictures of each collection (trials)")
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    judge = DlibIdentity()
    pipe = load_embedded(args.weights, plain=base_generator(args), encode=lambda images: images, device=args.device)
    methods, pictures = Methods(pipe), faces_of(args, args.limit).pictures(pipe.resolution)
    reference = reference_values(pipe, pictures)

    def identity(images: Tensor) -> Tensor:
        return F.normalize(judge.describe(((images + 1) * 127.5).round().byte()), dim=1)

    for i, attribute in enumerate(pipe.attributes):
        curves = measure_across(pipe, methods, i, args.faces, args.sizes, args.psi, identity=identity)
        away = np.abs(reference[:, i] - np.median(reference[:, i]))
        found = {name: round(value, 4) for name, value in compare(curves[OURS], curves[PLAIN], away).items()}
        means = {name: round(float(curve.similarity.mean()), 4) for name, curve in curves.items()}
        sys.stdout.write(json.dumps({attribute.name: {"difference": found, "mean": means}}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
