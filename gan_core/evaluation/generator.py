"""Scores a generator: `python -m gan_core.evaluation.generator --generator FILE --people FOLDER`, or `--data FOLDER`.

Samples are compared with the training pictures as they are drawn in training (weights, backdrops, light): Frechet
distance, precision and recall in ImageNet features; the sliced Wasserstein distance, which is independent of these
features; diversity; and the distance to the nearest training picture, which shows memorisation. It also writes a
contact sheet of the first samples, without selection.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor

from gan_core.checkpoints.embedded import build_from_file
from gan_core.errors import BadValue
from gan_core.evaluation import feature_scores
from gan_core.evaluation.metrics import samples as sample_scores
from gan_core.features import load as load_features
from gan_core.stylegan2 import Generator
from gan_core.training.data import PictureStream, load_pictures, split_pictures
from gan_core.training.grids import save_grid
from gan_core.training.people import SHARES, PeopleStream, Variation, parse_shares, read_people


@torch.no_grad()
def draw(generator: Generator, count: int, psi: float, seed: int, batch: int = 32) -> Tensor:
    """Pictures (count, 3, R, R) in [-1, 1], on the CPU, with the stored noise."""
    device = generator.mapping.w_avg.device
    z = torch.randn(count, generator.config["z_dim"], generator=torch.Generator().manual_seed(seed))
    parts = [generator(part.to(device), psi=psi, noise="const").float().clamp(-1, 1).cpu() for part in z.split(batch)]
    return torch.cat(parts)


def wasserstein(a: Tensor, b: Tensor, device: str) -> float:
    """Sliced Wasserstein distance x1000 of pictures (N, 3, R, R), mean of the pyramid's levels."""
    levels = sample_scores.sliced_wasserstein(a.to(device), b.to(device))
    return sum(levels) / len(levels)


def picture_size(generator: Generator) -> tuple[int, int]:
    """Height and width of a generator's pictures."""
    height, width = generator.config["start_shape"]
    return generator.resolution, generator.resolution * width // height


def read_pictures(
    args: argparse.Namespace, height: int, width: int
) -> tuple[PeopleStream | PictureStream, Tensor, Tensor]:
    """The stream trained on, and the pictures trained on and held out, shrunk, on the device."""
    if args.people is not None:
        shares = parse_shares(args.shares)
        people, others = (read_people(args.people, height, shares, held_out=h).to(args.device) for h in (False, True))
        return PeopleStream(people, Variation()), *map(sample_scores.shrunk, (people.pictures, others.pictures))
    pictures, unseen = (load_pictures(p, height, width).to(args.device) for p in split_pictures(args.data))
    return PictureStream(pictures), *map(sample_scores.shrunk, (pictures, unseen))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--generator", type=Path, required=True, nargs="+")
    data = parser.add_mutually_exclusive_group(required=True)
    data.add_argument("--people", type=Path, help="folder of collections, see gan_core.training.people")
    data.add_argument("--data", type=Path, help="folder of pictures, such as bodies")
    parser.add_argument("--shares", default=SHARES)
    parser.add_argument("--psi", type=float, nargs="+", default=[1.0])
    parser.add_argument("--count", type=int, default=4000, help="samples")
    parser.add_argument("--reals", type=int, default=16000, help="training pictures that the Frechet distance is to")
    # not 0: embedded networks of the first generation were initialised with the numbers of seed 0 (INITIAL_SEED)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sheets", type=Path, help="folder for contact sheets of 64 samples")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    network = load_features().to(args.device)
    generators = [build_from_file(Generator, path, "generator")[0].eval() for path in args.generator]
    sizes = {picture_size(net) for net in generators}
    if len(sizes) > 1:
        raise BadValue("The generators must draw pictures of one size, at which they are compared.")
    stream, known, held = read_pictures(args, *sizes.pop())

    def reals(count: int) -> Tensor:
        return torch.cat([stream.draw(min(100, count)).cpu() for _ in range(max(1, count // 100))])[:count]

    others, real = reals(args.count), reals(args.count)
    more = [feature_scores.pooled_features(network, reals(100)) for _ in range((args.reals - args.count) // 100)]
    features = feature_scores.pooled_features(network, real)
    reference = torch.cat([features, *more])
    floor = feature_scores.score(reference, feature_scores.pooled_features(network, others))
    pair = wasserstein(real[:1000], others[:1000], args.device)
    report({"name": "other training pictures", **asdict(floor), "swd": pair})
    for path, generator in zip(args.generator, generators, strict=True):
        generator.to(args.device)
        for psi in args.psi:
            fake = draw(generator, args.count, psi, args.seed)
            scores = feature_scores.score(reference, feature_scores.pooled_features(network, fake))
            swd = wasserstein(real[:1000], fake[:1000], args.device)
            memory = sample_scores.memorising(fake[:1000].to(args.device), known, held)
            report({"name": path.stem, "folder": path.parent.name, "psi": psi, **asdict(scores), "swd": swd, **memory})
            if args.sheets is not None:
                save_grid(fake[:64], args.sheets / f"{path.parent.name}_{path.stem}_psi{psi}.jpg", 8, quality=88)


def report(numbers: dict[str, object]) -> None:
    """Print one line of JSON."""
    print(json.dumps({k: round(v, 3) if isinstance(v, float) else v for k, v in numbers.items()}))  # noqa: T201


if __name__ == "__main__":
    main()
