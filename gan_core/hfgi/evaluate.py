"""Score face editing on held-out people: `python -m gan_core.hfgi.evaluate --weights weights --data PORTRAITS`.

Inversion error with and without consultation; for each slider, how many people it moves the right way from one end
to the other, as measured on the final pictures by something that did not make the slider (`probes.py`); how much
changes outside the face, outside the head, and along the head's outline, where halos are; and how much fine detail is
left.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from gan_core.checkpoints.embedded import build_from_file
from gan_core.faces.head import HeadNet, load_head
from gan_core.hfgi.consultation import detail
from gan_core.hfgi.directions import read_labels
from gan_core.hfgi.pipeline import HFGIPipeline, load_embedded
from gan_core.hfgi.probes import LABEL_SLIDERS, FeatureRegression, Probe, simple_probes
from gan_core.stylegan2 import Discriminator
from gan_core.training.data import load_pictures
from gan_core.training.grids import save_grid
from gan_core.training.split import is_held_out


def outside_face(resolution: int) -> Tensor:
    """1 outside an ellipse about an FFHQ-aligned face, 0 inside; (R, R). Hair, ears and neck are outside."""
    y, x = torch.meshgrid(torch.arange(resolution), torch.arange(resolution), indexing="ij")
    unit = resolution / 256
    inside = ((x - 128 * unit) / (80 * unit)) ** 2 + ((y - 138 * unit) / (105 * unit)) ** 2 < 1
    return 1 - inside.float()


def grow(mask: Tensor, pixels: int) -> Tensor:
    """A mask (N, 1, H, W) widened by so many pixels."""
    return F.max_pool2d(mask, 2 * pixels + 1, stride=1, padding=pixels)


def changes(before: Tensor, after: Tensor, head: HeadNet | None) -> dict[str, float]:
    """Mean absolute difference of two pictures (1, 3, R, R) in [-1, 1], as a share of the range: "outside" the face;
    and, with a head finder, outside the "backdrop" of both heads (backdrop and clothes, four pixels of 256 off the
    outline), and in the next twelve pixels about the heads ("outline")."""
    difference = ((after - before) / 2).abs().mean(1, keepdim=True)
    masks = {"outside": outside_face(before.shape[-1]).to(before)[None, None]}
    if head is not None:
        unit = max(before.shape[-1] // 256, 1)
        heads = (head.masks(torch.cat([before, after]))[:, :1] > 0.5).float().amax(0, keepdim=True)
        near = grow(heads, 4 * unit)
        masks |= {"backdrop": 1 - near, "outline": grow(near, 12 * unit) - near}
    return {name: ((difference * m).sum() / m.sum().clamp_min(1)).item() for name, m in masks.items()}


def evaluate(
    pipeline: HFGIPipeline,
    faces: Tensor,
    probes: Mapping[str, Probe],
    *,
    head: HeadNet | None = None,
    reach: float = 3.0,
) -> tuple[dict[str, float], Tensor]:
    """Numbers of all the pipeline's sliders, and rows to look at: face, inversion, with consultation, and both ends of
    each slider.

    faces: (N, 3, R, R) in [-1, 1]; errors are of pictures in [0, 1]. A slider without a probe is not asked whether it
    moves the right way.
    """
    plain, final, details, rows = [], [], [], []
    sliders = list(pipeline.attributes)
    changed: dict[str, list[dict[str, float]]] = {name: [] for name in sliders}
    sharp: dict[str, list[float]] = {name: [] for name in sliders}
    ends: dict[str, list[list[Tensor]]] = {name: [[], []] for name in sliders}
    for face in tqdm(faces.split(1), desc="held-out faces"):
        inversion = pipeline.invert(face)
        restored = pipeline.edit(inversion, {})
        plain.append(((inversion.image.clamp(-1, 1) - face) / 2).square().mean().item())
        final.append(((restored - face) / 2).square().mean().item())
        details.append((detail(restored) / detail(face)).item())
        row = [face, inversion.image.clamp(-1, 1), restored]
        for name, pair in ends.items():
            for side, strength in zip(pair, (-reach, reach), strict=True):
                edited = pipeline.edit(inversion, {name: strength})
                side.append(edited)
                row.append(edited)
                changed[name].append(changes(restored, edited, head))  # what is pasted into the photo
                sharp[name].append((detail(edited) / detail(face)).item())
        rows.append(torch.cat(row))
    numbers = {
        "mse_plain": float(np.mean(plain)),
        "mse_consulted": float(np.mean(final)),
        "ratio": float(np.mean(final) / np.mean(plain)),
        "psnr": float(np.mean([-10 * np.log10(e) for e in final])),
        "detail": float(np.mean(details)),
    }
    for name, (low, high) in ends.items():
        if name in probes:
            moved = probes[name](torch.cat(high)) - probes[name](torch.cat(low))
            numbers[f"{name}_moves_right"] = float((moved > 0).mean())
            numbers[f"{name}_mean_move"] = float(moved.mean())
        for where in changed[name][0]:
            numbers[f"{name}_changes_{where}"] = float(np.mean([c[where] for c in changed[name]]))
        numbers[f"{name}_detail"] = float(np.mean(sharp[name]))
    return numbers, torch.cat(rows)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--weights", type=Path, default=Path("weights"))
    parser.add_argument("--data", type=Path, required=True, help="folder with face/ and portraits.csv")
    parser.add_argument("--limit", type=int, default=40, help="held-out faces to score")
    parser.add_argument(
        "--probe-faces", type=int, default=600, help="training faces that age and gender are learned from"
    )
    parser.add_argument("--sheet", type=Path, help="picture of what was scored (real people: do not publish)")
    args = parser.parse_args()
    files, people, columns = read_labels(args.data / "portraits.csv", args.data / "face")
    held = np.array([is_held_out(person) for person in people])
    pipeline = load_embedded(args.weights)

    def load(chosen: np.ndarray) -> Tensor:
        return load_pictures([files[i] for i in chosen], pipeline.resolution).float() / 127.5 - 1

    head = load_head(args.weights / "portraits_hfgi" / "head.safetensors")
    probes = simple_probes(args.weights / "finder" / "finder.safetensors", head)
    path = args.weights / "portraits_face" / "discriminator.safetensors"
    discriminator, _ = build_from_file(Discriminator, path, "discriminator")
    numbers: dict[str, float] = {}
    for slider, column in LABEL_SLIDERS.items():
        if slider not in pipeline.attributes:
            continue
        known = np.isfinite(columns[column])
        learned = np.random.RandomState(0).permutation(np.flatnonzero(known & ~held))[: args.probe_faces]
        probe = FeatureRegression(discriminator).fit(load(learned), columns[column][learned])
        test = np.flatnonzero(known & held)
        numbers[f"{slider}_probe_correlation"] = float(np.corrcoef(probe(load(test)), columns[column][test])[0, 1])
        probes[slider] = probe
    faces = load(np.flatnonzero(held)[: args.limit])
    scored, rows = evaluate(pipeline, faces, probes, head=head)
    print(json.dumps({k: round(v, 4) for k, v in (numbers | scored).items()}, indent=1))  # noqa: T201
    if args.sheet is not None:
        columns_shown = 3 + 2 * len(pipeline.attributes)
        save_grid(F.interpolate(rows[: 12 * columns_shown], size=160, mode="area"), args.sheet, columns_shown)


if __name__ == "__main__":
    main()
