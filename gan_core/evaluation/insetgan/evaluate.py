"""The paper's comparison on the embedded generators.

    python -m gan_core.evaluation.insetgan.evaluate --data BUSTS --out DIR
    python -m gan_core.evaluation.insetgan.evaluate --canvas bodies --data BODIES --out DIR

Random pairs of a body and a face, at two truncations, are composed in five ways: the canvas alone, the plain paste, the
face optimised for a fixed body, the body for a fixed face, and both jointly. For each, it measures the seam energy at
the region's border and the detail on both sides of it (of hard pastes without feathering), and a Frechet distance to
the real pictures, which is no published FID: in embedded features for busts, in EfficientNet-Lite0's for whole bodies.
For a fixed face it also measures the difference between its landmarks and colours in the composite and those of the
face generator's picture, compared with the same face drawn with other noise. It writes results.json, table.md,
modes.jpg and, for each truncation, before_after.jpg (paste, both optimised) and refined.jpg (the body alone, its face
refined).
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from gan_core.errors import NoFaceFound
from gan_core.evaluation.insetgan.canvases import CANVASES, Canvas
from gan_core.evaluation.insetgan.fixed_face import fixed_face
from gan_core.evaluation.insetgan.seams import detail, seam
from gan_core.evaluation.metrics.ids import Moments, frechet_distance
from gan_core.faces.head import HeadNet
from gan_core.insetgan.latents import Composite, Report, Schedule
from gan_core.insetgan.pipeline import CompositionRequest, InsetGANPipeline, Part
from gan_core.insetgan.regions import REGIONS, Region
from gan_core.insetgan.sources import LatentSource
from gan_core.training.data import find_pictures, load_pictures
from gan_core.training.grids import save_grid
from weights import catalogue

BODY_SEED, FACE_SEED = 1000, 5000
MODES = ("face", "body", "joint")
CASES = {
    "canvas": "the body generator alone",
    "pasted": "face pasted, not optimised",
    "face": "the face, on a given body",
    "body": "the body, for a given face",
    "joint": "both optimised",
}


def compose(pipeline: InsetGANPipeline, request: CompositionRequest) -> Report | None:
    """The last report, or None if no face was found on the body."""
    try:
        *_, last = pipeline.compose(request)
    except NoFaceFound:
        return None
    return last


def run_pairs(
    pipeline: InsetGANPipeline, count: int, psi: float, schedule: Schedule, region: str, deadline: float
) -> dict[str, list[Report]]:
    """Reports of all modes for the same pairs; pairs without a face on the body are left out.

    deadline: time of `time.perf_counter` after which no further pair is started.
    """
    found: dict[str, list[Report]] = {mode: [] for mode in MODES}
    for i in tqdm(range(count), desc=f"psi {psi:g}", leave=False):
        if time.perf_counter() > deadline:
            break
        request = CompositionRequest(
            LatentSource(BODY_SEED + i, psi), LatentSource(FACE_SEED + i, psi), region=region, schedule=schedule
        )
        reports = {mode: compose(pipeline, replace(request, mode=mode)) for mode in found}
        made = {mode: report for mode, report in reports.items() if report is not None}
        if len(made) == len(found):
            for mode, report in made.items():
                found[mode].append(report)
    return found


@dataclass(frozen=True)
class Case:
    """A picture of one of the `CASES`, the same without feathering, and the composite that it is of."""

    shown: Tensor
    hard: Tensor
    of: Composite


def composites(found: dict[str, list[Report]]) -> dict[str, list[Case]]:
    """The pictures of each case."""
    cases = {
        "canvas": [Case(r.pasted.canvas, r.pasted.canvas, r.pasted) for r in found["joint"]],
        "pasted": [Case(r.pasted.hard, r.pasted.hard, r.pasted) for r in found["joint"]],
    }
    for mode in MODES:
        cases[mode] = [Case(r.best.image, r.best.hard, r.best) for r in found[mode]]
    return cases


def measured(
    found: dict[str, list[Report]],
    features: Callable[[Tensor], Tensor],
    real: Moments,
    region: Region,
    head: HeadNet | None,
) -> dict[str, dict[str, float]]:
    """For each case the means of seam energy and detail, and the Frechet distance to the real pictures."""
    rows = {}
    for name, cases in composites(found).items():
        inside, outside = np.mean([detail(case.hard, case.of.placements[0]) for case in cases], 0)
        shown = torch.cat([case.shown for case in cases])
        rows[name] = {
            "seam": float(np.mean([seam(case.of, region, head, case.hard) for case in cases])),
            "inside": float(inside),
            "outside": float(outside),
            "frechet": frechet_distance(real, Moments.of(features(shown).numpy())),
        }
    return rows


def ratios(
    found: dict[str, list[Report]], region: Region, head: HeadNet | None, *, shown: bool = False
) -> dict[str, dict[str, float]]:
    """For each mode the ratio of its seam energy to that of the same pair's plain paste: of hard pastes, or of the
    picture that is `shown`, whose border is feathered."""
    before = np.array([seam(r.pasted, region, head) for r in found["joint"]])
    result = {}
    for mode, reports in found.items():
        after = np.array([seam(r.best, region, head, r.best.image if shown else None) for r in reports])
        each = after / before
        result[mode] = {
            "mean": round(float(after.sum() / before.sum()), 3),
            "median": round(float(np.median(each)), 3),
            "worst": round(float(each.max()), 3),
        }
    return result


def modes_sheet(pipeline: InsetGANPipeline, schedule: Schedule, path: Path, region: str, rows: int = 4) -> None:
    """Rows of: body, face, paste, both optimised, a body for the face, the face on the body, outline, two insets."""
    pictures: list[Tensor] = []
    for i in range(rows):
        request = CompositionRequest(
            LatentSource(BODY_SEED + 100 + i), LatentSource(FACE_SEED + 100 + i), region=region, schedule=schedule
        )
        variants = [request, replace(request, mode="body"), replace(request, mode="face")]
        if "outline" in pipeline.regions:
            variants.append(replace(request, region="outline"))
        variants.append(replace(request, parts=(Part("mouth", LatentSource(FACE_SEED + 200 + i)),)))
        reports = [report for variant in variants if (report := compose(pipeline, variant)) is not None]
        if len(reports) < len(variants):
            continue
        first = reports[0].pasted
        size = (first.canvas.shape[-2], first.canvas.shape[-1])
        pictures += [first.canvas, _beside(first.insets[0], size), first.hard, *(r.best.image for r in reports)]
    if pictures:
        save_grid(torch.cat(pictures), path, len(variants) + 3)


def _beside(face: Tensor, size: tuple[int, int]) -> Tensor:
    """A face on black at a canvas's (height, width)."""
    width = min(size)
    small = F.interpolate(face, (width, width), mode="bilinear", antialias=True, align_corners=False)
    return F.pad(small, (0, size[1] - width, 0, size[0] - width), value=-1.0)


def table(rows: dict[str, dict[str, dict[str, float]]]) -> str:
    """The comparison as Markdown: a row a case, four columns a truncation."""
    head = " | ".join(f"psi {psi}: Frechet | seam | detail inside | outside" for psi in rows)
    lines = [f"| | {head} |", "|---|" + "---|" * (4 * len(rows))]
    for case, label in CASES.items():
        found = [rows[psi][case] for psi in rows]
        cells = [f"{r['frechet']:.1f} | {r['seam']:.2f} | {r['inside']:.2f} | {r['outside']:.2f}" for r in found]
        lines.append(f"| {label} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def evaluate(
    pipeline: InsetGANPipeline,
    features: Callable[[Tensor], Tensor],
    real: Tensor,  # uint8, or in [-1, 1]
    out: Path,
    *,
    measure: str,
    pairs: int,
    psis: list[float],
    schedule: Schedule,
    region: str,
    minutes: float,
    say: Callable[[str], None],
) -> dict[str, object]:
    """Run the whole evaluation; pictures and numbers are written to `out`."""
    out.mkdir(parents=True, exist_ok=True)
    begin, rows, facts = time.perf_counter(), {}, {}
    moments = Moments.of(torch.cat([features(_scaled(part)) for part in real.split(64)]).numpy())
    for k, psi in enumerate(psis):
        deadline = begin + 60 * minutes * (k + 1) / len(psis)
        found = run_pairs(pipeline, pairs, psi, schedule, region, deadline)
        rows[f"{psi:g}"] = measured(found, features, moments, REGIONS[region], pipeline.head)
        facts[f"{psi:g}"] = {
            "pairs": len(found["joint"]),
            "seam_over_pasted": ratios(found, REGIONS[region], pipeline.head),
            "seam_shown_over_pasted": ratios(found, REGIONS[region], pipeline.head, shown=True),
            "fixed_face": fixed_face(pipeline, found["body"], region),
        }
        say(json.dumps(facts[f"{psi:g}"]))
        before = {"joint": [r.pasted.hard for r in found["joint"]], "face": [r.pasted.canvas for r in found["face"]]}
        for mode, name in (("joint", "before_after"), ("face", "refined")):
            shown = zip(before[mode][:16], (r.best.image for r in found[mode]), strict=False)
            save_grid(torch.cat([picture for pair in shown for picture in pair]), out / f"{name}_{psi:g}.jpg", 8, 88)
    results = {
        "measure": measure,
        "perceptual": pipeline.distance,
        "steps": schedule.steps,
        "region": region,
        "cases": rows,
        "facts": facts,
        "seconds": round(time.perf_counter() - begin, 1),
    }
    (out / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    (out / "table.md").write_text(table(rows))
    modes_sheet(pipeline, schedule, out / "modes.jpg", region)
    return results


def _scaled(pictures: Tensor) -> Tensor:
    return pictures.float() / 127.5 - 1 if pictures.dtype == torch.uint8 else pictures


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--canvas", choices=CANVASES, default="portraits")
    parser.add_argument("--weights", type=Path, default=catalogue.FOLDER)
    parser.add_argument("--data", type=Path, required=True, help="folder of the real bodies")
    parser.add_argument("--reals", type=int, default=16000, help="of them that count, the first ones")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--pairs", type=int, default=32)
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--psi", type=float, nargs="+", default=[0.7, 0.4])
    parser.add_argument("--minutes", type=float, default=60.0, help="no further pair is begun after this")
    parser.add_argument("--region", help="default: the canvas's own")
    args = parser.parse_args()
    canvas: Canvas = CANVASES[args.canvas](args.weights, args.device)
    results = evaluate(
        canvas.pipeline,
        canvas.features,
        load_pictures(find_pictures(args.data)[: args.reals], *canvas.size),
        args.out,
        measure=canvas.measure,
        pairs=args.pairs,
        psis=args.psi,
        schedule=Schedule(steps=args.steps, preview=args.steps),
        region=args.region or canvas.region,
        minutes=args.minutes,
        say=tqdm.write,
    )
    print((args.out / "table.md").read_text(), f"{results['seconds']} seconds")  # noqa: T201


if __name__ == "__main__":
    main()
