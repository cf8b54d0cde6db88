"""Projects people that nobody trained on into generators' w+ space:
`python -m gan_core.evaluation.projection --generator NAME=FILE ... --people FOLDER --out FOLDER`.

After Abdal et al. (2019, "Image2StyleGAN", section 4): a w of its own for each layer, from the mean w, no noise. How
close the picture comes says what a generator can draw; no encoder takes part, and nothing keeps the codes where edits
work, as `gan_core.insetgan.project` does for InsetGAN. Writes scores.json and a sheet with the
photos in the first row and a row for each generator.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from gan_core.checkpoints.embedded import build_from_file
from gan_core.errors import BadValue
from gan_core.evaluation.metrics.psnr import psnr
from gan_core.features import PerceptualDistance
from gan_core.features import load as load_features
from gan_core.stylegan2 import Generator
from gan_core.training.grids import save_grid
from gan_core.training.people import People, person_of, read_people

PIXELS = 20.0  # weight of the mean squared difference beside the perceptual distance
RAMP_UP, RAMP_DOWN = 0.05, 0.25  # shares of the steps (Karras et al. 2020, appendix D)


def rate_at(done: float) -> float:
    """Factor of the learning rate after a share `done` of the steps: linear up, then down by half a cosine."""
    down = 0.5 - 0.5 * math.cos(math.pi * min(1.0, (1 - done) / RAMP_DOWN))
    return down * min(1.0, done / RAMP_UP)


def project(
    generator: Generator, photos: Tensor, distance: PerceptualDistance, steps: int = 500, lr: float = 0.05
) -> tuple[Tensor, Tensor]:
    """The generator's closest pictures to photos (N, 3, R, R) in [-1, 1].

    Returns:
        Pictures (N, 3, R, R) in [-1, 1], and w+ (N, num_ws, w_dim).
    """
    generator.requires_grad_(False)
    start = generator.mapping.w_avg.detach()
    w_plus = start.expand(len(photos), generator.num_ws, -1).clone().requires_grad_(True)
    adam = torch.optim.Adam([w_plus], lr, betas=(0.9, 0.999))
    for step in tqdm(range(steps), mininterval=5):
        adam.param_groups[0]["lr"] = lr * rate_at((step + 1) / steps)
        drawn = generator.synthesis(w_plus, noise="none")
        difference = F.mse_loss(drawn, photos, reduction="none").mean((1, 2, 3))
        loss = (distance(drawn, photos) + PIXELS * difference).sum()  # each photo by itself
        adam.zero_grad()
        loss.backward()
        adam.step()
    with torch.no_grad():
        return generator.synthesis(w_plus, noise="none").clamp(-1, 1), w_plus.detach()


def strangers(people: People, each: int) -> list[int]:
    """Indices of `each` held-out pictures of every collection, one a person, spread over the collection."""
    chosen = []
    for i, name in enumerate(people.names):
        first: dict[str, int] = {}
        for index in torch.nonzero(people.collection == i).flatten().tolist():
            first.setdefault(person_of(name, people.stems[index].split("/")[-1]), index)
        indices = list(first.values())
        chosen += [indices[len(indices) * k // each] for k in range(min(each, len(indices)))]
    return chosen


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--generator", nargs="+", required=True, metavar="NAME=FILE")
    parser.add_argument("--people", type=Path, required=True, help="see gan_core.training.people")
    parser.add_argument("--collections", nargs="+", default=["london", "varied"])
    parser.add_argument("--each", type=int, default=8, help="people of each collection")
    parser.add_argument("--only", default="", help="only pictures whose name begins so, to publish the sheet")
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    distance = PerceptualDistance(load_features()).to(args.device)
    rows: list[Tensor] = []
    numbers: dict[str, object] = {}
    for item in args.generator:
        name, equals, file = item.partition("=")
        if not equals:
            raise BadValue(f"Generators are written NAME=FILE, for instance new=generator.safetensors; not {item}.")
        generator = build_from_file(Generator, Path(file), "generator")[0].eval().to(args.device)
        people = read_people(args.people, generator.resolution, dict.fromkeys(args.collections, 1.0), held_out=True)
        chosen = [i for i in strangers(people, args.each) if people.stems[i].split("/")[-1].startswith(args.only)]
        photos = (people.pictures[chosen].float() / 127.5 - 1).to(args.device)
        drawn, _ = project(generator, photos, distance, args.steps)
        ratios = psnr(drawn, photos)
        numbers[name] = {
            "psnr": {people.stems[i]: round(ratio, 2) for i, ratio in zip(chosen, ratios.tolist(), strict=True)},
            "mean": round(ratios.mean().item(), 2),
            "least": round(ratios.min().item(), 2),
            "distance": round(distance(drawn, photos).mean().item(), 3),
        }
        rows += [drawn.cpu()] if rows else [photos.cpu(), drawn.cpu()]
    (args.out / "scores.json").write_text(json.dumps(numbers, indent=1) + "\n")
    save_grid(torch.cat(rows), args.out / "projections.jpg", len(rows[0]), quality=88)


if __name__ == "__main__":
    main()
