"""The model card's picture and times.

    python -m gan_core.evaluation.self_conditioned.contact_sheet --weights WEIGHTS --out FILE

For each attribute and seed, the attribute from 0 to 1: by this method above, by the plain direction below. The faces
are of nobody real. It also measures the time of a moved slider and of a filmstrip on this machine.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from gan_core.self_conditioned.pipeline import SelfConditionedPipeline, load_embedded
from gan_core.training.grids import save_grid
from gan_core.training.self_conditioned.base import add_base, base_generator


def draw_contact_sheet(
    pipe: SelfConditionedPipeline, seeds: list[int], count: int, side: int, psi: float, *, plain: bool = True
) -> Tensor:
    """Filmstrips (rows * count, 3, side, side), two rows for each attribute and seed; one without the plain one."""
    rows = []
    for attribute in pipe.attributes:
        for seed in seeds:
            code = pipe.random_face(seed, psi)
            ways = (False, True) if plain else (False,)
            rows += [pipe.filmstrip(code, attribute.name, count, plain=way) for way in ways]
    return F.interpolate(torch.cat(rows), (side, side), mode="area")


def seconds(work: Callable[[], object], times: int) -> float:
    """Median duration of `work`, after one call that does not count."""
    work()
    taken = []
    for _ in range(times):
        begin = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    add_base(parser)
    parser.add_argument("--own", type=Path, help="folder of the model's three files; in --weights if not given")
    parser.add_argument("--out", type=Path, required=True, help="picture to write")
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--count", type=int, default=9, help="pictures a strip")
    parser.add_argument("--side", type=int, default=128, help="pixels of each picture's side")
    parser.add_argument("--psi", type=float, default=0.7)
    parser.add_argument("--without-plain", action="store_true", help="leave out the plain direction's rows")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--times", type=int, default=5, help="repetitions of what is timed; 0: no timing")
    args = parser.parse_args()
    pipe = load_embedded(
        args.weights, own=args.own, plain=base_generator(args), encode=lambda images: images, device=args.device
    )
    seeds, plain = [int(seed) for seed in args.seeds.split(",")], not args.without_plain
    sheet = draw_contact_sheet(pipe, seeds, args.count, args.side, args.psi, plain=plain)
    save_grid(sheet, args.out, args.count, quality=88)
    if args.times:
        code, name = pipe.random_face(0), pipe.space.names[0]

        def slider() -> None:
            pipe.edit(code, {name: 0.9})
            pipe.edit_plain(code, {name: 0.9})

        facts = {
            "slider_both_sides": seconds(slider, args.times),
            "filmstrip_of_9": seconds(lambda: pipe.filmstrip(code, name, 9), args.times),
        }
        print(json.dumps({key: round(value, 3) for key, value in facts.items()}))  # noqa: T201


if __name__ == "__main__":
    main()
