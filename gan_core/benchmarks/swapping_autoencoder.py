"""Time of a swap.

    python -m gan_core.benchmarks.swapping_autoencoder [--embedded] [--side 512] [--device cuda]

By default with the published architecture and random weights, on which the time does not depend; in the device's
default precision, on CUDA as recorded graphs.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
from torch import Tensor

from gan_core.benchmarks.timer import Work, measure, place, spread
from gan_core.swapping_autoencoder.networks import Encoder, SwappingGenerator
from gan_core.swapping_autoencoder.pipeline import SwappingAutoencoderPipeline, load_embedded
from ops_cuda import status

WEIGHTS = Path(__file__).resolve().parents[2] / "weights" / "people_swap"


def published_architecture(device: str) -> SwappingAutoencoderPipeline:
    """The networks of the authors' 256 and 512 pixel models (their default options), untrained."""
    torch.manual_seed(0)
    return SwappingAutoencoderPipeline(Encoder(), SwappingGenerator(), device=device)


def swap(pipe: SwappingAutoencoderPipeline, images: Tensor) -> Tensor:
    """Structure of the first, texture of the second of two pictures (2, 3, H, W), in one pass each."""
    structure, texture = pipe.read(images)
    return pipe.render(structure[:1], texture[1:])


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--embedded", action="store_true", help="the embedded model instead")
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.backends.cudnn.benchmark = True
    pipe = load_embedded(WEIGHTS, device=args.device) if args.embedded else published_architecture(args.device)
    images = torch.rand(2, 3, args.side, args.side, device=pipe.device) * 2 - 1
    codes = pipe.encode(images[:1])
    what = "embedded model" if args.embedded else "published architecture"
    sys.stdout.write(f"{what}, {args.side} px, {pipe.dtype}, {place(pipe.device)}, ops: {status().name}\n")
    with torch.inference_mode():
        rows: dict[str, Work] = {
            "swap": lambda: swap(pipe, images),
            "draw": lambda: pipe.draw(codes, [codes]),
        }
        for name, work in rows.items():
            sys.stdout.write(f"{name}: {spread(measure(work, pipe.device, repeats=args.repeats))}\n")


if __name__ == "__main__":
    main()
