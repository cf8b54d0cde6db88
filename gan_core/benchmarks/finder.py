"""Speed and accuracy of the embedded face finder.

    python -m gan_core.benchmarks.finder                       # time of one webcam-size photo
    python -m gan_core.benchmarks.finder --data PORTRAITS      # and accuracy on people held out of training

With --data, wider portraits of held-out people are pasted into clutter at known places, sizes and angles; the points of
`find` are compared with their face mesh, and crops aligned by these points with the portraits' own crops.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from gan_core.benchmarks.timer import measure
from gan_core.checkpoints.embedded import build_from_file
from gan_core.faces.alignment import align, warp_affine
from gan_core.faces.finder import WEIGHTS, FaceFinder
from gan_core.faces.geometry import (
    apply_affine,
    face_from_five,
    ffhq_quad,
    five_points,
    invert_affine,
)
from gan_core.faces.networks import LANDMARKS
from gan_core.stylegan2 import Generator
from gan_core.training.faces.portraits import Portrait, pictures_and_maps, read_pictures, read_portraits
from gan_core.training.faces.scenes import Bank
from gan_core.training.split import is_held_out

PHOTO = (1280, 720)
FOUND = 0.25  # a face counts as found when its points are off by less than this part of the eye distance


@dataclass(frozen=True)
class Scene:
    """A photo with faces at known places: five points each (F, 5, 2)."""

    photo: Image.Image
    fives: np.ndarray


def backdrop(bank: Bank, size: tuple[int, int]) -> Image.Image:
    """A face-free photo."""
    side = 512
    picture = bank.clutter(1, side)[0].permute(1, 2, 0).mul(255).byte().cpu().numpy()
    return Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC)


def compose(portraits: list[Portrait], bank: Bank, random: np.random.Generator, faces: int) -> Scene:
    """`faces` busts side by side on a webcam-size photo.

    From small ones (a face of 40 pixels) to nearly all of its height, turned by up to 30 degrees.
    """
    photo = backdrop(bank, PHOTO)
    fives = []
    slot = PHOTO[0] / faces
    for i in range(faces):
        portrait = portraits[int(random.integers(len(portraits)))]
        with Image.open(portrait.bust or portrait.face) as opened:
            bust = opened.convert("RGB")
        to_bust = portrait.to_bust if portrait.to_bust is not None else np.eye(2, 3)
        five = apply_affine(to_bust, five_points(portrait.mesh))
        largest = min(slot, PHOTO[1]) / 256
        smallest = 40 / face_from_five(five, 1.0).size
        scale = float(np.exp(random.uniform(np.log(smallest), np.log(largest))))
        angle = np.radians(random.uniform(-30, 30) if random.random() < 0.5 else random.normal(0, 4))
        turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        reach = 128 * scale
        x = (i + 0.5) * slot + random.uniform(-1, 1) * max(slot / 2 - reach, 0)
        y = PHOTO[1] / 2 + random.uniform(-1, 1) * max(PHOTO[1] / 2 - reach, 0)
        shift = np.array([x, y]) - turn @ np.array([128.0, 128.0])
        to_photo = np.concatenate([turn, shift[:, None]], axis=1)
        layer, to_layer = bust, invert_affine(to_photo)
        if scale < 0.5:  # no aliasing
            factor = int(1 / scale)
            layer, to_layer = bust.reduce(factor), to_layer / factor
        mask = warp_affine(Image.new("RGB", layer.size, (255, 255, 255)), to_layer, PHOTO).getchannel(0)
        photo.paste(warp_affine(layer, to_layer, PHOTO), (0, 0), mask)
        fives.append(apply_affine(to_photo, five))
    return Scene(photo, np.stack(fives))


def timing(finder: FaceFinder, photo: Image.Image, repeats: int = 20) -> dict[str, float]:
    """Seconds for one photo after a first call: median, slowest, and the processor's own (median)."""
    busy = []

    def find() -> None:
        used = time.process_time()
        finder.find(photo)
        busy.append(time.process_time() - used)

    found = measure(find, "cpu", repeats=repeats, warm_up=1)
    return {
        "median_s": round(found.median, 4),
        "slowest_s": round(max(found.raw_times), 4),
        "cpu_s": round(statistics.median(busy[1:]), 4),
    }


def generated_photo(faces: int) -> Image.Image | None:
    """A webcam-size photo of faces by the embedded generator (nobody real), or None without its weights."""
    path = WEIGHTS.parents[1] / "portraits_face" / "generator.safetensors"
    if not path.is_file():
        return None
    generator = build_from_file(Generator, path, "generator")[0].eval()
    with torch.inference_mode():
        images = generator(torch.randn(faces, generator.config["z_dim"]), psi=0.7, noise="const")
    pixels = ((images.clamp(-1, 1) + 1) * 127.5).byte().permute(0, 2, 3, 1).numpy()
    photo = Image.new("RGB", PHOTO, (96, 104, 112))
    for i, picture in enumerate(pixels):
        side = min(PHOTO[1], PHOTO[0] // faces) - 40
        photo.paste(Image.fromarray(picture).resize((side, side)), (PHOTO[0] * i // faces + 20, 20))
    return photo


def off_by(got: np.ndarray, wanted: np.ndarray) -> float:
    """Mean error of eyes and mouth corners in eye distances."""
    pick = [0, 1, 3, 4]
    return float(np.hypot(*(got - wanted)[pick].T).mean() / np.hypot(*(wanted[1] - wanted[0])))


def detection(finder: FaceFinder, scenes: list[Scene]) -> dict[str, float]:
    """Share of faces found, false finds per photo, and the points' error over the faces found."""
    wanted = found = false = 0
    errors: list[float] = []
    small: list[bool] = []
    for scene in scenes:
        got = finder.find(scene.photo)
        used: set[int] = set()
        for five in scene.fives:
            wanted += 1
            error, index = min(((off_by(f.points, five), i) for i, f in enumerate(got)), default=(np.inf, -1))
            hit = error < FOUND
            if face_from_five(five, 1.0).size < 80:
                small.append(hit)
            if hit:
                found += 1
                used.add(index)
                errors.append(error)
        false += len(got) - len(used)
    return {
        "faces": wanted,
        "found": round(found / max(wanted, 1), 4),
        "found_40_to_80_px": round(float(np.mean(small)) if small else 1.0, 4),
        "false_per_photo": round(false / max(len(scenes), 1), 4),
        "error_eye_distances_mean": round(float(np.mean(errors)), 4) if errors else 1.0,
        "error_eye_distances_median": round(float(np.median(errors)), 4) if errors else 1.0,
    }


def alignment(finder: FaceFinder, portraits: list[Portrait]) -> dict[str, float]:
    """Align each bust by found points and compare with the portrait's own crop.

    Corner error in % of the side; mean difference of the inner pixels in % of full scale, and the same with
    the true points (the two files of one photo differ by that much).
    """
    corners: list[float] = []
    pixels: list[float] = []
    floor: list[float] = []
    missed = 0
    for portrait in portraits:
        if portrait.bust is None or portrait.to_bust is None:
            continue
        with Image.open(portrait.bust) as opened:
            bust = opened.convert("RGB")
        with Image.open(portrait.face) as opened:
            crop = np.asarray(opened.convert("RGB"), np.float32)
        faces = finder.find(bust)
        if not faces:
            missed += 1
            continue
        true = face_from_five(apply_affine(portrait.to_bust, five_points(portrait.mesh)), 1.0)
        quad = ffhq_quad(true)
        side = np.hypot(*(quad[3] - quad[0]))
        corners.append(100 * float(np.hypot(*(ffhq_quad(faces[0]) - quad).T).mean() / side))
        inner = (slice(48, 232), slice(44, 212))
        for face, result in ((faces[0], pixels), (true, floor)):
            got = np.asarray(align(bust, face, 256).crop, np.float32)
            result.append(100 * float(np.abs(got - crop)[inner].mean() / 255))
    return {
        "portraits": len(corners) + missed,
        "missed": missed,
        "corner_error_percent_mean": round(float(np.mean(corners)), 3),
        "corner_error_percent_95th": round(float(np.percentile(corners, 95)), 3),
        "pixel_difference_percent": round(float(np.mean(pixels)), 3),
        "pixel_difference_percent_true_points": round(float(np.mean(floor)), 3),
    }


def main(argv: list[str] | None = None) -> None:
    """Print one JSON object with all numbers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, default=WEIGHTS)
    parser.add_argument("--data", type=Path, help="portraits folder; without it only the time is measured")
    parser.add_argument("--photos", type=int, default=60, help="photos composed of held-out people")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--everyone", action="store_true", help="not only people held out of training")
    arguments = parser.parse_args(argv)
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    random = np.random.default_rng(0)
    finder = FaceFinder.load(arguments.weights)
    noise = Image.fromarray(random.integers(0, 255, (90, 160, 3), np.uint8)).resize(PHOTO)
    report: dict[str, object] = {"threads": arguments.threads, "empty_photo": timing(finder, noise)}
    for name, faces in (("one_generated_face", 1), ("four_generated_faces", 4)):
        if (photo := generated_photo(faces)) is not None:
            report[name] = timing(finder, photo)
    if arguments.data is not None:
        portraits = [
            p
            for p in read_portraits(arguments.data)
            if (arguments.everyone or is_held_out(p.person)) and p.bust is not None
        ]
        pictures, maps, points = pictures_and_maps(portraits, LANDMARKS)
        textures = sorted((arguments.data / "clutter").glob("*.jpg"))
        bank = Bank(
            torch.from_numpy(pictures),
            torch.tensor(maps, dtype=torch.float32),
            torch.tensor(points, dtype=torch.float32),
            torch.from_numpy(read_pictures(textures)) if textures else None,
        )
        single = [compose(portraits, bank, random, 1) for _ in range(arguments.photos)]
        several = [compose(portraits, bank, random, int(random.integers(2, 5))) for _ in range(arguments.photos // 2)]
        empty = [Scene(backdrop(bank, PHOTO), np.zeros((0, 5, 2))) for _ in range(arguments.photos)]
        report["one_face"] = detection(finder, single)
        report["several_faces"] = detection(finder, several)
        report["no_face"] = {
            "photos": len(empty),
            "false_finds": sum(len(finder.find(s.photo)) for s in empty),
        }
        report["alignment"] = alignment(finder, portraits)
    sys.stdout.write(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
