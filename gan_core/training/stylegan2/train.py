"""Train StyleGAN2 on a folder of pictures: `python -m gan_core.training.stylegan2.train --data FOLDER --out FOLDER`.

One process, or several GPUs under `torchrun --nproc-per-node N -m gan_core.training.stylegan2.train ...`.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from torch import Tensor

from gan_core.checkpoints import store
from gan_core.training import distributed
from gan_core.training.data import load_pictures, split_pictures
from gan_core.training.flags import add_settings, read_settings
from gan_core.training.growing import complete
from gan_core.training.loop import train
from gan_core.training.people import SHARES, PeopleStream, Variation, parse_shares, read_people
from gan_core.training.stylegan2.settings import GanSettings
from gan_core.training.stylegan2.step import GanTrainer

log = logging.getLogger(__name__)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    data = parser.add_mutually_exclusive_group(required=True)
    data.add_argument("--data", type=Path, help="folder of pictures")
    data.add_argument("--people", type=Path, help="folder of collections, see gan_core.training.people")
    parser.add_argument("--shares", default=SHARES, help="with --people: share of each collection in a batch")
    parser.add_argument("--backdrop", type=float, default=Variation.backdrop, help="with --people: share of pictures")
    parser.add_argument("--out", type=Path, required=True, help="folder for log, grids and weights")
    # not --start: torchrun would take it for an abbreviation of one of its own flags
    parser.add_argument("--initial", type=Path, help="folder of a run to start from, of any resolution")
    parser.add_argument("--finest", type=Path, help="folder of a larger run whose finest blocks complete the generator")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--images", type=int, help="stop after this many pictures")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--no-graphs", action="store_true", help="do not capture CUDA graphs")
    parser.add_argument("--no-state", action="store_true", help="neither write nor read the optimizer's state")
    add_settings(parser, GanSettings)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    settings = read_settings(args, GanSettings)
    processes = distributed.init(args.device)
    pictures: Tensor | PeopleStream
    if args.people is not None:
        people = read_people(args.people, settings.resolution, parse_shares(args.shares)).to(processes.device)
        count, pictures = len(people), PeopleStream(people, Variation(backdrop=args.backdrop))
    else:
        paths, _ = split_pictures(args.data)
        count, pictures = len(paths), load_pictures(paths, settings.resolution, settings.width)
    starts = read_starts(args.initial, settings.resolution) if args.initial is not None else {}
    if args.finest is not None and starts:
        larger, _ = store.read(args.finest / "generator_ema.safetensors")
        starts |= {name: complete(starts[name], larger) for name in ("generator_start", "ema_start") if name in starts}
    trainer = GanTrainer(settings, pictures, processes, **starts, graphs=not args.no_graphs)
    if processes.is_main:
        log.info("%d pictures, %s, %d process(es)", count, settings, processes.size)
    train(trainer, args.out, minutes=args.minutes, images=args.images, keep_state=not args.no_state)
    trainer.close()
    processes.destroy()


def read_starts(folder: Path, resolution: int) -> dict[str, dict[str, Tensor]]:
    """The weights in the folder of an earlier run, as `GanTrainer` takes them.

    All but the generator may be missing. The projected discriminators fit one resolution only and are left out if it
    is not `resolution`. Raises WeightsMissing or BadCheckpoint.
    """
    starts = {"generator_start": store.read(folder / "generator.safetensors")[0]}
    discriminator = folder / "discriminator.safetensors"
    if discriminator.exists():
        starts["discriminator_start"] = store.read(discriminator)[0]
    average, projected = folder / "generator_ema.safetensors", folder / "projected.safetensors"
    if average.exists():
        starts["ema_start"] = store.read(average)[0]
    if projected.exists():
        tensors, config = store.read(projected)
        if config["resolution"] == resolution:
            starts["projected_start"] = tensors
    return starts


if __name__ == "__main__":
    main()
