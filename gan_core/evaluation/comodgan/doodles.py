"""Portraits made of drawings as people make them with a mouse, by several networks side by side.

    python -m gan_core.evaluation.comodgan.doodles --network OLD=FILE NEW=FILE --out FOLDER

The 24 drawings are strokes of an unsteady hand: a face, its features and some kind of hair, each of a different shape.
They come from no picture, and no network was trained on them. Each goes the page's way (`drawings.drawing_of`). Writes
each portrait to FOLDER/NAME, where `python -m gan_core.evaluation.comodgan.detect FOLDER/NAME` counts faces by a
detector from outside, a sheet with all of them, and prints how far portraits of one drawing differ and, of each
network, which share of the drawn lines the portraits lack. `--people FOLDER` takes computed drawings of people held out
instead (`gan_core.training.people`): keep that sheet private.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor
from torch.nn import functional as F

from gan_core.comodgan.drawings import drawing_of
from gan_core.comodgan.edges import edges_of, lines
from gan_core.comodgan.pipeline import CoModGANPipeline, load_embedded
from gan_core.errors import BadValue, StudioError
from gan_core.images import to_pil
from gan_core.training.grids import save_grid
from gan_core.training.people import SHARES, parse_shares, read_people

COUNT, PEOPLE = 24, 60
SIDE = 256
HAIR = ("short", "long", "bald", "curls", "fringe", "bun")
_BLOCK = 8  # pixels, in which drawn lines are compared: a hand is not more exact

Stroke = NDArray[np.floating]
"""Points (N, 2), x and y in pixels of a picture 256 pixels wide."""


@dataclass(frozen=True)
class DoodledFace:
    """What is drawn."""

    wide: float
    """Half of the face's width, in pixels of 256."""
    tall: float
    """Half of its height."""
    chin: float
    """How pointed the chin is, from 0 (round) to 1."""
    hair: str
    glasses: bool
    beard: bool
    smile: float
    """Pixels that the corners of the mouth are higher than its middle."""
    open: bool
    collar: bool
    pen: int
    """Width of the lines, in pixels of 256."""
    tremor: float
    """Standard deviation of the hand's unsteadiness, in pixels of 256."""


def person(number: int) -> DoodledFace:
    """One of those drawn; the same number, the same person."""
    rng = np.random.default_rng((24, number))
    return DoodledFace(
        wide=rng.uniform(58, 74),
        tall=rng.uniform(80, 96),
        chin=rng.uniform(0, 0.8),
        hair=HAIR[number % len(HAIR)],
        glasses=number % 4 == 1,
        beard=number % 8 == 2,
        smile=rng.uniform(-3, 9),
        open=number % 5 == 3,
        collar=number % 3 != 0,
        pen=int(rng.integers(2, 5)),
        tremor=rng.uniform(0.5, 1.6),
    )


def _arc(centre: tuple[float, float], half: tuple[float, float], begin: float, end: float, points: int = 40) -> Stroke:
    """Part of an ellipse; angles in degrees, 0 to the right and 90 downwards."""
    angle = np.radians(np.linspace(begin, end, points))
    return np.stack([centre[0] + half[0] * np.cos(angle), centre[1] + half[1] * np.sin(angle)], 1)


def _line(*corners: tuple[float, float]) -> Stroke:
    """Straight from corner to corner, with points on the way."""
    ends = np.array(corners, float)
    steps = np.linspace(0, len(ends) - 1, 12 * (len(ends) - 1) + 1)
    return np.stack([np.interp(steps, np.arange(len(ends)), ends[:, axis]) for axis in (0, 1)], 1)


def _outline(who: DoodledFace) -> Stroke:
    face = _arc((128, 134), (who.wide, who.tall), -200, 20, 30)
    jaw = _arc((128, 134), (who.wide, who.tall), 20, 160, 40)
    jaw[:, 0] = 128 + (jaw[:, 0] - 128) * (1 - 0.45 * who.chin * ((jaw[:, 1] - 134) / who.tall).clip(0, 1))
    return np.concatenate([face, jaw])


def _hair(who: DoodledFace, rng: np.random.Generator) -> list[Stroke]:
    left, right, top = 128 - who.wide, 128 + who.wide, 134 - who.tall
    if who.hair == "bald":
        return []
    crown = _arc((128, 122), (who.wide + 8, who.tall + 2), 180, 360)
    if who.hair == "curls":
        around = _arc((128, 120), (who.wide + 10, who.tall + 4), 170, 370, 14)
        return [_arc((x, y), (13, 13), rng.uniform(0, 90), rng.uniform(300, 400)) for x, y in around]
    if who.hair == "long":
        sides = [_line((x, 122), (x + out, 190), (x + out, 244)) for x, out in ((left - 8, -8), (right + 8, 8))]
        return [crown, *sides, _line((128, top - 6), (left + 14, 112)), _line((128, top - 6), (right - 14, 112))]
    if who.hair == "bun":
        return [crown, _arc((128, top - 12), (24, 17), 0, 360), _arc((128, 112), (who.wide - 6, 44), 190, 350)]
    if who.hair == "fringe":
        edge = [(x, 96 + 8 * (i % 2)) for i, x in enumerate(np.linspace(left + 6, right - 6, 9))]
        return [crown, _line(*edge), _line((left - 6, 120), (left - 9, 186)), _line((right + 6, 120), (right + 9, 186))]
    tufts = [_line((x, top + 6), (x + 9, top - 8)) for x in np.linspace(left + 20, right - 20, 7)]
    return [_arc((128, 118), (who.wide + 4, who.tall - 8), 190, 350), *tufts]


def _features(who: DoodledFace) -> list[Stroke]:
    strokes: list[Stroke] = []
    apart = 0.46 * who.wide
    for side in (-1, 1):
        x = 128 + side * apart
        strokes += [_arc((x, 128), (13, 7), 180, 360), _arc((x, 128), (12, 5), 10, 170), _arc((x, 127), (3, 3), 0, 360)]
        strokes.append(_arc((x, 116), (17, 8), 205, 335))
        if who.glasses:
            strokes.append(_arc((x, 129), (22, 17), 0, 360))
            strokes.append(_line((x + 22 * side, 126), (128 + side * who.wide, 120)))
        strokes.append(_arc((128 + side * (who.wide + 3), 138), (8, 18), -100 + 90 * (1 - side), 80 + 90 * (1 - side)))
    if who.glasses:
        strokes.append(_line((128 - apart + 22, 127), (128 + apart - 22, 127)))
    strokes.append(_line((126, 134), (121, 160), (128, 166), (136, 161)))
    mouth = np.linspace(-24, 24, 30)
    lip = np.stack([128 + mouth, 184 - who.smile * (mouth / 24) ** 2], 1)
    strokes.append(lip)
    strokes.append(_arc((128, 184), (17, 13 if who.open else 7), 15, 165))
    if who.beard:
        strokes += [_line((x, 196 + abs(x - 128) * -0.2), (x + 3, 214)) for x in np.linspace(94, 162, 10)]
        strokes.append(_arc((128, 178), (20, 8), 200, 340))
    return strokes


def _body(who: DoodledFace) -> list[Stroke]:
    bottom = 134 + who.tall
    strokes = [_line((104, bottom - 8), (102, 240)), _line((152, bottom - 8), (154, 240))]
    strokes += [_line((102, 240), (60, 246), (24, 255)), _line((154, 240), (196, 246), (232, 255))]
    if who.collar:
        strokes.append(_line((102, 238), (128, 255), (154, 238)))
    return strokes


def doodle(number: int) -> Image.Image:
    """A drawing, 512 x 512, black on white."""
    who, rng = person(number), np.random.default_rng((7, number))
    picture = Image.new("L", (2 * SIDE, 2 * SIDE), 255)
    pen = ImageDraw.Draw(picture)
    for stroke in (_outline(who), *_hair(who, rng), *_features(who), *_body(who)):
        # A hand drifts: it is unsteady over some points at once, and does not quite begin where it should.
        noise = rng.normal(0, who.tremor, (max(len(stroke) // 6, 2), 2))
        along = np.linspace(0, len(noise) - 1, len(stroke))
        drift = np.stack([np.interp(along, np.arange(len(noise)), noise[:, axis]) for axis in (0, 1)], 1)
        points = 2 * (stroke + drift + rng.normal(0, who.tremor, 2))
        pen.line([tuple(point) for point in points], fill=0, width=2 * who.pen, joint="curve")
    return picture


def lines_missing(portrait: Tensor, drawing: Tensor) -> float:
    """Share of the lines of a drawing (1, R, R) that a portrait (3, R, R) in [-1, 1] lacks, in blocks of 8 pixels of
    256; in [0, 1]."""
    block = _BLOCK * portrait.shape[-1] // SIDE
    found, drawn = (F.avg_pool2d(x, block) for x in (lines(portrait[None].float()), drawing[None]))
    near = drawn > 0.02
    return float(((drawn - found).clamp_min(0) * near).sum() / (drawn * near).sum().clamp_min(1e-6))


@torch.inference_mode()
def measure(
    pipeline: CoModGANPipeline, drawings: Sequence[Tensor], seeds: int, psi: float
) -> tuple[list[list[Tensor]], dict[str, float]]:
    """Portraits of each drawing (1, R, R), and how far they differ and their lines are off."""
    portraits, spread, off = [], [], []
    for number, drawing in enumerate(drawings):
        made = [one.cpu().float() for one in pipeline.draw(drawing, range(9 * number, 9 * number + seeds), psi=psi)]
        portraits.append(made)
        spread += [float((a - b).abs().mean() / 2) for i, a in enumerate(made) for b in made[:i]]
        small = F.interpolate(drawing[None], made[0].shape[-2:], mode="area")[0]
        off += [lines_missing(one, small) for one in made]
    figures = {"differ": round(float(np.mean(spread)), 4), "differ, least": round(min(spread), 4)}
    return portraits, figures | {"lines missing": round(float(np.mean(off)), 4)}


def held_out_people(folder: Path) -> Tensor:
    """Pictures (60, 3, R, R) in [-1, 1] of people held out, of the collections in turn."""
    people = read_people(folder, SIDE, dict.fromkeys(parse_shares(SHARES), 1.0), held_out=True)
    members = [(people.collection == i).nonzero()[:, 0] for i in range(len(people.names))]
    each = PEOPLE // len(members)
    chosen = torch.cat([some[torch.linspace(0, len(some) - 1, each).long()] for some in members])
    return people.pictures[chosen].float() / 127.5 - 1


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", nargs="+", required=True, metavar="NAME=FILE", help="networks of drawings")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    parser.add_argument("--people", type=Path, help="computed drawings of held-out people of these collections instead")
    parser.add_argument("--seeds", type=int, default=2, help="portraits of each drawing")
    parser.add_argument("--psi", type=float, default=0.8, help="variety, as on the page")
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    if args.seeds < 2:
        raise BadValue("Two portraits of each drawing at least are needed, to see how far they differ.")
    if args.people is None:
        drawings = [drawing_of(doodle(number)) for number in range(COUNT)]
    else:
        drawings = [edges_of(picture) for picture in held_out_people(args.people)]
    args.out.mkdir(parents=True, exist_ok=True)
    small = [F.interpolate(drawing[None], (SIDE, SIDE), mode="area")[0] for drawing in drawings]
    rows: list[list[Tensor]] = [[(1 - 2 * drawing).expand(3, -1, -1)] for drawing in small]
    report = {}
    for text in args.network:
        name, _, file = text.partition("=")
        if not (name and file):
            raise BadValue(f'"{text}" is not of the form NAME=FILE.')
        pipeline = load_embedded(Path(file), framing="face", device=args.device)
        portraits, report[name] = measure(pipeline, drawings, args.seeds, args.psi)
        (args.out / name).mkdir(exist_ok=True)
        for number, made in enumerate(portraits):
            rows[number] += made
            for i, one in enumerate(made):
                to_pil(one[None]).save(args.out / name / f"{number:02d}_{i}.png")
    save_grid(
        torch.stack([tile for row in rows for tile in row]), args.out / "doodles.jpg", 3 * len(rows[0]), quality=85
    )
    print(json.dumps(report, indent=1))  # noqa: T201


if __name__ == "__main__":
    try:
        main()
    except StudioError as error:
        raise SystemExit(str(error)) from error
