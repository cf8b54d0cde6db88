"""Poses to choose from, for a generator of bodies: `python -m gan_core.training.insetgan.poses --generator G ...`.

Of many drawn bodies those are taken that stand most differently (farthest-point sampling over their joints), and whose
coarsest layers bring the same pose to other bodies (style mixing, Karras et al. 2019, section 3.1), as the body reader
sees it.
"""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from gan_core.checkpoints import store
from gan_core.checkpoints.embedded import build_from_file
from gan_core.insetgan.body_reader import JOINTS, BodyReader, load_body_reader
from gan_core.stylegan2 import Generator
from gan_core.training.grids import save_grid
from gan_core.training.insetgan.directions import coarser

log = logging.getLogger(__name__)
LAYERS = 3
"""Coarsest layers that carry a pose: of 8x4 and 16x8 pixels. More of them bring clothes along."""
_AT = {name: i for i, name in enumerate(JOINTS)}


def relative(joints: Tensor) -> Tensor:
    """Joints (N, 15, 2) about the pelvis, in lengths from the neck to the ankles."""
    ankles = (joints[:, _AT["ankle_l"]] + joints[:, _AT["ankle_r"]]) / 2
    length = (ankles - joints[:, _AT["neck"]]).norm(dim=1).clamp_min(1e-6)
    return (joints - joints[:, _AT["pelvis"], None]) / length[:, None, None]


def apart(one: Tensor, other: Tensor) -> Tensor:
    """Mean distances of the joints (N, M) between relative poses (N, 15, 2) and (M, 15, 2)."""
    return (one[:, None] - other[None]).norm(dim=3).mean(2)


def most_different(poses: Tensor, count: int) -> list[int]:
    """`count` of the relative poses (N, 15, 2): the most usual one, then each time the farthest from all taken."""
    distances = apart(poses, poses)
    taken = [int(distances.mean(1).argmin())]
    while len(taken) < min(count, len(poses)):
        taken.append(int(distances[:, taken].amin(1).argmax()))
    return taken


@torch.no_grad()
def read(generator: Generator, reader: BodyReader, codes: Tensor) -> Tensor:
    """Joints (N, 15, 2), in pixels of 256 x 512, of the bodies of codes (N, num_ws, w_dim)."""
    pictures = (generator.synthesis(part, noise="const").clamp(-1, 1) for part in codes.split(8))
    return torch.cat([reader.read(part).joints for part in tqdm(pictures, mininterval=5)])


def transferred(generator: Generator, reader: BodyReader, poses: Tensor, bodies: Tensor) -> Tensor:
    """Joints (K, M, 15, 2) of M bodies (M, num_ws, w_dim) with the coarsest layers of K others (K, num_ws, w_dim)."""
    mixed = [torch.cat([pose[None, :LAYERS].expand(len(bodies), -1, -1), bodies[:, LAYERS:]], 1) for pose in poses]
    return read(generator, reader, torch.cat(mixed)).unflatten(0, (len(poses), len(bodies)))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--generator", type=Path, required=True)
    parser.add_argument("--reader", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="weights file to write")
    parser.add_argument("--count", type=int, default=400, help="bodies that are drawn")
    parser.add_argument("--psi", type=float, default=0.85)
    parser.add_argument("--poses", type=int, default=8)
    parser.add_argument("--sheet", type=Path, help="contact sheet: the poses' bodies, and three others in these poses")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    generator, _ = build_from_file(Generator, args.generator, "generator")
    generator = coarser(generator)
    reader = load_body_reader(args.reader)
    z = torch.randn(args.count + 6, generator.config["z_dim"], generator=torch.Generator().manual_seed(20))
    with torch.no_grad():
        w = generator.mapping.truncate(generator.mapping(z), args.psi)
    drawn, others = generator.broadcast(w[6:]), generator.broadcast(w[:6])
    joints = read(generator, reader, drawn)
    poses = relative(joints)
    candidates = most_different(poses, 3 * args.poses)
    there = transferred(generator, reader, drawn[candidates], others)
    errors = torch.stack(
        [apart(relative(there[i]), poses[c, None]).mean() for i, c in enumerate(candidates)]
    )  # of the pose that comes out, from the one that is meant
    good = [c for c, error in zip(candidates, errors, strict=True) if error <= errors.median()]
    chosen = good[: args.poses]
    error = {c: round(float(e), 4) for c, e in zip(candidates, errors, strict=True)}
    note = {
        "drawn": args.count,
        "psi": args.psi,
        "error": [error[c] for c in chosen],
        "usual": round(float(apart(poses, poses).mean()), 4),
    }
    log.info("%s", json.dumps(note))
    entries = [{"joints": [[round(v, 1) for v in point] for point in joints[c].tolist()]} for c in chosen]
    codes = drawn[chosen, :LAYERS].contiguous()
    store.save(args.out, {"codes": codes}, config={"poses": entries, "_training": note})
    if args.sheet is not None:
        rows = [drawn[chosen]]
        rows += [torch.cat([codes, body[None, LAYERS:].expand(len(chosen), -1, -1)], 1) for body in others[:3]]
        with torch.no_grad():
            pictures = [generator.synthesis(row, noise="const").clamp(-1, 1) for row in rows]
        save_grid(torch.cat(pictures), args.sheet, len(chosen))


if __name__ == "__main__":
    main()
