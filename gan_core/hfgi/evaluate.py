"""Score face editing on held-out people: `python -m gan_core.hfgi.evaluate --weights weights --data PORTRAITS`.

Inversion error with and without consultation; for each slider, how many people it moves the right way from one end
to the other, as measured on the final pictures by something that did not make the slider (landmarks of the face
finder for shape, a regression on the discriminator's features for age); and how much of what lies outside the face
changes.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import RidgeCV
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from gan_core.checkpoints.embedded import build_from_file
from gan_core.hfgi.directions import read_labels
from gan_core.hfgi.measures import FinderMeasures, to_columns
from gan_core.hfgi.pipeline import HFGIPipeline, load_embedded
from gan_core.stylegan2 import Discriminator
from gan_core.training.data import load_pictures
from gan_core.training.grids import save_grid
from gan_core.training.split import is_held_out

MESH_SLIDERS = {
    "smile": "corner_lift",
    "pose": "yaw_deg",
    "mouth_open": "mouth_open",
    "eyes_open": "eye_open",
    "nod": "nod",
}


class AgeProbe:
    """Age of aligned faces by ridge regression on pooled features of the discriminator, fitted to labels."""

    def __init__(self, discriminator: Discriminator) -> None:
        self.discriminator = discriminator.eval()
        self.ridge = RidgeCV(alphas=np.logspace(1, 6, 11))

    @torch.inference_mode()
    def _features(self, images: Tensor) -> np.ndarray:
        rows = []
        for part in images.split(16):
            maps = self.discriminator.features(part)[2:]
            pooled = [F.adaptive_avg_pool2d(m, 4).flatten(1) for m in maps]
            rows.append(torch.cat(pooled, 1).numpy())
        return np.concatenate(rows)

    def fit(self, images: Tensor, ages: np.ndarray) -> AgeProbe:
        """Learn from pictures (N, 3, R, R) in [-1, 1] and ages (N,) in years."""
        features = self._features(images)
        self.mean, self.std = features.mean(0), features.std(0) + 1e-6
        self.ridge.fit((features - self.mean) / self.std, ages)
        return self

    def __call__(self, images: Tensor) -> np.ndarray:
        """Years (N,)."""
        return self.ridge.predict((self._features(images) - self.mean) / self.std)


def outside_face(resolution: int) -> Tensor:
    """1 outside an ellipse about an FFHQ-aligned face, 0 inside; (R, R)."""
    y, x = torch.meshgrid(torch.arange(resolution), torch.arange(resolution), indexing="ij")
    unit = resolution / 256
    inside = ((x - 128 * unit) / (80 * unit)) ** 2 + ((y - 138 * unit) / (105 * unit)) ** 2 < 1
    return 1 - inside.float()


@torch.inference_mode()
def _measure(finder: FinderMeasures, images: Tensor, column: str) -> np.ndarray:
    return np.concatenate([to_columns(finder(part))[column] for part in images.split(16)])


def evaluate(
    pipeline: HFGIPipeline,
    faces: Tensor,
    probes: dict[str, Callable[[Tensor], np.ndarray]],
    reach: float = 3.0,
) -> tuple[dict[str, float], Tensor]:
    """Numbers, and rows to look at: face, inversion, with consultation, and both ends of each probed slider.

    faces: (N, 3, R, R) in [-1, 1]; errors are of pictures in [0, 1]. A probe returns larger values (N,) for what its
    slider claims to increase.
    """
    plain, final, rows = [], [], []
    outside: dict[str, list[float]] = {name: [] for name in probes}
    ends: dict[str, list[list[Tensor]]] = {name: [[], []] for name in probes}
    mask = outside_face(faces.shape[-1])
    for face in tqdm(faces.split(1), desc="held-out faces"):
        inversion = pipeline.invert(face)
        restored = pipeline.edit(inversion, {})
        plain.append(((inversion.image.clamp(-1, 1) - face) / 2).square().mean().item())
        final.append(((restored - face) / 2).square().mean().item())
        row = [face, inversion.image.clamp(-1, 1), restored]
        for name, pair in ends.items():
            for side, strength in zip(pair, (-reach, reach), strict=True):
                edited = pipeline.edit(inversion, {name: strength})
                side.append(edited)
                row.append(edited)
                difference = ((edited - restored) / 2).abs().mean(1)[0]  # what is pasted into the photo
                outside[name].append(((difference * mask).sum() / mask.sum()).item())
        rows.append(torch.cat(row))
    numbers = {
        "mse_plain": float(np.mean(plain)),
        "mse_consulted": float(np.mean(final)),
        "ratio": float(np.mean(final) / np.mean(plain)),
        "psnr": float(np.mean([-10 * np.log10(e) for e in final])),
    }
    for name, (low, high) in ends.items():
        moved = probes[name](torch.cat(high)) - probes[name](torch.cat(low))
        numbers[f"{name}_moves_right"] = float((moved > 0).mean())
        numbers[f"{name}_mean_move"] = float(moved.mean())
        numbers[f"{name}_changes_outside"] = float(np.mean(outside[name]))
    return numbers, torch.cat(rows)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--weights", type=Path, default=Path("weights"))
    parser.add_argument("--data", type=Path, required=True, help="folder with face/ and portraits.csv")
    parser.add_argument("--limit", type=int, default=40, help="held-out faces to score")
    parser.add_argument("--sheet", type=Path, help="picture of what was scored (real people: do not publish)")
    args = parser.parse_args()
    files, people, columns = read_labels(args.data / "portraits.csv", args.data / "face")
    held = np.array([is_held_out(person) for person in people])
    pipeline = load_embedded(args.weights)

    def load(chosen: np.ndarray) -> Tensor:
        return load_pictures([files[i] for i in chosen], pipeline.resolution).float() / 127.5 - 1

    finder = FinderMeasures(args.weights / "finder" / "finder.safetensors")
    probes: dict[str, Callable[[Tensor], np.ndarray]] = {
        slider: lambda images, column=column: _measure(finder, images, column)
        for slider, column in MESH_SLIDERS.items()
        if slider in pipeline.attributes
    }
    numbers: dict[str, float] = {}
    if "age" in pipeline.attributes:
        discriminator, _ = build_from_file(
            Discriminator, args.weights / "portraits_face" / "discriminator.safetensors", "discriminator"
        )
        known = np.isfinite(columns["age"])
        probe = AgeProbe(discriminator).fit(load(np.flatnonzero(known & ~held)), columns["age"][known & ~held])
        test = np.flatnonzero(known & held)
        numbers["age_probe_correlation"] = float(np.corrcoef(probe(load(test)), columns["age"][test])[0, 1])
        probes["age"] = probe
    faces = load(np.flatnonzero(held)[: args.limit])
    scored, rows = evaluate(pipeline, faces, probes)
    print(json.dumps({k: round(v, 4) for k, v in (numbers | scored).items()}, indent=1))  # noqa: T201
    if args.sheet is not None:
        columns_shown = 3 + 2 * len(probes)
        save_grid(F.interpolate(rows[: 12 * columns_shown], size=160, mode="area"), args.sheet, columns_shown)


if __name__ == "__main__":
    main()
