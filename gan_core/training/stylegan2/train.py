"""Train StyleGAN2 on a folder of pictures: `python -m gan_core.training.stylegan2.train --data FOLDER --out FOLDER`.

One process, or several GPUs under `torchrun --nproc-per-node N -m gan_core.training.stylegan2.train ...`.
"""

from __future__ import annotations

import argparse
import logging
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gan_core.checkpoints import store
from gan_core.training import distributed
from gan_core.training.data import load_pictures, split_pictures
from gan_core.training.loop import GanSettings, GanTrainer, train

log = logging.getLogger(__name__)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of pictures")
    parser.add_argument("--out", type=Path, required=True, help="folder for log, grids and weights")
    # not --start: torchrun takes that for an abbreviation of one of its own flags
    parser.add_argument("--initial", type=Path, help="folder of a run to start from, of the same or a lower resolution")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--images", type=int, help="stop after this many pictures")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--no-graphs", action="store_true", help="do not capture CUDA graphs")
    parser.add_argument("--no-state", action="store_true", help="neither write nor read the optimizer's state")
    for name, value in asdict(GanSettings()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    settings = GanSettings(**{name: getattr(args, name) for name in asdict(GanSettings())})
    processes = distributed.init(args.device)
    paths, _ = split_pictures(args.data)
    starts: list[Any] = [None, None, None]
    if args.initial is not None:
        names = ("generator", "discriminator", "generator_ema")
        files = [args.initial / f"{name}.safetensors" for name in names]
        starts = [store.read(file)[0] for file in files[:2]]  # the average may be left out
        starts.append(store.read(files[2])[0] if files[2].exists() else None)
    trainer = GanTrainer(
        settings,
        load_pictures(paths, settings.resolution),
        processes,
        starts[0],
        starts[1],
        starts[2],
        graphs=not args.no_graphs,
    )
    if processes.is_main:
        log.info("%d pictures, %s, %d process(es)", len(paths), settings, processes.size)
    train(trainer, args.out, minutes=args.minutes, images=args.images, keep_state=not args.no_state)
    trainer.close()
    processes.destroy()


if __name__ == "__main__":
    main()
