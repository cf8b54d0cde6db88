"""Interpolate between the weights of two trainings of one network.

    python -m gan_core.training.hfgi.blend BEFORE AFTER --share 0.65 --out OUT

Fine-tuning against a discriminator makes pictures sharper and squared errors larger. Networks with interpolated weights
still work; those in the middle have a lower squared error than both ends and are sharper than the start (Wortsman et
al. 2022, "Robust fine-tuning of zero-shot models"; Wang et al. 2018, "ESRGAN", section 3.4).
"""

from __future__ import annotations

import argparse
from pathlib import Path

from torch import Tensor

from gan_core.checkpoints import store
from gan_core.errors import BadCheckpoint, BadValue, WeightsMissing


def blend(before: dict[str, Tensor], after: dict[str, Tensor], share: float) -> dict[str, Tensor]:
    """before + share x (after - before), tensor by tensor; whole numbers (counters) as in `after`.

    Raises BadValue where share is not from 0 to 1, BadCheckpoint where the networks differ.
    """
    if not 0 <= share <= 1:
        raise BadValue(f"The share must be from 0 to 1, not {share:g}.")
    if {n: t.shape for n, t in before.items()} != {n: t.shape for n, t in after.items()}:
        raise BadCheckpoint("These are not two trainings of one network.")
    return {
        name: tensor.lerp(after[name], share) if tensor.is_floating_point() else after[name]
        for name, tensor in before.items()
    }


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("before", type=Path, help="weights file that training went on from")
    parser.add_argument("after", type=Path, help="weights file that came out")
    parser.add_argument("--share", type=float, default=0.65, help="0: as before, 1: as after")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args(arguments)
    (before, _), (after, config) = store.read(args.before), store.read(args.after)
    store.save(args.out, blend(before, after, args.share), config={**config, "_blend": args.share})


if __name__ == "__main__":
    try:
        main()
    except (BadCheckpoint, BadValue, WeightsMissing) as error:
        raise SystemExit(str(error)) from error
