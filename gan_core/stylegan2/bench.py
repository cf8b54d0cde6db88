"""How long one picture takes: `python -m gan_core.stylegan2.bench [--generator FILE] [--batch N]`."""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import torch

from gan_core.checkpoints.embedded import build_from_file
from gan_core.stylegan2 import Generator
from ops_cuda import status

EMBEDDED = Path(__file__).resolve().parents[2] / "weights" / "portraits_face" / "generator.safetensors"


@torch.inference_mode()
def seconds_a_picture(net: Generator, batch: int, *, repeats: int, device: torch.device) -> list[float]:
    """Wall-clock seconds a picture, from w, of `repeats` runs after two that warm up."""
    w_plus = net.broadcast(net.mapping(torch.randn(batch, net.config["z_dim"], device=device)))
    times = []
    for _ in range(repeats + 2):
        if device.type == "cuda":
            torch.cuda.synchronize()
        begin = time.perf_counter()
        net.synthesis(w_plus)
        if device.type == "cuda":
            torch.cuda.synchronize()
        times.append((time.perf_counter() - begin) / batch)
    return times[2:]


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
    times = seconds_a_picture(net.to(device), args.batch, repeats=args.repeats, device=device)
    where = torch.cuda.get_device_name() if device.type == "cuda" else f"{args.threads} CPU threads"
    print(  # noqa: T201
        f"{net.resolution} px, batch {args.batch}, {where}, ops: {status().name}: "
        f"median {statistics.median(times) * 1000:.1f} ms a picture "
        f"({min(times) * 1000:.1f} to {max(times) * 1000:.1f})"
    )


if __name__ == "__main__":
    main()
