"""This project's Gaussian blur beside torchvision's: `python -m gan_core.benchmarks.blur`."""

from __future__ import annotations

import argparse
import math
from functools import partial

import torch

from gan_core.benchmarks.timer import Work, measure, place, spread
from gan_core.blur import gaussian_blur


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--sides", type=int, nargs="+", default=[256, 1024])
    parser.add_argument("--sigmas", type=float, nargs="+", default=[2.0, 6.0, 16.0])
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()
    from torchvision.transforms.v2 import functional as theirs

    device = torch.device(args.device)
    print(f"one picture of 3 channels, {place(device)}; milliseconds")  # noqa: T201
    for side in args.sides:
        x = torch.rand(1, 3, side, side, device=device)
        for sigma in args.sigmas:
            taps = 2 * math.ceil(2.5 * sigma) + 1  # as many as there are here
            works: list[Work] = [
                partial(gaussian_blur, x, sigma),
                partial(theirs.gaussian_blur, x, [taps, taps], [sigma, sigma]),
            ]
            ours, other = (measure(work, device, repeats=args.repeats) for work in works)
            print(  # noqa: T201
                f"{side} px, sigma {sigma:g}: here {spread(ours)}, torchvision {spread(other)}, "
                f"ratio {other.median / ours.median:.1f}"
            )


if __name__ == "__main__":
    main()
