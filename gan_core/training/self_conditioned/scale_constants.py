"""Scales a trained generator's constants by a factor for each attribute.

    python -m gan_core.training.self_conditioned.scale_constants IN OUT --by 1.4,1.2,1
    python -m gan_core.training.self_conditioned.scale_constants IN OUT --reach 40,30,0.15 --predictor P --directions D

A generator trained with the identity loss changes its attributes by less than the data's range. Here each attribute's
constants are multiplied by a factor, so that an edit goes further in the same direction; nothing else changes. With
--reach the factors are found: those with which a predictor measures such changes from value 0 to 1, on the average of
drawn faces, as far as factors up to `MOST` do.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from gan_core.checkpoints import store
from gan_core.checkpoints.embedded import build_from_file
from gan_core.errors import BadCheckpoint, BadValue, StudioError
from gan_core.self_conditioned.labels import KNOTS, weights_for_values
from gan_core.self_conditioned.networks import SelfConditionedGenerator
from gan_core.self_conditioned.predictors import FacePredictor, load_predictor
from gan_core.self_conditioned.space import AttributeSpace, load_space
from gan_core.training import distributed

log = logging.getLogger(__name__)

MOST = 2.5  # by which constants are multiplied: beyond, pictures break
ROUNDS = 3  # of measuring and scaling: changes do not grow in proportion


def scaled(constants: Tensor, factors: Sequence[float]) -> Tensor:
    """Constants (3 A, C, h, w) times their attribute's factor (A of them).

    Raises BadValue for another number of factors, or one that is not above 0.
    """
    if len(factors) * KNOTS != len(constants) or not min(factors) > 0:
        raise BadValue(f"Give {len(constants) // KNOTS} factors above 0, one an attribute.")
    return constants * constants.new_tensor(factors).repeat_interleave(KNOTS)[:, None, None, None]


@torch.no_grad()
def measured_reach(
    generator: SelfConditionedGenerator,
    space: AttributeSpace,
    predictor: FacePredictor,
    *,
    faces: int = 32,
    psi: float = 0.7,
    seed: int = 1,
) -> list[float]:
    """How far each attribute's measure goes from value 0 to 1, the mean of some drawn faces, in its own unit."""
    device = generator.constants.device
    z = torch.randn(faces, generator.config["z_dim"], generator=torch.Generator().manual_seed(seed)).to(device)
    w_plus = generator.broadcast(generator.mapping.truncate(generator.mapping(z), psi))
    own, found = space.values(w_plus), []
    for i, attribute in enumerate(space.attributes):
        ends = []
        for value in (0.0, 1.0):
            asked = own.clone()
            asked[:, i] = value
            images = torch.cat(
                [
                    generator.draw(w, weights)
                    for w, weights in zip(w_plus.split(16), weights_for_values(asked).split(16), strict=True)
                ]
            )
            ends.append(predictor.predict(images)[1][:, predictor.measures.index(attribute.measure)].mean())
        found.append(float(ends[1] - ends[0]))
    return found


def scale_to_reach(
    generator: SelfConditionedGenerator, space: AttributeSpace, predictor: FacePredictor, reach: Sequence[float]
) -> list[float]:
    """Scale the generator's constants in place until its attributes reach so far, by at most `MOST`; the factors.

    All networks are on one device. Raises BadValue for a reach of another length.
    """
    if len(reach) != len(space.names):
        raise BadValue(f"Give {len(space.names)} ranges, one an attribute: {', '.join(space.names)}.")
    start, factors = generator.constants.detach().clone(), [1.0] * len(reach)
    for _ in range(ROUNDS):
        found = measured_reach(generator, space, predictor)
        log.info("reach %s with factors %s", *({n: round(x, 3) for n, x in zip(space.names, v, strict=True)}
                                              for v in (found, factors)))  # fmt: skip
        for i, (far, wanted) in enumerate(zip(found, reach, strict=True)):
            # An edit that goes the wrong way, or nowhere, is not made stronger.
            step = wanted / far if far / wanted > 0.05 else 1.0
            factors[i] = min(max(factors[i] * min(step, 2.0), 1 / MOST), MOST)
        generator.constants.data.copy_(scaled(start, factors))
    return factors


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="file of a trained generator")
    parser.add_argument("out", type=Path, help="file to write")
    wanted = parser.add_mutually_exclusive_group(required=True)
    wanted.add_argument("--by", type=_factors, help="factors, one an attribute, as in: 1.4,1.2,1")
    wanted.add_argument("--reach", type=_factors, help="changes of the measures from 0 to 1 to scale to: 40,30,0.15")
    parser.add_argument("--predictor", type=Path, help="with --reach: file of the predictor that measures")
    parser.add_argument("--directions", type=Path, help="with --reach: file of the attributes' directions")
    parser.add_argument("--device", default="auto")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    state, config = store.read(args.source)
    if "constants" not in state:
        raise BadCheckpoint(f"{args.source.name} is no self-conditioned generator: it has no constants.")
    factors = args.by
    if factors is None:
        if args.predictor is None or args.directions is None:
            raise BadValue("--reach needs --predictor and --directions, to measure what the generator draws.")
        device = distributed.init(args.device).device
        generator = build_from_file(SelfConditionedGenerator, args.source, "generator")[0].eval().to(device)
        space, predictor = load_space(args.directions).to(device), load_predictor(args.predictor).to(device)
        factors = scale_to_reach(generator, space, predictor, args.reach)
        log.info("scaled by %s", json.dumps(factors))
    state["constants"] = scaled(state["constants"], factors)
    store.save(args.out, state, config={**config, "constants_scaled_by": factors})


def _factors(text: str) -> list[float]:
    return [float(part) for part in text.split(",")]


if __name__ == "__main__":
    try:
        main()
    except StudioError as error:
        raise SystemExit(str(error)) from error
