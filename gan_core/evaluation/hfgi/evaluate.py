"""Measures inversion and edits, with and without consultation, on held-out people.

    python -m gan_core.evaluation.hfgi.evaluate --weights weights --data PORTRAITS

Measured are: the inversion error with and without consultation; for each slider, the share of people whose attribute
changes in the right direction from one end to the other, by an independent measure of the final pictures (`probes.py`);
the change outside the face, outside the head, and along the head's outline, where halos appear; and the share of fine
detail that is kept.
"""

from __future__ import annotations

import argparse
import contextlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from gan_core.checkpoints.embedded import build_from_file
from gan_core.errors import FaceTooSmall, NoFaceFound
from gan_core.evaluation.hfgi.probes import LABEL_SLIDERS, FeatureRegression, Probe, simple_probes
from gan_core.faces import align, find_faces, paste_back
from gan_core.faces.head import HeadNet, load_head
from gan_core.faces.reference import reference_for
from gan_core.hfgi.pipeline import HFGIPipeline, load_embedded
from gan_core.images import to_pil, to_tensor
from gan_core.stylegan2 import Discriminator
from gan_core.training.data import load_pictures
from gan_core.training.grids import save_grid
from gan_core.training.hfgi.consultation import detail
from gan_core.training.hfgi.directions import read_labels

Numbers = dict[str, float]


def outside_face(resolution: int) -> Tensor:
    """1 outside an ellipse about an FFHQ-aligned face, 0 inside; (R, R). Hair, ears and neck are outside."""
    y, x = torch.meshgrid(torch.arange(resolution), torch.arange(resolution), indexing="ij")
    unit = resolution / 256
    inside = ((x - 128 * unit) / (80 * unit)) ** 2 + ((y - 138 * unit) / (105 * unit)) ** 2 < 1
    return 1 - inside.float()


def grow(mask: Tensor, pixels: int) -> Tensor:
    """A mask (N, 1, H, W) dilated by a number of pixels."""
    return F.max_pool2d(mask, 2 * pixels + 1, stride=1, padding=pixels)


def changes(before: Tensor, after: Tensor, head: HeadNet | None) -> Numbers:
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
) -> tuple[Numbers, Tensor]:
    """Measurements of all the pipeline's sliders, and rows of pictures: face, inversion, with consultation, and both
    ends of each slider.

    faces: (N, 3, R, R) in [-1, 1]; errors are of pictures in [0, 1]. The direction of a slider's change is measured
    only if it has a probe.
    """
    plain, final, details, rows = [], [], [], []
    sliders = list(pipeline.attributes)
    changed: dict[str, list[Numbers]] = {name: [] for name in sliders}
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
            attribute = pipeline.attributes[name]
            reaches = max(-reach, attribute.low), min(reach, attribute.high)
            for side, strength in zip(pair, reaches, strict=True):
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


def photo_changes(pipeline: HFGIPipeline, photo: Image.Image, sliders: Sequence[str], reach: float = 3.0) -> Numbers:
    """Change of a whole photo by an edit: mean absolute difference outside the ellipse of `outside_face`, at the worse
    end of each slider. Raises NoFaceFound or FaceTooSmall."""
    aligned = align(photo, find_faces(photo)[0], pipeline.resolution)
    inversion = pipeline.invert(to_tensor(aligned.crop))
    unchanged = to_pil(pipeline.edit(inversion, {}))
    y, x = np.mgrid[: photo.height, : photo.width] + 0.5
    m, unit = aligned.to_crop, pipeline.resolution / 256
    u, v = ((m[i, 0] * x + m[i, 1] * y + m[i, 2]) / unit for i in (0, 1))
    outside = ((u - 128) / 80) ** 2 + ((v - 138) / 105) ** 2 >= 1
    before, worst = np.asarray(photo, np.float32), {}
    for name in sliders:
        attribute = pipeline.attributes[name]
        sides = []
        for strength in (max(-reach, attribute.low), min(reach, attribute.high)):
            edited = to_pil(pipeline.edit(inversion, {name: strength}))
            pasted = paste_back(photo, aligned, edited, reference=reference_for(aligned.crop, unchanged, edited))
            difference = np.abs(np.asarray(pasted, np.float32) - before).mean(2) / 255
            sides.append(float(difference[outside].mean()))
        worst[f"{name}_changes_photo"] = max(sides)
    return worst


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--weights", type=Path, default=Path("weights"))
    parser.add_argument(
        "--data",
        type=Path,
        required=True,
        help="folder named portraits (whose people are held out by that name), with face/ and portraits.csv",
    )
    parser.add_argument("--limit", type=int, default=40, help="held-out faces to score")
    parser.add_argument(
        "--probe-faces", type=int, default=600, help="training faces that age and gender are learned from"
    )
    parser.add_argument("--photos", type=int, default=20, help="held-out whole photos, from bust/, to edit")
    parser.add_argument("--contact-sheet", type=Path, help="picture of what was scored (real people: do not publish)")
    args = parser.parse_args()
    labelled = read_labels(args.data / "face", args.data / "portraits.csv")
    files, held, columns = labelled.files, labelled.held_out, labelled.columns
    pipeline = load_embedded(args.weights)

    def load(chosen: np.ndarray) -> Tensor:
        return load_pictures([files[i] for i in chosen], pipeline.resolution).float() / 127.5 - 1

    head = load_head(args.weights / "portraits_hfgi" / "head.safetensors")
    probes = simple_probes(args.weights / "finder" / "finder.safetensors", head)
    path = args.weights / "portraits_face" / "discriminator.safetensors"
    discriminator, _ = build_from_file(Discriminator, path, "discriminator")
    numbers: Numbers = {}
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
    whole: list[Numbers] = []
    for i in tqdm(np.flatnonzero(held)[: args.photos], desc="whole photos"):
        path = args.data / "bust" / files[i].name
        if path.is_file():
            with Image.open(path) as photo, contextlib.suppress(NoFaceFound, FaceTooSmall):
                whole.append(photo_changes(pipeline, photo.convert("RGB"), list(pipeline.attributes)))
    if whole:
        scored |= {name: float(np.mean([one[name] for one in whole])) for name in whole[0]}
        scored["photos"] = len(whole)
    print(json.dumps({k: round(v, 4) for k, v in (numbers | scored).items()}, indent=1))  # noqa: T201
    if args.contact_sheet is not None:
        columns_shown = 3 + 2 * len(pipeline.attributes)
        save_grid(F.interpolate(rows[: 12 * columns_shown], size=160, mode="area"), args.contact_sheet, columns_shown)


if __name__ == "__main__":
    main()
