"""Training throughput in pictures per second: `python -m gan_core.benchmarks.training` (or under torchrun).

The default configuration is that of a measurement of NVIDIA's stylegan2-ada-pytorch: 128 px, channel_base 16384, batch
64 a process, adaptive augmentation; it reached 298 images/s on one H200.
"""

from __future__ import annotations

import argparse

import torch

from gan_core.benchmarks.timer import clock, place
from gan_core.training import distributed
from gan_core.training.stylegan2.settings import GanSettings
from gan_core.training.stylegan2.step import GanTrainer

NVIDIA_ON_H200 = 298.0


def measure(
    settings: GanSettings, processes: distributed.ProcessGroup, *, steps: int, warm_up: int = 16, graphs: bool = True
) -> float:
    """Pictures a second over all processes, penalties and optimizers included."""
    pictures = torch.randint(0, 256, (512, 3, settings.resolution, settings.resolution), dtype=torch.uint8)
    trainer = GanTrainer(settings, pictures, processes, graphs=graphs)
    for _ in range(warm_up):
        trainer.step()
    begin = clock(processes.device)
    for _ in range(steps):
        trainer.step()
    spent = clock(processes.device) - begin
    trainer.close()
    return steps * settings.batch * processes.size / spent


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--resolution", type=int, default=128)
    parser.add_argument("--channel-base", type=int, default=16384)
    parser.add_argument("--channel-max", type=int, default=512)
    parser.add_argument("--w-dim", type=int, default=512)
    parser.add_argument("--batch", type=int, default=64, help="pictures a step and process")
    parser.add_argument("--steps", type=int, default=64)
    parser.add_argument("--projected", action="store_true", help="with the projected discriminator beside the other")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--no-graphs", action="store_true")
    args = parser.parse_args()
    settings = GanSettings(
        resolution=args.resolution, channel_base=args.channel_base, channel_max=args.channel_max,
        z_dim=args.w_dim, w_dim=args.w_dim, batch=args.batch,
        projected_weight=float(args.projected),
    )  # fmt: skip
    processes = distributed.init(args.device)
    rate = measure(settings, processes, steps=args.steps, graphs=not args.no_graphs)
    if processes.is_main:
        print(  # noqa: T201
            f"{args.resolution} px, channel_base {args.channel_base}, batch {args.batch} x {processes.size}, "
            f"{place(processes.device)}{', with the projected discriminator' if args.projected else ''}: "
            f"{rate:.0f} images/s ({rate / NVIDIA_ON_H200:.2f} of NVIDIA's 298 on one H200 at the default work)"
        )
    processes.destroy()


if __name__ == "__main__":
    main()
