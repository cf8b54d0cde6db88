"""Train CoModGAN on a folder of pictures: `python -m gan_core.training.comodgan.train --data FOLDER --out FOLDER`.

`--task hole` fills holes, `--task drawing` makes pictures of line drawings, which are made of the pictures (`hand`).
`--places FOLDER` instead of `--data` draws views of cube maps (`gan_core.training.places`), `--people FOLDER` pictures
of several collections in varied light and before varied backdrops (`gan_core.training.people`). Starts from an
unconditional generator and its discriminator (`--generator`, `--discriminator`), from an earlier run (`--initial`), or
from its generator and another discriminator of pictures. `--plain` trains the baseline of the model card. One process
or several under torchrun.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gan_core.checkpoints import store
from gan_core.comodgan import masks
from gan_core.errors import BadValue, StudioError
from gan_core.training import distributed
from gan_core.training.comodgan.hand import Hand
from gan_core.training.comodgan.objects import mixed_bank
from gan_core.training.comodgan.settings import TASKS, CoModGANSettings, HeldOut, Starts
from gan_core.training.comodgan.step import CoModGANTrainer
from gan_core.training.data import load_pictures, split_pictures
from gan_core.training.flags import add_settings, read_settings
from gan_core.training.loop import train
from gan_core.training.people import SHARES, People, PeopleStream, parse_shares, read_people
from gan_core.training.places import PlacesStream, Views, fixed_views, read_places
from gan_core.training.stylegan2.step import Pictures

log = logging.getLogger(__name__)

SHOWN_RATIOS = (0.2, 0.5, 0.8, 1.0)  # holes of the grids


def held_out_set(pictures: Tensor, task: str) -> HeldOut:
    """Held-out pictures with conditions that are the same in every run; every other drawing is by hand."""
    pictures = pictures[:16]
    if task == "drawing":
        hand = Hand(torch.from_numpy(masks.bank(16, pictures.shape[-1])))
        amount = torch.linspace(0.4, 1, len(pictures))[:, None, None, None]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            drawn = hand.draw(pictures.float() / 127.5 - 1, amount=amount)
        drawings = drawn.drawing
        drawings[::2] = drawn.lines[::2]
        drawings = (drawings * 255).round().to(torch.uint8)
        return HeldOut(pictures, drawings, drawings)
    rng, side = np.random.default_rng(0), pictures.shape[-1]
    holes, halves = [], []
    for i in range(len(pictures)):
        ratio = SHOWN_RATIOS[i % len(SHOWN_RATIOS)]
        full = np.ones((side, side), bool)
        holes.append(full if ratio == 1 else masks.with_ratio(rng, ratio - 0.03, ratio + 0.03, side))
        halves.append(masks.ready_made(("left", "right", "top", "bottom")[i % 4], (side, side)))
    stacked = (torch.from_numpy(np.stack(rows))[:, None].to(torch.uint8) for rows in (holes, halves))
    return HeldOut(pictures, *stacked)


def mixed_people(people: People) -> Tensor:
    """Pictures uint8 (N, 3, R, R) of the collections in turn, as far as the smallest goes."""
    members = [(people.collection == i).nonzero()[:, 0] for i in range(len(people.names))]
    least = min(len(some) for some in members)
    return people.pictures[torch.stack([some[:least] for some in members], 1).flatten()]


def read_starts(
    initial: Path | None, generator: Path | None, discriminator: Path | None, resolution: int = 0
) -> Starts:
    """The weights that the flags name; projected discriminators only if they are of the resolution, which they must
    fit. Raises BadValue for contradictory or incomplete flags."""
    if initial is not None and generator is not None:
        raise BadValue("Start from an earlier run (--initial) or from a generator (--generator), not from both.")
    if initial is not None:
        names = ("generator", "generator_ema", "discriminator", "projected")
        own, average, judge, projected = (initial / f"{name}.safetensors" for name in names)
        tensors, config = store.read(projected) if projected.exists() else ({}, {})
        return Starts(
            store.read(own if own.exists() else average)[0],  # either of them is enough
            store.read(discriminator or judge)[0] if discriminator or judge.exists() else None,
            store.read(average)[0] if average.exists() else None,
            tensors if config.get("resolution") == resolution else None,
        )
    if generator is None and discriminator is None:
        return Starts()
    if generator is None or discriminator is None:
        raise BadValue("--generator and --discriminator go together.")
    return Starts(store.read(generator)[0], store.read(discriminator)[0], unconditional=True)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    data = parser.add_mutually_exclusive_group(required=True)
    data.add_argument("--data", type=Path, help="folder of pictures")
    data.add_argument("--places", type=Path, help="folder of cube maps, made by gan_core.training.prepare_places")
    data.add_argument("--people", type=Path, help="folder of collections, see gan_core.training.people")
    parser.add_argument("--soft", type=float, default=Views.soft, help="with --places: share of views out of focus")
    parser.add_argument("--shares", default=SHARES, help="with --people: share of each collection in a batch")
    parser.add_argument("--out", type=Path, required=True, help="folder for log, grids and weights")
    parser.add_argument("--generator", type=Path, help="unconditional generator to start from, of the same shape")
    parser.add_argument("--discriminator", type=Path, help="its discriminator")
    parser.add_argument("--initial", type=Path, help="folder of an earlier run, of any pictures, to start from")
    parser.add_argument("--minutes", type=float, default=7.0)
    parser.add_argument("--images", type=int, help="stop after this many pictures")
    parser.add_argument("--holes", type=int, default=3072, help="masks drawn before training starts")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--no-graphs", action="store_true", help="do not capture CUDA graphs")
    parser.add_argument("--no-state", action="store_true", help="neither write nor read the optimizer's state")
    add_settings(parser, CoModGANSettings, {"task": TASKS})
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    settings = read_settings(args, CoModGANSettings)
    if settings.plain:
        settings.pairs = 1
    starts = read_starts(args.initial, args.generator, args.discriminator, settings.resolution)
    processes = distributed.init(args.device)
    pictures: Pictures
    if args.places is not None:
        places, unseen = read_places(args.places), fixed_views(args.places, settings.resolution, 16)
        views = Views(soft=args.soft)
        count, pictures = len(places), PlacesStream(places.to(processes.device), settings.resolution, views)
    elif args.people is not None:
        shares = parse_shares(args.shares)
        people = read_people(args.people, settings.resolution, shares)
        unseen = mixed_people(read_people(args.people, settings.resolution, shares, held_out=True))
        count, pictures = len(people), PeopleStream(people.to(processes.device))
    else:
        paths, held_out = split_pictures(args.data)
        pictures, unseen = (load_pictures(some, settings.resolution) for some in (paths, held_out or paths[:16]))
        count = len(paths)
    holes = torch.from_numpy(mixed_bank(args.holes, settings.resolution, settings.objects, settings.seed))
    trainer = CoModGANTrainer(
        settings,
        pictures,
        processes,
        holes,
        held_out_set(unseen, settings.task),
        starts,
        graphs=not args.no_graphs,
    )
    if processes.is_main:
        what = "pictures" if args.places is None else "places"
        log.info("%d %s, %s, %d process(es)", count, what, settings, processes.size)
    train(trainer, args.out, minutes=args.minutes, images=args.images, keep_state=not args.no_state)
    trainer.close()
    processes.destroy()


if __name__ == "__main__":
    try:
        main()
    except StudioError as error:
        raise SystemExit(str(error)) from error
