"""Train the body reader: `python -m gan_core.training.insetgan.train_reader --bodies FOLDER --people FILE --out FILE`.

FOLDER has rendered bodies (512 high, 256 wide, NAME.webp), FILE (people.jsonl.gz) a line of labels for each. Pictures
are moved, scaled, mirrored, and changed in colour and sharpness, so that those of a generator are read as well.
"""

from __future__ import annotations

import argparse
import gzip
import json
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from gan_core.checkpoints import store
from gan_core.errors import BadImage
from gan_core.insetgan.body_reader import ATTRIBUTES, HEIGHT, JOINTS, POINTS, WIDTH, BodyReader, ffhq_quads
from gan_core.training.data import load_pictures
from gan_core.training.split import is_held_out

log = logging.getLogger(__name__)
_LONG = ("long01", "ponytail01", "braid01", "bob01", "bob02")
_SPREAD = torch.tensor([15.0, 10.0, 0.15, 0.35, 0.5, 0.5, 0.5, 0.5])  # of the attributes, in which errors are counted


@dataclass
class LabelledBodies:
    """Pictures uint8 (N, 3, 256, 128), points (N, len(POINTS), 2) in pixels of 512 x 256, attributes (N, 8)."""

    pictures: Tensor
    points: Tensor
    attributes: Tensor

    def to(self, device: str) -> LabelledBodies:
        """The same on another device."""
        return LabelledBodies(self.pictures.to(device), self.points.to(device), self.attributes.to(device))


def points_of(label: Mapping[str, Any]) -> list[list[float]]:
    """The labelled points of a person, in the order of POINTS."""
    x0, y0, x1, y1 = label["head_box"]
    joints = [label["joints"][name] for name in JOINTS]
    return [*label["eyes"], *label["mouth"], [x0, y0], [x1, y1], *joints]


def attributes_of(label: Mapping[str, Any]) -> list[float]:
    """The labelled attributes of a person, in the order of ATTRIBUTES."""
    outfit = label["outfit"]
    return [
        label["age"],
        label["yaw"],
        label["weight"],
        label["smile"],
        float(label["gender"] == "male"),
        float(label["hair"] in _LONG),
        float("skirt" in outfit or outfit == "dress"),
        float("suit" in outfit and "sport" not in outfit),
    ]


def read_bodies(folder: Path, people: Path, *, held_out: bool) -> LabelledBodies:
    """Pictures and labels of the people trained on, or of those held out. Raises BadImage where there are none."""
    with gzip.open(people, "rt") as file:
        rows: Sequence[Mapping[str, Any]] = [json.loads(line) for line in file]
    rows = [r for r in rows if is_held_out(Path(r["file"]).stem) == held_out and (folder / r["file"]).is_file()]
    if not rows:
        raise BadImage(f"There are no labelled bodies to use in {folder}.")
    pictures = load_pictures([folder / r["file"] for r in rows], HEIGHT // 2, WIDTH // 2)
    points = torch.tensor([points_of(r) for r in rows])
    return LabelledBodies(pictures, points, torch.tensor([attributes_of(r) for r in rows], dtype=torch.float32))


_MIRRORED = [POINTS.index(n.replace("_r", "_?").replace("_l", "_r").replace("_?", "_l")) if n[-2:] in ("_l", "_r")
             else i for i, n in enumerate(POINTS)]  # fmt: skip
_LEFT, _RIGHT = POINTS.index("head_top_left"), POINTS.index("head_bottom_right")


def vary(batch: LabelledBodies) -> tuple[Tensor, Tensor, Tensor]:
    """Pictures (N, 3, 256, 128) in [-1, 1], points and attributes of randomly changed copies."""
    images, n, device = batch.pictures.float() / 127.5 - 1, len(batch.pictures), batch.pictures.device

    def uniform(low: float, high: float) -> Tensor:
        return torch.rand(n, 1, device=device) * (high - low) + low

    mirror = torch.rand(n, 1, device=device) < 0.5
    images = torch.where(mirror[..., None, None], images.flip(3), images)
    points, attributes = batch.points, batch.attributes.clone()
    flipped = points[:, _MIRRORED] * points.new_tensor([-1.0, 1]) + points.new_tensor([WIDTH, 0.0])
    left, right = flipped[:, _LEFT].clone(), flipped[:, _RIGHT].clone()  # a box's corners change sides
    flipped[:, _LEFT, 0], flipped[:, _RIGHT, 0] = right[:, 0], left[:, 0]
    points = torch.where(mirror[..., None], flipped, points)
    attributes[:, 1:2] = torch.where(mirror, -attributes[:, 1:2], attributes[:, 1:2])
    # without turning: a head's box stays one
    scale, right_by, down_by = torch.exp(uniform(-0.1, 0.1)), uniform(-0.12, 0.12), uniform(-0.06, 0.06)
    zero = torch.zeros_like(scale)
    maps = torch.stack([torch.cat([scale, zero, right_by], 1), torch.cat([zero, scale, down_by], 1)], 1)
    grid = F.affine_grid(maps, list(images.shape), align_corners=False)
    images = F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
    half = points.new_tensor([WIDTH / 2, HEIGHT / 2])
    points = ((points / half - 1) - torch.cat([right_by, down_by], 1)[:, None]) / scale[..., None] * half + half
    blurred = F.interpolate(F.avg_pool2d(images, 2), scale_factor=2, mode="bilinear", align_corners=False)
    images = images + uniform(0, 1)[..., None, None] * (uniform(0, 1)[..., None, None] < 0.4) * (blurred - images)
    grey = images.mean(1, keepdim=True)
    images = grey + (images - grey) * uniform(0.5, 1.4)[..., None, None]
    images = images * uniform(0.75, 1.25)[..., None, None] + uniform(-0.2, 0.2)[..., None, None]
    return (images + 0.03 * torch.randn_like(images)).clamp(-1, 1), points, attributes


def losses(net: BodyReader, images: Tensor, points: Tensor, attributes: Tensor) -> tuple[Tensor, Tensor]:
    """Distance of the points (with those of FFHQ's square), pixels, and of the attributes, in spreads."""
    found, traits = net(images)
    # a point outside of the picture cannot be found
    inside = ((points >= 0) & (points <= points.new_tensor([WIDTH, HEIGHT]))).all(2)
    apart = F.smooth_l1_loss(found, points, reduction="none").mean(2)
    weights = apart.new_ones(len(POINTS))
    weights[:4] = 4.0
    point_loss = (apart * inside * weights).sum() / inside.sum().clamp_min(1)
    quads = ffhq_quads(found[:, :2], found[:, 2:4].mean(1)), ffhq_quads(points[:, :2], points[:, 2:4].mean(1))
    point_loss = point_loss + F.smooth_l1_loss(*quads)
    return point_loss, F.smooth_l1_loss(traits / _SPREAD.to(traits), attributes / _SPREAD.to(traits))


def fit(net: BodyReader, data: LabelledBodies, steps: int, *, batch: int = 64, lr: float = 2e-3) -> None:
    """Train with a learning rate that falls to zero."""
    device = data.pictures.device
    adam = torch.optim.AdamW(net.parameters(), lr=lr, weight_decay=1e-3)
    net.train()
    for step in (bar := tqdm(range(steps), desc="training", mininterval=5)):
        for group in adam.param_groups:
            group["lr"] = lr * min(1, (step + 1) / 50) * 0.5 * (1 + math.cos(math.pi * step / steps))
        pick = torch.randint(len(data.pictures), (batch,), device=device)
        images, points, attributes = vary(LabelledBodies(data.pictures[pick], data.points[pick], data.attributes[pick]))
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            at, trait = losses(net, images.contiguous(memory_format=torch.channels_last), points, attributes)
        adam.zero_grad()
        (at + 2 * trait).backward()
        adam.step()
        if step % 50 == 0:
            bar.set_postfix(points=f"{at.item():.2f}", attributes=f"{trait.item():.3f}")
    net.eval()


@torch.no_grad()
def errors(net: BodyReader, data: LabelledBodies) -> dict[str, float]:
    """Mean distances in pixels of 512 x 256, and mean absolute errors of the attributes, on unchanged pictures."""
    found, traits = zip(*(net(part.float() / 127.5 - 1) for part in data.pictures.split(64)), strict=True)
    points, attributes = torch.cat(found), torch.cat(traits)
    apart = (points - data.points).norm(dim=2).mean(0)
    quads = (
        ffhq_quads(points[:, :2], points[:, 2:4].mean(1)),
        ffhq_quads(data.points[:, :2], data.points[:, 2:4].mean(1)),
    )
    result = {"quad": (quads[0] - quads[1]).norm(dim=2).mean().item()}
    result |= {"eyes": apart[:2].mean().item(), "head": apart[4:6].mean().item(), "joints": apart[6:].mean().item()}
    wrong = (attributes - data.attributes).abs().mean(0)
    return result | {name: wrong[i].item() for i, name in enumerate(ATTRIBUTES)}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--bodies", type=Path, required=True, help="folder of pictures")
    parser.add_argument("--people", type=Path, required=True, help="people.jsonl.gz")
    parser.add_argument("--out", type=Path, required=True, help="weights file to write")
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.manual_seed(0)
    data, held_out = (read_bodies(args.bodies, args.people, held_out=h).to(args.device) for h in (False, True))
    log.info("%d people, %d held out", len(data.pictures), len(held_out.pictures))
    net = BodyReader().to(args.device, memory_format=torch.channels_last)
    fit(net, data, args.steps, batch=args.batch, lr=args.lr)
    found = {k: round(v, 4) for k, v in errors(net, held_out).items()}
    log.info("held out: %s", json.dumps(found))
    note = {"people": len(data.pictures), "steps": args.steps, "batch": args.batch, "held_out": found}
    store.save(args.out, net.state_dict(), config={**net.config, "_training": note})


if __name__ == "__main__":
    main()
