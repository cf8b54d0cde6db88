"""Measures what refining an inversion on its photo does, on people that the networks never saw.

    python -m gan_core.evaluation.refinement --weights weights --pictures FOLDER FOLDER

Before and after: how close the inversion is to the photo, without and with consultation; how far edits reach, by the
change of the picture and by a measure of the attribute; and whether the person stays, by the cosine similarity of the
identity to the photo's. Identity and age are read by the predictor of "Edit at the edges", smile and turn by the face
finder's landmarks; neither takes part in the optimisation, which uses the discriminator's features.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from gan_core.evaluation.metrics.psnr import psnr
from gan_core.hfgi.pipeline import HFGIPipeline, Inversion, load_embedded
from gan_core.hfgi.refine import RefinementSettings
from gan_core.images import to_tensor
from gan_core.self_conditioned.predictors import FacePredictor, load_predictor
from gan_core.training.grids import save_grid
from gan_core.training.hfgi.measures import FinderMeasures

EDITS = (("smile", 3.0), ("age", 3.0), ("age", -3.0), ("pose", 3.0))
Numbers = dict[str, float]


@dataclass(frozen=True)
class Judges:
    """Networks that measure pictures and take no part in refining."""

    predictor: FacePredictor
    finder: FinderMeasures

    def identity(self, images: Tensor) -> Tensor:
        """(N, 128), of unit length, on the CPU."""
        return self.predictor.predict(images)[0]

    def attributes(self, images: Tensor) -> Numbers:
        """Smile (lift of the mouth's corners, in distances of the eyes), age (years) and pose (degrees to the image's
        right) of one picture (1, 3, R, R)."""
        found = self.finder(images)
        age = self.predictor.predict(images)[1][0, self.predictor.measures.index("age")]
        return {"smile": found["corner_lift"].item(), "age": age.item(), "pose": found["yaw_deg"].item()}


def measure(pipeline: HFGIPipeline, inversion: Inversion, judges: Judges) -> tuple[Numbers, Tensor]:
    """Measures of one inversion, and its pictures: plain, consulted, one for each edit.

    "psnr_plain", "psnr_consulted": dB. "identity_plain": similarity of the plain inversion to the photo. For each edit,
    as in "smile+3": "_change", mean absolute change of the consulted picture, in per cent of the range; "_moved", of
    the attribute, in its own unit; "_identity", similarity of the edited picture to the photo.
    """
    face, restored = inversion.face, pipeline.edit(inversion, {})
    plain = inversion.image.clamp(-1, 1)
    photo, before = judges.identity(face), judges.attributes(restored)
    numbers = {
        "psnr_plain": psnr(plain, face).item(),
        "psnr_consulted": psnr(restored, face).item(),
        "identity_plain": (photo * judges.identity(plain)).sum().item(),
        "identity_consulted": (photo * judges.identity(restored)).sum().item(),
    }
    pictures = [plain, restored]
    for name, strength in EDITS:
        slider = pipeline.attributes.get(name)
        if slider is None:
            continue
        reached = min(max(strength, slider.low), slider.high)
        edited, key = pipeline.edit(inversion, {name: reached}), f"{name}{strength:+g}"
        numbers[f"{key}_change"] = 50 * (edited - restored).abs().mean().item()
        numbers[f"{key}_moved"] = judges.attributes(edited)[name] - before[name]
        numbers[f"{key}_identity"] = (photo * judges.identity(edited)).sum().item()
        pictures.append(edited)
    return numbers, torch.cat(pictures)


def compare(
    pipeline: HFGIPipeline, faces: Tensor, judges: Judges, settings: RefinementSettings | None = None
) -> tuple[dict[str, Numbers], Tensor]:
    """Mean measures "before" and "after" refining, with the mean "seconds" and "megabytes" of an inversion; and two
    rows of pictures for each face: the face and the pictures of `measure`, before and after.

    faces: (N, 3, R, R) in [-1, 1].
    """
    found: dict[str, list[Numbers]] = {"before": [], "after": []}
    rows = []
    for face in tqdm(faces.to(pipeline.device).split(1), mininterval=5):
        begun = time.monotonic()
        inversion = pipeline.invert(face)
        took = time.monotonic() - begun
        for when in found:
            numbers, pictures = measure(pipeline, inversion, judges)
            found[when].append({**numbers, "seconds": took, "megabytes": inversion.size / 2**20})
            rows += [face, pictures]
            if when == "before":
                begun, before = time.monotonic(), inversion
                for report in pipeline.refine(before, settings):
                    inversion = report.inversion or inversion
                took = time.monotonic() - begun
    means = {when: {k: float(np.mean([one[k] for one in all_])) for k in all_[0]} for when, all_ in found.items()}
    return means, torch.cat(rows).cpu()


def read_faces(folders: Sequence[Path], each: int, side: int) -> Tensor:
    """`each` aligned pictures of every folder, spread over its names, (N, 3, side, side) in [-1, 1].

    Raises FileNotFoundError where a folder has no pictures.
    """
    faces = []
    for folder in folders:
        files = sorted(path for path in folder.iterdir() if path.suffix in (".webp", ".png", ".jpg"))
        if not files:
            raise FileNotFoundError(f"There are no pictures in {folder}.")
        for path in [files[len(files) * i // each] for i in range(min(each, len(files)))]:
            with Image.open(path) as picture:
                square = picture.convert("RGB").resize((side, side), Image.Resampling.LANCZOS)
            faces.append(to_tensor(square))
    return torch.cat(faces)


def load_judges(weights: Path, device: str = "cpu") -> Judges:
    """From `weights`/. Raises WeightsMissing or BadCheckpoint."""
    predictor = load_predictor(weights / "people_edges" / "predictors.safetensors").to(device)
    return Judges(predictor, FinderMeasures(weights / "finder" / "finder.safetensors", device))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--weights", type=Path, default=Path("weights"))
    parser.add_argument("--pictures", type=Path, nargs="+", required=True, help="folders of aligned faces")
    parser.add_argument("--each", type=int, default=6, help="people of each folder")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--contact-sheet", type=Path, help="picture of what was scored (real people: do not publish)")
    args = parser.parse_args()
    pipeline = load_embedded(args.weights, device=args.device)
    faces = read_faces(args.pictures, args.each, pipeline.resolution)
    means, rows = compare(pipeline, faces, load_judges(args.weights, args.device))
    print(json.dumps({when: {k: round(v, 4) for k, v in m.items()} for when, m in means.items()}, indent=1))  # noqa: T201
    if args.contact_sheet is not None:
        save_grid(F.interpolate(rows, size=128, mode="area"), args.contact_sheet, len(rows) // (2 * len(faces)))


if __name__ == "__main__":
    main()
