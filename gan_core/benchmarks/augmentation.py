"""This project's augmentation of training batches beside kornia's: `python -m gan_core.benchmarks.augmentation`.

Both move pictures (scale, stretch, turn, shift) and change their colours (brightness, contrast, saturation, hue) with
probability 0.5 each. kornia (only needed here: `pip install kornia`) makes its random choices on the host, so a step
with it cannot be recorded as a CUDA graph.
"""

from __future__ import annotations

import argparse

import torch

from gan_core.benchmarks.timer import measure, place, spread
from gan_core.training.augment import augment
from gan_core.training.diff_augment import diff_augment


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--resolution", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()
    import kornia.augmentation as kornia

    theirs = kornia.AugmentationSequential(
        kornia.RandomAffine(45.0, (0.2, 0.2), (0.8, 1.25), padding_mode="reflection", p=0.5),
        kornia.ColorJiggle(0.2, 0.3, 0.5, 0.5, p=0.5),
        same_on_batch=False,
    )
    device = torch.device(args.device)
    images = torch.rand(args.batch, 3, args.resolution, args.resolution, device=device)
    p = torch.tensor(0.5, device=device)
    print(f"{args.batch} pictures of {args.resolution} px, {place(device)}")  # noqa: T201
    for name, work in (
        ("kornia", lambda: theirs(images)),
        ("gan_core.training.augment", lambda: augment(images, p)),
        ("gan_core.training.diff_augment", lambda: diff_augment(images)),
    ):
        print(f"{name:34} {spread(measure(work, device, repeats=args.repeats))}")  # noqa: T201


if __name__ == "__main__":
    main()
