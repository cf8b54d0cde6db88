"""Scales a trained generator's constants by a factor for each attribute.

    python -m gan_core.training.self_conditioned.scale_constants IN OUT --by 1.4,1.2,1

A generator trained with the identity loss changes its attributes by less than the data's range. Here each attribute's
constants are multiplied by a factor, so that an edit goes further in the same direction; nothing else changes.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from gan_core.checkpoints import store
from gan_core.errors import BadCheckpoint, BadValue, StudioError
from gan_core.self_conditioned.labels import KNOTS


def scaled(constants: Tensor, factors: Sequence[float]) -> Tensor:
    """Constants (3 A, C, h, w) times their attribute's factor (A of them).

    Raises BadValue for another number of factors, or one that is not above 0.
    """
    if len(factors) * KNOTS != len(constants) or not min(factors) > 0:
        raise BadValue(f"Give {len(constants) // KNOTS} factors above 0, one an attribute.")
    return constants * constants.new_tensor(factors).repeat_interleave(KNOTS)[:, None, None, None]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="file of a trained generator")
    parser.add_argument("out", type=Path, help="file to write")
    parser.add_argument("--by", required=True, type=_factors, help="factors, one an attribute, as in: 1.4,1.2,1")
    args = parser.parse_args()
    state, config = store.read(args.source)
    if "constants" not in state:
        raise BadCheckpoint(f"{args.source.name} is no self-conditioned generator: it has no constants.")
    state["constants"] = scaled(state["constants"], args.by)
    store.save(args.out, state, config={**config, "constants_scaled_by": args.by})


def _factors(text: str) -> list[float]:
    return [float(part) for part in text.split(",")]


if __name__ == "__main__":
    try:
        main()
    except StudioError as error:
        raise SystemExit(str(error)) from error
