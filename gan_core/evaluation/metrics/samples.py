"""Scores a generator's samples against a folder of pictures.

    python -m gan_core.evaluation.metrics.samples --generator FILE --data FOLDER

Three numbers that need no downloaded network: the sliced Wasserstein distance of Laplacian-pyramid patches (Karras
et al. 2018, section 5); diversity, the mean distance of two samples relative to that of two real pictures; and the
distance of samples to the nearest training picture relative to that of held-out pictures, which shows memorisation.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from gan_core.checkpoints.embedded import build_from_file
from gan_core.stylegan2 import Generator
from gan_core.training.data import load_pictures, split_pictures
from gan_core.training.grids import save_grid

PATCH, PATCHES_EACH, PROJECTIONS = 7, 64, 512


def laplacian_pyramid(images: Tensor, levels: int) -> list[Tensor]:
    """Band-pass images from fine to coarse, the last one low-pass; (N, C, H, W) halves each time."""
    bands = []
    for _ in range(levels - 1):
        low = F.avg_pool2d(images, 2)
        bands.append(images - F.interpolate(low, scale_factor=2, mode="bilinear", align_corners=False))
        images = low
    return [*bands, images]


def _patches(band: Tensor, generator: torch.Generator) -> Tensor:
    """Random patches of each picture, (N * PATCHES_EACH, 3 * 49), each colour normalised over the whole set."""
    n, c, h, w = band.shape
    unfolded = band.unfold(2, PATCH, 1).unfold(3, PATCH, 1)
    rows = torch.randint(h - PATCH + 1, (n, PATCHES_EACH), generator=generator).to(band.device)
    columns = torch.randint(w - PATCH + 1, (n, PATCHES_EACH), generator=generator).to(band.device)
    index = torch.arange(n, device=band.device)[:, None]
    patches = unfolded[index, :, rows, columns].reshape(n * PATCHES_EACH, c, -1)
    patches = patches - patches.mean((0, 2), keepdim=True)
    return (patches / patches.std((0, 2), keepdim=True).clamp_min(1e-8)).flatten(1)


def sliced_wasserstein(a: Tensor, b: Tensor, *, seed: int = 0) -> list[float]:
    """Distance times 1000 at each pyramid level, finest first, of two sets (N, 3, R, R); 16 px is the coarsest.

    The larger set is cut to the size of the smaller.
    """
    n = min(len(a), len(b))
    levels = max(1, a.shape[-1].bit_length() - 4)
    result = []
    for x, y in zip(laplacian_pyramid(a[:n], levels), laplacian_pyramid(b[:n], levels), strict=True):
        generator = torch.Generator().manual_seed(seed)
        x, y = _patches(x, generator), _patches(y, generator)
        directions = F.normalize(torch.randn(x.shape[1], PROJECTIONS, generator=generator), dim=0).to(x.device)
        distance = ((x @ directions).sort(0)[0] - (y @ directions).sort(0)[0]).abs().mean()
        result.append(1000 * distance.item())
    return result


def shrunk(pictures: Tensor) -> Tensor:
    """Pictures (N, 3, 64, 64) in [-1, 1], at which `memorising` compares, of uint8 (N, 3, H, W)."""
    return torch.cat([_small(part.float() / 127.5 - 1) for part in pictures.split(256)])


def _small(images: Tensor) -> Tensor:
    return F.interpolate(images, size=(64, 64), mode="area")


def _faces(images: Tensor) -> Tensor:
    """The middle of pictures at 64 px, flattened: the face of aligned ones, which differs between people and has little
    background."""
    small = _small(images)
    return small[:, :, 12:56, 14:50].flatten(1)


def _mean_distance(x: Tensor) -> float:
    return (torch.cdist(x, x).sum() / (len(x) * (len(x) - 1))).item()


def _nearest(x: Tensor, y: Tensor) -> float:
    distance = torch.cdist(x, y)
    if x is y:
        distance.fill_diagonal_(torch.inf)
    return distance.min(1)[0].mean().item()


def score(samples: Tensor, training: Tensor, held_out: Tensor) -> dict[str, float]:
    """All numbers of `samples` (N, 3, R, R) against training pictures and held-out ones, all in [-1, 1]."""
    real = torch.cat([training, held_out])
    order = torch.randperm(len(real), generator=torch.Generator().manual_seed(0))
    halves = real[order].chunk(2)
    n = len(halves[1])
    got, floor = sliced_wasserstein(samples[:n], halves[0][:n]), sliced_wasserstein(*halves)
    return {
        "swd": sum(got) / len(got),
        "swd_of_two_real_halves": sum(floor) / len(floor),
        **memorising(samples, training, held_out),
    }


def memorising(samples: Tensor, training: Tensor, held_out: Tensor) -> dict[str, float]:
    """Diversity, and the distance of samples to the nearest training picture relative to that of held-out pictures; all
    (N, 3, R, R)."""
    faces, known = _faces(samples.clamp(-1, 1)), _faces(training)
    mirrored = torch.cat([known, _faces(training.flip(3))])
    return {
        "diversity": _mean_distance(faces) / _mean_distance(known),
        "nearest_training_picture": _nearest(faces, mirrored) / _nearest(_faces(held_out), mirrored),
    }


@torch.no_grad()
def draw(generator: Generator, count: int, *, psi: float = 1.0, seed: int = 1) -> Tensor:
    """`count` pictures of a generator, (count, 3, R, R), with its stored noise."""
    z = torch.randn(count, generator.config["z_dim"], generator=torch.Generator().manual_seed(seed))
    return torch.cat([generator(part, psi=psi, noise="const") for part in z.split(16)])


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--generator", type=Path, required=True, help="weights file")
    parser.add_argument("--data", type=Path, required=True, help="folder of the training pictures")
    parser.add_argument("--count", type=int, default=592)
    parser.add_argument("--psi", type=float, default=1.0)
    parser.add_argument("--grid", type=Path, help="also write a grid of samples here")
    args = parser.parse_args()
    generator = build_from_file(Generator, args.generator, "generator")[0].eval()
    samples = draw(generator, args.count, psi=args.psi)
    if args.grid is not None:
        save_grid(samples[:40], args.grid, 8)
    training, held_out = split_pictures(args.data)
    sets = [load_pictures(paths, generator.resolution).float() / 127.5 - 1 for paths in (training, held_out)]
    print(json.dumps({k: round(v, 3) for k, v in score(samples, *sets).items()}))  # noqa: T201


if __name__ == "__main__":
    main()
