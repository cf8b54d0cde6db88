"""Directions in W of a generator of bodies: `python -m gan_core.training.insetgan.directions --generator G ...`.

Drawn bodies are measured: by the body reader, and by the colours of their clothes. For each measure the direction is
found that changes it while a linear model of all the others stays as it is, and that goes the way in which latents vary
(Haufe et al. 2014, "On the interpretation of weight vectors of linear models", equation 6, for several measures).
"""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from gan_core.checkpoints import store
from gan_core.checkpoints.embedded import build_from_file
from gan_core.insetgan.body_reader import HEIGHT, JOINTS, WIDTH, BodyReader, BodyReading, load_body_reader
from gan_core.stylegan2 import Generator
from gan_core.training.grids import save_grid
from gan_core.training.growing import grow_generator

log = logging.getLogger(__name__)
FARTHEST = 3.0  # of the sliders
REACH = 2.5  # standard deviations of a measure by which it has changed there, by the linear model
UNUSUAL = 3.0  # standard deviations of the latents along a direction beyond which no slider goes
KEPT = (
    "skin",
    "backdrop_light",
    "backdrop_warm",
    "backdrop_busy",
    "yaw",
    "top_light",
    "top_warm",
    "legs_light",
    "arms",
)
"""Measures that a slider leaves as they are, unless it is its own. Others are read too inexactly to be kept."""
LEAST = 1.2  # standard deviations of its measure between the ends of a slider that is offered
LABELS = {
    "age": "Age",
    "weight": "Build",
    "yaw": "Turn",
    "man": "Woman to man",
    "top_light": "Lighter top",
    "top_warm": "Warmer colour of the top",
    "legs_light": "Lighter trousers or skirt",
    "arms": "Elbows out",
}


def colours_at(pictures: Tensor, points: Tensor, side: int = 7) -> Tensor:
    """Mean colour (N, K, 3) of a square of `side` pixels about points (N, K, 2); both are those of 512 x 256."""
    offsets = torch.arange(side) - side // 2
    y, x = torch.meshgrid(offsets, offsets, indexing="ij")
    around = torch.stack([x, y], -1).flatten(0, 1).to(points)
    grid = (points[:, :, None] + around) / points.new_tensor([WIDTH / 2, HEIGHT / 2]) - 1
    return F.grid_sample(pictures, grid, align_corners=False, padding_mode="border").mean(3).transpose(1, 2)


def measure(pictures: Tensor, reading: BodyReading) -> dict[str, Tensor]:
    """All measures of pictures (N, 3, H, W) in [-1, 1], by name, (N,) each."""
    joints = dict(zip(JOINTS, reading.joints.unbind(1), strict=True))
    shoulders, hips = (joints[f"{name}_l"] + joints[f"{name}_r"] for name in ("shoulder", "hip"))
    chest = torch.stack([(shoulders * a + hips * (1 - a)) / 2 for a in (0.65, 0.5, 0.35)], 1)
    thighs = torch.stack([joints[f"hip_{s}"] * 0.45 + joints[f"knee_{s}"] * 0.55 for s in "lr"], 1)
    face = reading.mouth.mean(1, keepdim=True) * 0.5 + reading.eyes.mean(1, keepdim=True) * 0.5
    top, legs, skin = (colours_at(pictures, at).mean(1) for at in (chest, thighs, face))
    wide = [(joints[f"{name}_l"] - joints[f"{name}_r"]).norm(dim=1) for name in ("elbow", "shoulder")]
    edges = torch.cat([pictures[..., : pictures.shape[-1] // 8], pictures[..., -pictures.shape[-1] // 8 :]], -1)
    own = {name: value for name, value in reading.attributes.items() if name in LABELS}
    return own | {
        "top_light": top.mean(1),
        "top_warm": top[:, 0] - top[:, 2],
        "legs_light": legs.mean(1),
        "arms": wide[0] / wide[1],
        "skin": skin.mean(1),
        "backdrop_light": edges.mean((1, 2, 3)),
        "backdrop_warm": (edges[:, 0] - edges[:, 2]).mean((1, 2)),
        "backdrop_busy": edges.mean(1).std((1, 2)),
    }


def coarser(generator: Generator) -> Generator:
    """The generator without its finest block, whose pictures of half the size take half the time."""
    half = Generator(**{**generator.config, "resolution": generator.resolution // 2})
    grow_generator(half, generator.state_dict())
    return half.eval()


@torch.no_grad()
def sample(generator: Generator, reader: BodyReader, count: int, psi: float, seed: int) -> tuple[Tensor, list, Tensor]:
    """Latents w (N, w_dim), the names of the measures, and those (N, K), of bodies drawn from `seed` on."""
    z = torch.randn(count, generator.config["z_dim"], generator=torch.Generator().manual_seed(seed))
    w = generator.mapping.truncate(generator.mapping(z), psi)
    rows = []
    for part in tqdm(w.split(8), desc="drawing", mininterval=5):
        pictures = generator.synthesis(generator.broadcast(part), noise="const").clamp(-1, 1)
        rows.append(measure(pictures, reader.read(pictures)))
    names = list(rows[0])
    return w, names, torch.cat([torch.stack([row[name] for name in names], 1) for row in rows])


def directions_of(w: Tensor, measures: Tensor, ridge: float = 0.5) -> tuple[Tensor, Tensor]:
    """Directions (K, w_dim), each of which changes one of the measures (N, K) by a standard deviation and no other; and
    how long each is, (K,), in standard deviations of the latents along it.

    w: (N, w_dim). ridge: of the regression, as a share of the mean variance of w.
    """
    x, y = (w - w.mean(0)).double(), (measures - measures.mean(0)).double()
    y = y / y.std(0)
    covariance = x.T @ x / len(x)
    damped = covariance + ridge * covariance.diagonal().mean() * torch.eye(x.shape[1], dtype=x.dtype)
    weights = torch.linalg.solve(damped, x.T @ y / len(x))  # (w_dim, K)
    patterns = covariance @ weights
    explained = weights.T @ patterns
    return torch.linalg.solve(explained, patterns.T).float(), torch.linalg.inv(explained).diagonal().sqrt().float()


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--generator", type=Path, required=True)
    parser.add_argument("--reader", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="weights file to write")
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--psi", type=float, default=0.9)
    parser.add_argument("--checked", type=int, default=24, help="other bodies, at psi 0.7, moved to both ends")
    parser.add_argument("--sheet", type=Path, help="contact sheet of the first four of those")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    generator, _ = build_from_file(Generator, args.generator, "generator")
    reader = load_body_reader(args.reader)
    generator = coarser(generator)
    w, names, measures = sample(generator, reader, args.count, args.psi, seed=10)
    spread = measures.std(0)
    others = sample(generator, reader, args.checked, 0.7, seed=11)[0]
    tensors, attributes, found, rows = {}, [], {}, []
    for name in LABELS:
        at = names.index(name)
        kept = [names.index(n) for n in KEPT if n != name]
        steps, lengths = directions_of(w, measures[:, [at, *kept]])
        step = steps[0] * min(UNUSUAL / lengths[0].item(), REACH) / FARTHEST
        ends = []
        for end in (-FARTHEST, FARTHEST):
            with torch.no_grad():
                codes = generator.broadcast(others + end * step)
                pictures = torch.cat([generator.synthesis(part).clamp(-1, 1) for part in codes.split(8)])
                seen = measure(pictures, reader.read(pictures))
            ends.append(torch.stack([seen[n] for n in names], 1).mean(0))
            rows.append(pictures[:4])
        moved = ends[1] - ends[0]
        apart = (moved / spread).tolist()
        found[name] = {
            "moved": round(moved[at].item(), 3),
            "in_spreads": round(apart[at], 2),
            "others": {n: round(v, 2) for n, v in zip(names, apart, strict=True) if n != name and abs(v) > 0.5},
        }
        log.info("%s: %s", name, json.dumps(found[name]))
        if apart[at] < LEAST:
            continue
        tensors[name] = step
        attributes.append({"name": name, "label": LABELS[name], "low": -FARTHEST, "high": FARTHEST})
    note = {"count": args.count, "psi": args.psi, "ends": found}
    store.save(args.out, tensors, config={"attributes": attributes, "_training": note})
    if args.sheet is not None:
        save_grid(torch.cat(rows), args.sheet, 8)


if __name__ == "__main__":
    main()
