"""Prepares collections of portraits for training: `python -m gan_core.training.prepare_people --out FOLDER ...`.

Resizes pictures, cuts people out with MediaPipe's selfie mask (the `mediapipe` package, needed here only) refined by a
guided filter (He et al. 2010), and draws views of panoramas as backdrops. The result is read by
`gan_core.training.people`.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from gan_core.training.cube_maps import CUBE


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--collection", nargs=2, action="append", metavar=("NAME", "FOLDER"), default=[])
    parser.add_argument("--panoramas", type=Path, help="folder of cube maps, NAME/px.webp and so on")
    parser.add_argument("--views", type=int, default=6, help="backdrops a panorama")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--resolution", type=int, default=256)
    parser.add_argument("--quality", type=int, default=90)
    args = parser.parse_args()
    cut_out = selfie_cutter() if args.collection else None
    for name, folder in args.collection:
        gather(Path(folder), args.out / name, args.resolution, args.quality, cut_out)
    if args.panoramas is not None:
        draw_backdrops(args.panoramas, args.out / "backdrops", args.resolution, args.views)


def gather(
    source: Path, out: Path, resolution: int, quality: int, cut_out: Callable[[np.ndarray], np.ndarray] | None
) -> None:
    """Write every picture of `source` and its matte, as WebP of one size."""
    (out / "mattes").mkdir(parents=True, exist_ok=True)
    for path in tqdm(sorted(p for p in source.iterdir() if p.suffix in (".jpg", ".webp", ".png")), desc=out.name):
        with Image.open(path) as image:
            picture = image.convert("RGB")
        if picture.size != (resolution, resolution):
            larger = picture.width > resolution
            method = Image.Resampling.BOX if larger else Image.Resampling.BICUBIC
            picture = picture.resize((resolution, resolution), method)
        picture.save(out / f"{path.stem}.webp", quality=quality, method=6)
        if cut_out is not None:
            matte = (cut_out(np.asarray(picture)) * 255).round().astype(np.uint8)
            Image.fromarray(matte).save(out / "mattes" / f"{path.stem}.webp", quality=80, method=6)


def selfie_cutter() -> Callable[[np.ndarray], np.ndarray]:
    """A function from a picture (H, W, 3), uint8, to its matte (H, W), float32 in [0, 1]."""
    import cv2
    import mediapipe

    network = mediapipe.solutions.selfie_segmentation.SelfieSegmentation(model_selection=0)

    def cut_out(picture: np.ndarray) -> np.ndarray:
        mask = cv2.resize(network.process(picture).segmentation_mask, picture.shape[1::-1]).astype(np.float32)
        mask = np.clip((mask - 0.15) / 0.7, 0, 1)
        mask = guided_filter(picture.astype(np.float32).mean(2) / 255, mask, radius=10, eps=1e-4)
        return np.clip((mask - 0.08) / 0.84, 0, 1)

    return cut_out


def guided_filter(guide: np.ndarray, mask: np.ndarray, radius: int, eps: float) -> np.ndarray:
    """`mask` (H, W), filtered to have the edges of `guide` (H, W) (He et al. 2010, equations 5, 6 and 8)."""
    import cv2

    def mean(x: np.ndarray) -> np.ndarray:
        return cv2.blur(x, (2 * radius + 1, 2 * radius + 1))

    mean_guide, mean_mask = mean(guide), mean(mask)
    slope = (mean(guide * mask) - mean_guide * mean_mask) / (mean(guide * guide) - mean_guide**2 + eps)
    return mean(slope) * guide + mean(mean_mask - slope * mean_guide)


def draw_backdrops(source: Path, out: Path, resolution: int, views: int) -> None:
    """Write `views` views of each panorama, level to within 10 degrees, 40 to 80 degrees wide."""
    out.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    for name in tqdm(list(_places(source)), desc=out.name):
        faces = {}
        for face in CUBE:
            with Image.open(source / name / f"{face}.webp") as image:
                faces[face] = np.asarray(image.convert("RGB"))
        for i in range(views):
            yaw, pitch = random.uniform(0, 360), random.uniform(-10, 10)
            view = cube_view(faces, resolution, random.uniform(40, 80), yaw, pitch)
            Image.fromarray(view).save(out / f"{name}_{i}.webp", quality=80, method=6)


def _places(source: Path) -> Iterator[str]:
    with (source / "panoramas.csv").open() as file:
        for row in csv.DictReader(file):
            if row["people"] == "no":
                yield row["name"]


def cube_view(faces: dict[str, np.ndarray], side: int, field: float, yaw: float, pitch: float) -> np.ndarray:
    """A square perspective view (side, side, 3) of a cube map; angles in degrees, nearest pixels averaged 2x2."""
    fine = side * 2
    span = np.tan(np.radians(field / 2)) * (np.arange(fine) + 0.5 - fine / 2) / (fine / 2)
    x, y = np.meshgrid(span, -span)
    rays = np.stack([x, y, np.ones_like(x)], -1)
    a, b = np.radians(pitch), np.radians(yaw)
    tilt = np.array([[1, 0, 0], [0, np.cos(a), np.sin(a)], [0, -np.sin(a), np.cos(a)]])
    turn = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    rays = rays @ (turn @ tilt).T
    result = np.zeros((fine, fine, 3), np.float32)
    outward = np.stack([rays @ np.array(axes[2], float) for axes in CUBE.values()], -1)
    chosen = outward.argmax(-1)
    for i, (face, (right, down, out)) in enumerate(CUBE.items()):
        here = chosen == i
        part = rays[here]
        depth = part @ np.array(out, float)
        size = faces[face].shape[0]
        columns = ((part @ np.array(right, float) / depth + 1) / 2 * size).astype(int).clip(0, size - 1)
        rows = ((part @ np.array(down, float) / depth + 1) / 2 * size).astype(int).clip(0, size - 1)
        result[here] = faces[face][rows, columns]
    return result.reshape(side, 2, side, 2, 3).mean((1, 3)).round().astype(np.uint8)


if __name__ == "__main__":
    main()
