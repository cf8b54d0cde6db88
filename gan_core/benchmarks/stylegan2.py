"""Time of one picture: `python -m gan_core.benchmarks.stylegan2 [--generator FILE] [--batch N]`."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from gan_core.benchmarks.timer import measure, place, spread
from gan_core.checkpoints.embedded import build_from_file
from gan_core.stylegan2 import Generator
from ops_cuda import status

EMBEDDED = Path(__file__).resolve().parents[2] / "weights" / "portraits_face" / "generator.safetensors"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--generator", type=Path, default=EMBEDDED, help="weights file of this project's")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    device = torch.device(args.device)
    net = build_from_file(Generator, args.generator, "generator")[0].eval()
    net.to(device)
    with torch.inference_mode():
        w_plus = net.broadcast(net.mapping(torch.randn(args.batch, net.config["z_dim"], device=device)))
        found = measure(lambda: net.synthesis(w_plus), device, repeats=args.repeats)
    print(  # noqa: T201
        f"{net.resolution} px, batch {args.batch}, {place(device)}, ops: {status().name}: "
        f"{spread(found, args.batch)} a picture"
    )


if __name__ == "__main__":
    main()
