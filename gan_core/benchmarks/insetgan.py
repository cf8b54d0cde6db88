"""Time of the joint optimisation (with random weights of the published sizes on a GPU).

    python -m gan_core.benchmarks.insetgan

On a GPU: a canvas of 1024x512 and a face of 1024x1024, channel_base 32768, 400 alternating steps. On the CPU: the
embedded portraits' size, 256x256. With --bodies: the size of the embedded whole bodies, 512x256, and a face of 256x256.
Weights are random; the time does not depend on them. The face finder is not run, because random weights draw no faces.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace

import torch
from torch import Tensor

from gan_core.benchmarks.timer import clock, place
from gan_core.insetgan.latents import GeneratorLatent, Inset, Schedule
from gan_core.insetgan.optimise import optimise
from gan_core.insetgan.regions import REGIONS, at_box
from gan_core.perceptual import DiscriminatorDistance
from gan_core.stylegan2 import Discriminator, Generator

BODIES = (512, (8, 4), 16384, 320, 256)
"""The canvas: resolution, start, channel_base, channel_max, w_dim."""
_FACE_ON_BODY = (0.30, 0.03, 0.70, 0.23)  # of a standing person in 1024x512


def measure(
    device: str, resolution: int, start: tuple[int, int], base: int, most: int, w_dim: int, schedule: Schedule
) -> dict[str, float | str]:
    """Seconds of one run and until its first preview, and peak memory (bytes; 0 on the CPU)."""
    side = 256 if w_dim == 256 else resolution
    made = [
        Generator(resolution, z_dim=w_dim, w_dim=w_dim, channel_base=base, channel_max=most, start_shape=start),
        Generator(side, z_dim=w_dim, w_dim=w_dim, channel_base=min(base, 32 * side), channel_max=min(most, side)),
    ]
    canvas, face = (net.eval().requires_grad_(False).to(device) for net in made)
    features = DiscriminatorDistance(Discriminator(256, channel_base=8192, channel_max=256)).to(device)
    codes = [net.broadcast(torch.randn(1, w_dim, device=device)).clone() for net in (canvas, face)]
    find = at_box(_FACE_ON_BODY if start != (4, 4) else (0.2, 0.2, 0.8, 0.85))
    region = REGIONS["whole" if start != (4, 4) else "face"]
    inset = Inset(face, codes[1], region=region, finder=find)
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats()
    begin, first = clock(device), None
    losses: Tensor | None = None
    for report in optimise(GeneratorLatent(canvas, codes[0]), [inset], features, schedule=schedule):
        losses = report.losses
        if first is None and report.step:
            first = clock(device) - begin
    seconds = clock(device) - begin
    return {
        "seconds": round(seconds, 2),
        "seconds_to_first_preview": round(first or 0.0, 2),
        "ms_per_step": round(1000 * seconds / schedule.steps, 1),
        "finite": bool(losses is not None and torch.isfinite(losses).all()),
        "peak_bytes": torch.cuda.max_memory_allocated() if device.startswith("cuda") else 0,
        "device": place(device),
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--bodies", action="store_true", help="the size of the embedded whole bodies")
    parser.add_argument("--steps", type=int, default=0, help="0: 400 on a GPU, 150 on the CPU")
    parser.add_argument("--alternate", type=int, default=40, help="steps before the other side moves; 0: both at once")
    parser.add_argument("--repeat", type=int, default=2, help="the first run also compiles kernels")
    args = parser.parse_args()
    large = args.device.startswith("cuda")
    schedule = Schedule(
        steps=args.steps or (400 if large else 150),
        alternate=args.alternate if large else 0,
        preview=50 if large else 10,
    )
    if args.bodies:
        schedule = replace(schedule, steps=args.steps or (100 if large else 40), alternate=0)
    sizes = (1024, (4, 2), 32768, 512, 512) if large else (256, (4, 4), 8192, 256, 256)
    for run in range(args.repeat):
        result = measure(args.device, *(BODIES if args.bodies else sizes), schedule)
        print(json.dumps({"run": run, "steps": schedule.steps, **result}))  # noqa: T201


if __name__ == "__main__":
    main()
