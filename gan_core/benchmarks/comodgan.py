"""Time of four completions, with random weights, on which the time does not depend.

    python -m gan_core.benchmarks.comodgan

On a GPU the published architecture at 512 pixels (goal: 12 ms on one H200), on the CPU the embedded one at 256 (goal:
2.5 s on two cores). A run is one request of a visitor: picture and hole are encoded, four seeds are decoded and blended
in.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from typing import Any

import torch

from gan_core.benchmarks.timer import clock, place
from gan_core.comodgan.networks import CoModGenerator
from gan_core.comodgan.pipeline import CoModGANPipeline
from ops_cuda import status

GOALS = {"cuda": 0.012, "cpu": 2.5}  # seconds
EMBEDDED: dict[str, Any] = {"z_dim": 256, "w_dim": 256, "global_dim": 128, "mapping_layers": 4, "channel_base": 8192}
SEEDS = (0, 1, 2, 3)


def pipeline_of(device: torch.device, resolution: int | None = None) -> CoModGANPipeline:
    """The published architecture on a GPU, the embedded one on the CPU."""
    torch.manual_seed(0)
    if device.type == "cuda":
        return CoModGANPipeline(CoModGenerator(resolution or 512), framing="any", device=device)
    net = CoModGenerator(resolution or 256, channel_max=256, skip_gain=True, **EMBEDDED)
    return CoModGANPipeline(net, framing="any", device=device)


def measure(pipeline: CoModGANPipeline, *, repeats: int, warm_up: int = 3) -> dict[str, list[float]]:
    """Seconds of encoding, of four completions, and of both together, `repeats` times."""
    side, device = pipeline.resolution, pipeline.device
    image = torch.rand(3, side, side, device=device) * 2 - 1
    hole = torch.zeros(1, side, side, device=device)
    hole[:, side // 4 : -side // 4, side // 4 : -side // 4] = 1
    times: dict[str, list[float]] = {"encode": [], "complete": [], "all": []}
    for i in range(warm_up + repeats):
        marks = [clock(device)]
        prepared = pipeline.prepare(image, hole)
        marks.append(clock(device))
        for _ in pipeline.complete(prepared, SEEDS):
            pass
        marks.append(clock(device))
        if i >= warm_up:
            spent = (marks[1] - marks[0], marks[2] - marks[1], marks[2] - marks[0])
            for name, seconds in zip(times, spent, strict=True):
                times[name].append(seconds)
    return times


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--resolution", type=int, help="of the network, where not as above")
    parser.add_argument("--repeats", type=int, default=0, help="0: 50 on a GPU, 5 on the CPU")
    parser.add_argument("--threads", type=int, default=2, help="on the CPU")
    args = parser.parse_args()
    device = torch.device(args.device)
    torch.set_num_threads(args.threads)
    torch.backends.cudnn.benchmark = True
    pipeline = pipeline_of(device, args.resolution)
    times = measure(pipeline, repeats=args.repeats or (50 if device.type == "cuda" else 5))
    found: dict[str, object] = {"where": place(device), "operations": status().name, "resolution": pipeline.resolution}
    for name, seconds in times.items():
        found[f"{name}_ms"] = [round(1000 * f(seconds), 2) for f in (statistics.median, min, max)]
    found["goal_ms"] = 1000 * GOALS[device.type]
    found["reached"] = statistics.median(times["all"]) <= GOALS[device.type]
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
