"""Train the head finder: `python -m gan_core.training.faces.train_head --generator G --faces FOLDER --out FILE`.

It is trained on pictures of the face generator first, whose labels come from its features; then also on the portraits
in FOLDER, labelled by the network's own predictions with outlines moved to each picture's edges. Augmentation:
geometry, colour, blur, other backdrops.
"""

from __future__ import annotations

import argparse
import logging
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from gan_core.checkpoints import store
from gan_core.checkpoints.embedded import build_from_file
from gan_core.errors import BadCheckpoint, BadImage, WeightsMissing
from gan_core.faces.head import HEAD_SIZE, HeadNet
from gan_core.stylegan2 import Generator
from gan_core.training.data import load_pictures, split_pictures
from gan_core.training.faces.head_labels import BACKDROP, CLOTH, HEAD, FeatureClassifier, outline, without_cloth
from gan_core.training.grids import save_grid

log = logging.getLogger(__name__)
Labelled = tuple[Tensor, Tensor]  # uint8 (N, 3, S, S), and masks (N, 2, S, S) bool: head, person


def _bytes(images: Tensor) -> Tensor:
    return F.interpolate(images.float(), (HEAD_SIZE, HEAD_SIZE), mode="area").add(1).mul(127.5).round().byte()


def _label(pictures: Tensor, person: Tensor, head: Tensor) -> Labelled:
    """Labels of uint8 pictures from soft person and head masks (N, S, S); pictures without a clear outline are left
    out."""
    kept, masks = [], []
    for i, picture in enumerate(tqdm(pictures.permute(0, 2, 3, 1).numpy(), desc="outlines")):
        whole = outline(picture, person[i].numpy())
        if whole is not None:
            masks.append(np.stack([without_cloth(picture, whole, head[i].numpy()), whole]))
            kept.append(i)
    if not kept:
        raise BadImage("No picture's outline is clear enough to learn from.")
    return pictures[kept], torch.from_numpy(np.stack(masks))


def label_generated(generator: Generator, count: int) -> Labelled:
    """`count` pictures of the generator, and labels from its features."""
    z = torch.randn(count, generator.config["z_dim"], generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        codes = generator.broadcast(generator.mapping.truncate(generator.mapping(z), 0.95)).clone()
    classifier = FeatureClassifier(generator).fit(codes[: min(count, 120)])
    pictures, person, head = [], [], []
    for part in tqdm(codes.split(8), desc="generated pictures"):
        images, shares = classifier(part)
        pictures.append(_bytes(images))
        person.append(1 - shares[:, BACKDROP])
        head.append(shares[:, HEAD] / (shares[:, HEAD] + shares[:, CLOTH]))
    return _label(torch.cat(pictures), torch.cat(person), torch.cat(head))


def label_portraits(net: HeadNet, pictures: Tensor) -> Labelled:
    """Labels of uint8 portraits (N, 3, S, S) from the network's current predictions."""
    soft = torch.cat([net.masks(part.float() / 127.5 - 1) for part in pictures.split(32)])
    return _label(pictures, soft[:, 1], soft[:, 0])


def vary(pictures: Tensor, masks: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
    """Training pairs: pictures (N, 3, S, S) in [-1, 1] and masks (N, 2, S, S) in [0, 1], head and person.

    pictures, others: uint8 (N, 3, S, S); the others give backdrops. masks: (N, 2, S, S) bool.
    """
    n = len(pictures)
    images, masks, others = pictures.float() / 127.5 - 1, masks.float(), others.float() / 127.5 - 1

    def some(share: float) -> Tensor:
        return (torch.rand(n, 1, 1, 1) < share).float()

    def uniform(limit: float) -> Tensor:
        return (torch.rand(n) * 2 - 1) * limit

    # backdrops: coarse noise, or another portrait upside down
    low = F.interpolate(torch.rand(n, 3, 5, 5) * 2 - 1, images.shape[-2:], mode="bicubic")
    new = torch.where(some(0.5) > 0, low, others.flip(2))
    soft = F.avg_pool2d(masks[:, 1:], 3, 1, 1)
    images = images + some(0.35) * (1 - soft) * (new - images)
    angle, scale = uniform(math.radians(10)), torch.exp(uniform(0.15))
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    flip = (torch.rand(n) < 0.5).float() * 2 - 1
    maps = [torch.stack([cos * flip, -sin, uniform(0.1)], 1), torch.stack([sin * flip, cos, uniform(0.1)], 1)]
    grid = F.affine_grid(torch.stack(maps, 1), list(images.shape), align_corners=False)
    both = F.grid_sample(torch.cat([images, masks], 1), grid, padding_mode="reflection", align_corners=False)
    images, masks = both[:, :3], both[:, 3:]
    blurred = F.interpolate(F.avg_pool2d(images, 2), scale_factor=2, mode="bilinear", align_corners=False)
    images = images + some(0.3) * (blurred - images)
    grey = images.mean(1, keepdim=True)
    images = grey + (images - grey) * (1 - some(0.15)) * (1 + uniform(0.3)[:, None, None, None])
    images = images * (1 + uniform(0.25)[:, None, None, None]) + uniform(0.2)[:, None, None, None]
    return (images + 0.03 * torch.randn_like(images)).clamp(-1, 1), masks


def fit(net: HeadNet, labelled: Labelled, steps: int, *, batch: int = 16, lr: float = 2e-3) -> None:
    """Train on labelled pictures, with a learning rate that falls to zero."""
    pictures, masks = labelled
    adam = torch.optim.AdamW(net.parameters(), lr=lr, weight_decay=1e-3)
    net.train()
    for step in (bar := tqdm(range(steps), desc="training")):
        for group in adam.param_groups:
            group["lr"] = lr * min(1, (step + 1) / 10) * 0.5 * (1 + math.cos(math.pi * step / steps))
        pick, other = torch.randint(len(pictures), (2, batch))
        images, wanted = vary(pictures[pick], masks[pick], pictures[other])
        logits = net(images.contiguous(memory_format=torch.channels_last))
        soft = logits.sigmoid()
        overlap = (2 * (soft * wanted).sum((2, 3)) + 1) / (soft.sum((2, 3)) + wanted.sum((2, 3)) + 1)
        loss = F.binary_cross_entropy_with_logits(logits, wanted) + 0.5 * (1 - overlap.mean())
        adam.zero_grad()
        loss.backward()
        adam.step()
        bar.set_postfix(loss=f"{loss.item():.4f}")
    net.eval()


def agreement(net: HeadNet, labelled: Labelled) -> float:
    """Mean intersection over union of the network's heads and labelled ones."""
    pictures, masks = labelled
    seen = torch.cat([net.masks(part.float() / 127.5 - 1)[:, 0] for part in pictures.split(32)]) > 0.5
    wanted = masks[:, 0]
    return ((seen & wanted).sum((1, 2)) / (seen | wanted).sum((1, 2))).mean().item()


def main(arguments: list[str] | None = None, report: Callable[[str], None] = log.info) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--generator", type=Path, required=True, help="weights file of the face generator")
    parser.add_argument("--faces", type=Path, required=True, help="folder of aligned portraits")
    parser.add_argument("--out", type=Path, required=True, help="weights file to write")
    parser.add_argument("--generated", type=int, default=240, help="pictures to draw")
    parser.add_argument("--steps", type=int, nargs=2, default=(200, 400), help="without and with portraits")
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--limit", type=int, help="use only this many portraits (trials)")
    parser.add_argument("--contact-sheet", type=Path, help="heads of held-out portraits (real people: do not publish)")
    args = parser.parse_args(arguments)
    torch.manual_seed(0)
    generator, _ = build_from_file(Generator, args.generator, "generator")
    training, held_out = (load_pictures(paths[: args.limit], HEAD_SIZE) for paths in split_pictures(args.faces))
    generated = label_generated(generator, args.generated)
    report(f"{len(generated[0])} generated pictures labelled")
    net = HeadNet().to(memory_format=torch.channels_last)
    fit(net, generated, args.steps[0], lr=args.lr)
    real = label_portraits(net, training)
    report(f"{len(real[0])} of {len(training)} portraits labelled")
    both = (torch.cat([generated[0], real[0]]), torch.cat([generated[1], real[1]]))
    fit(net, both, args.steps[1], lr=args.lr)
    found = agreement(net, label_portraits(net, held_out))
    report(f"held-out portraits: intersection over union with their own outlines {found:.3f}")
    note = {"generated": len(generated[0]), "portraits": len(real[0]), "held_out_iou": round(found, 4)}
    store.save(args.out, net.state_dict(), config={**net.config, "_training": note})
    if args.contact_sheet is not None:
        images = held_out[:48].float() / 127.5 - 1
        green = torch.tensor([-1.0, 1, -1])[:, None, None]
        shown = images + (1 - net.masks(images)[:, :1]) * (green - images)
        save_grid(torch.stack([images, shown], 1).flatten(0, 1), args.contact_sheet, 12)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        main()
    except (BadCheckpoint, BadImage, WeightsMissing) as error:
        raise SystemExit(str(error)) from error
