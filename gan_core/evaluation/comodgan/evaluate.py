"""The model card's measurements of a network that fills holes.

    python -m gan_core.evaluation.comodgan.evaluate WHAT ...

features   write features of completions at every hole size, of the network and its baseline (preferably on a GPU)
scores     Frechet distance, P-IDS and U-IDS in ten bins of the hole ratio from such files, and their plot
diversity  difference of completions of half a picture, and largest change of a known pixel
faces      write completions of portraits with a hidden face into a folder, for `gan_core.evaluation.comodgan.detect`
grid       completions of generated portraits, at four hole ratios, for the card
drawings   portraits made of drawings of generated portraits, for the card
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gan_core.checkpoints.embedded import build_from_file
from gan_core.comodgan import masks
from gan_core.comodgan.edges import edges_of
from gan_core.comodgan.networks import CoModGenerator
from gan_core.comodgan.pipeline import CoModGANPipeline, load_embedded
from gan_core.errors import StudioError
from gan_core.evaluation.comodgan.bins import BINS, features_by_hole
from gan_core.evaluation.metrics.samples import draw
from gan_core.images import save_png, to_pil
from gan_core.stylegan2 import Discriminator, Generator
from gan_core.training.data import load_pictures, split_pictures
from gan_core.training.grids import save_grid

HALVES = ("left", "right", "top", "bottom")
GRID_RATIOS = (0.2, 0.5, 0.8, 1.0)


def load(path: Path, device: torch.device) -> CoModGenerator:
    """A network in evaluation mode. Raises WeightsMissing or BadCheckpoint."""
    net, _ = build_from_file(CoModGenerator, path, "generator")
    return net.eval().requires_grad_(False).to(device, memory_format=torch.channels_last)


def held_out(folder: Path, side: int) -> Tensor:
    """Pictures of people kept out of training, (N, 3, side, side) in [-1, 1]."""
    return load_pictures(split_pictures(folder)[1], side).float() / 127.5 - 1


def diversity(pipeline: CoModGANPipeline, pictures: Tensor, *, samples: int = 4, psi: float = 1.0) -> dict[str, float]:
    """With one half of each picture (3, R, R) hidden, in turn another: the mean difference of two completions inside it
    as a share of the range, the least one of a picture, and the largest change of a known pixel."""
    per_picture, touched = [], 0.0
    for i, image in enumerate(pictures):
        hole = _mask(HALVES[i % 4], image)
        done = torch.stack(list(pipeline.complete(pipeline.prepare(image, hole), range(samples), psi=psi))).cpu()
        inside = hole[0].bool()
        pairs = itertools.combinations(done, 2)
        per_picture.append(np.mean([(a - b)[:, inside].abs().mean().item() / 2 for a, b in pairs]))
        touched = max(touched, (done - image)[:, :, ~inside].abs().max().item())
    return {
        "pictures": len(pictures),
        "diversity": float(np.mean(per_picture)),
        "least": float(np.min(per_picture)),
        "known_pixels_changed_by": touched,
    }


def hide_faces(
    pipeline: CoModGANPipeline, pictures: Tensor, folder: Path, *, samples: int = 2, psi: float = 1.0
) -> int:
    """Write completions of pictures with a hidden face as PNG; returns their number."""
    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    for i, image in enumerate(pictures):
        prepared = pipeline.prepare(image, _mask("face", image))
        for k, done in enumerate(pipeline.complete(prepared, range(100 * i, 100 * i + samples), psi=psi)):
            save_png(to_pil(done), folder / f"{i:03d}_{k}.png", "completed with CoModGAN")
            count += 1
    return count


def grid(pipeline: CoModGANPipeline, pictures: Tensor, path: Path, *, columns: int = 3, psi: float = 1.0) -> None:
    """For each hole ratio two rows of three pictures: the condition, with the hole in grey, then `columns`
    completions."""
    tiles = []
    for k, ratio in enumerate(GRID_RATIOS):
        for i, image in enumerate(pictures[:6]):
            side = image.shape[-1]
            rng = np.random.default_rng((7, k, i))
            mask = (
                np.ones((side, side), bool) if ratio == 1 else masks.with_ratio(rng, ratio - 0.04, ratio + 0.04, side)
            )
            hole = torch.from_numpy(mask).float()[None]
            seeds = range(20 * i + k, 20 * i + k + columns)
            done = pipeline.complete(pipeline.prepare(image, hole), seeds, psi=psi)
            tiles += [image * (1 - hole) + 0.3 * hole, *(one.cpu() for one in done)]
    save_grid(torch.stack(tiles), path, 3 * (columns + 1), quality=85)


def drawing_grid(pipeline: CoModGANPipeline, pictures: Tensor, path: Path, *, psi: float = 1.0) -> None:
    """For each picture (3, R, R) its drawing and three portraits made from it, three pictures a row."""
    tiles = []
    for i, image in enumerate(pictures):
        drawing = edges_of(image)
        tiles += [(1 - 2 * drawing).expand(3, -1, -1), *pipeline.draw(drawing, range(3 * i, 3 * i + 3), psi=psi)]
    save_grid(torch.stack([tile.cpu() for tile in tiles]), path, 12, quality=85)


def _mask(name: str, image: Tensor) -> Tensor:
    """A ready-made hole (1, H, W) for a picture (3, H, W)."""
    return torch.from_numpy(masks.ready_made(name, (image.shape[2], image.shape[1]))).float()[None]


def write_features(args: argparse.Namespace, device: torch.device) -> dict[str, object]:
    """The command `features`."""
    from gan_core.evaluation.metrics.features import EmbeddedFeatures

    networks = {"co-modulation": load(args.generator, device)}
    if args.plain:
        networks["plain convolutional"] = load(args.plain, device)
    discriminator, _ = build_from_file(Discriminator, args.features, "discriminator")
    extract = EmbeddedFeatures(discriminator.to(device), first=4, last=5)
    pictures = held_out(args.data, 256)[: args.count]
    rows = features_by_hole(networks, pictures, extract, each=args.each, psi=args.psi, plain=("plain convolutional",))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(args.out, allow_pickle=False, **{name: row.astype(np.float16) for name, row in rows.items()})
    return {"pictures": len(pictures), "holes_each": args.each, "features": int(rows["real"].shape[1])}


def write_scores(args: argparse.Namespace) -> dict[str, object]:
    """The command `scores`: numbers and plot of a file that `features` wrote."""
    from gan_core.evaluation.metrics.features import EmbeddedFeatures
    from gan_core.evaluation.metrics.plot import plot_scores
    from gan_core.evaluation.metrics.results import BinScore
    from gan_core.evaluation.metrics.scores import score_features

    with np.load(args.features) as stored:
        rows = {name: stored[name].astype(np.float32) for name in stored.files}
    real, curves = rows.pop("real"), {}
    for name, bins in rows.items():
        curves[name] = [
            BinScore(i / BINS, (i + 1) / BINS, len(real), score_features(real, fake)) for i, fake in enumerate(bins)
        ]
    plot_scores(curves, args.out, EmbeddedFeatures)  # type: ignore[arg-type]  # the class says which they are
    numbers = {
        name: [[round(value, 4) for value in asdict(one.scores).values()] for one in bins if one.scores is not None]
        for name, bins in curves.items()
    }
    return {"pairs": len(real), **numbers}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("features", "scores", "diversity", "faces", "grid", "drawings"))
    parser.add_argument("--generator", type=Path, help="weights of the network")
    parser.add_argument("--plain", type=Path, help="weights of the baseline, for features")
    parser.add_argument("--data", type=Path, help="folder of portraits, of which the held-out ones are taken")
    parser.add_argument("--features", type=Path, help="a discriminator's weights, which give the features; or, for "
                        "scores, the file that was made of them")  # fmt: skip
    parser.add_argument("--portraits", type=Path, help="an unconditional generator's weights, for the grids' pictures")
    parser.add_argument("--framing", choices=("face", "bust"), default="face", help="what the network's pictures show")
    parser.add_argument("--each", type=int, default=8, help="holes a picture and bin, for features")
    parser.add_argument("--psi", type=float, default=0.8, help="variety, for all but scores")
    parser.add_argument("--seed", type=int, default=5, help="of the grid's pictures")
    parser.add_argument("--count", type=int, help="use this many pictures")
    parser.add_argument("--out", type=Path, help="file or folder to write")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()
    device = torch.device(args.device)
    found: Any
    if args.what == "features":
        found = write_features(args, device)
    elif args.what == "scores":
        found = write_scores(args)
    else:
        pipeline = load_embedded(args.generator, framing=args.framing, device=device)
        if args.what in ("grid", "drawings"):
            portraits, _ = build_from_file(Generator, args.portraits, "generator")
            if args.what == "grid":
                grid(pipeline, draw(portraits.eval(), 6, psi=0.7, seed=args.seed), args.out, psi=args.psi)
            else:
                drawing_grid(pipeline, draw(portraits.eval(), 12, psi=0.7, seed=args.seed), args.out, psi=args.psi)
            found = {"written": str(args.out)}
        else:
            pictures = held_out(args.data, pipeline.resolution)[: args.count]
            if args.what == "diversity":
                found = diversity(pipeline, pictures, psi=args.psi)
            else:
                found = {"written": hide_faces(pipeline, pictures, args.out, psi=args.psi)}
    sys.stdout.write(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    try:
        main()
    except StudioError as error:
        raise SystemExit(str(error)) from error
