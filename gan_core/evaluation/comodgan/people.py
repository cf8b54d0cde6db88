"""Networks that complete faces, on held-out people of many kinds, by judges that took no part in training.

    python -m gan_core.evaluation.comodgan.people --people FOLDER --network OLD=FILE NEW=FILE --age-model M --out OUT

Parts of every held-out person's picture are hidden and completed once by each network, with the same seeds. Asked is
whether a completion suits the person: dlib's descriptor and face-api's age and gender of the completion beside those of
the picture itself (`gan_core.evaluation.judges`), and the Frechet distance of dlib's descriptors between all
completions and all pictures. Writes people.json, people.md and, for looking only, people.jpg: real people are in it.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from gan_core.comodgan import masks
from gan_core.comodgan.pipeline import CoModGANPipeline, load_embedded
from gan_core.errors import BadValue, StudioError
from gan_core.evaluation.judges.age import AgeJudge
from gan_core.evaluation.judges.identity import DlibIdentity
from gan_core.evaluation.judges.judge import IdentityJudge, MeasureJudge, similarity, to_bytes
from gan_core.evaluation.metrics.ids import frechet_distance
from gan_core.training.grids import save_grid
from gan_core.training.people import read_people

log = logging.getLogger(__name__)

HIDDEN = ("eyes", "bottom", "right", "face")
SHARES = {"portraits": 1.0, "london": 1.0, "varied": 1.0}
SHOWN = 12  # people of the sheet


@dataclass(frozen=True)
class CompletionScores:
    """Completions of one hidden part, or of all of them, beside the pictures themselves."""

    pictures: int
    identity: float  # mean similarity of dlib's descriptors, 1 for the same picture
    years: float  # mean difference of the ages that are read
    gender: float  # share whose gender is read as before
    frechet: float  # of dlib's descriptors


def complete_all(pipeline: CoModGANPipeline, pictures: Tensor, part: str, psi: float) -> Tensor:
    """One completion of each picture (N, 3, R, R) in [-1, 1] with that part hidden: uint8 (N, 3, R, R) on the CPU."""
    done = []
    for seed, image in enumerate(tqdm(pictures, desc=part)):
        hole = torch.from_numpy(masks.ready_made(part, (image.shape[2], image.shape[1]))).float()[None]
        done.append(next(iter(pipeline.complete(pipeline.prepare(image, hole), [seed], psi=psi))))
    return to_bytes(torch.stack(done))


@dataclass(frozen=True)
class _Read:
    """What the judges read in pictures: descriptors (N, 128), years (N,), and whether a man (N,)."""

    descriptors: Tensor
    years: Tensor
    man: Tensor

    def __getitem__(self, chosen: Tensor) -> _Read:
        return _Read(self.descriptors[chosen], self.years[chosen], self.man[chosen])


def read(pictures: Tensor, identity: IdentityJudge, ages: MeasureJudge) -> _Read:
    """The judges' readings of uint8 (N, 3, R, R)."""
    measured = ages.measure(pictures)
    return _Read(identity.describe(pictures), measured["age"], measured["male"] > 0.5)


def score(real: _Read, made: Sequence[_Read]) -> CompletionScores:
    """Several completions of each picture beside the pictures."""
    descriptors = torch.cat([one.descriptors for one in made])
    return CompletionScores(
        len(descriptors),
        torch.cat([similarity(real.descriptors, one.descriptors) for one in made]).mean().item(),
        torch.cat([(real.years - one.years).abs() for one in made]).mean().item(),
        torch.cat([real.man == one.man for one in made]).float().mean().item(),
        frechet_distance(real.descriptors.numpy(), descriptors.numpy()),
    )


def table(scores: Mapping[str, Mapping[str, CompletionScores]]) -> str:
    """Markdown: a row for each hidden part or collection, the networks' scores side by side."""
    networks = list(scores)
    head = ["", *(f"{what}, {name}" for what in ("identity", "years", "gender", "Frechet") for name in networks)]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for row in scores[networks[0]]:
        found = [scores[name][row] for name in networks]
        cells = [f"{one.identity:.3f}" for one in found] + [f"{one.years:.1f}" for one in found]
        cells += [f"{one.gender:.0%}" for one in found] + [f"{one.frechet:.4f}" for one in found]
        lines.append(f"| {row} ({found[0].pictures}) | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _sheet(pictures: Tensor, made: Mapping[str, Mapping[str, Tensor]], path: Path) -> None:
    """For each hidden part a row of pictures, and below it a row of each network's completions."""
    rows, chosen = [], torch.linspace(0, len(pictures) - 1, SHOWN).round().long()
    for part in HIDDEN:
        hole = torch.from_numpy(masks.ready_made(part, (pictures.shape[3], pictures.shape[2]))).float()
        rows.append(pictures[chosen] * (1 - hole) + 0.2 * hole)
        rows += [completions[part][chosen].float() / 127.5 - 1 for completions in made.values()]
    save_grid(torch.cat(rows), path, SHOWN, quality=85)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=Path, required=True, help="folder made by gan_core.training.prepare_people")
    parser.add_argument("--network", nargs="+", required=True, metavar="NAME=FILE", help="weights")
    parser.add_argument("--age-model", type=Path, required=True, help="`model` of the npm package @vladmandic/face-api")
    parser.add_argument("--count", type=int, help="use this many people, evenly spread over all collections")
    parser.add_argument("--psi", type=float, default=0.8, help="variety")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if any("=" not in item for item in args.network):
        raise BadValue("Networks are given as NAME=FILE.")
    files = {name: Path(path) for name, path in (item.split("=", 1) for item in args.network)}
    identity, ages = DlibIdentity(), AgeJudge(args.age_model)
    people = read_people(args.people, 256, SHARES, held_out=True)
    chosen = torch.linspace(0, len(people) - 1, min(args.count or len(people), len(people))).round().long()
    pictures, collection = people.pictures[chosen].float() / 127.5 - 1, people.collection[chosen]
    real = read(people.pictures[chosen], identity, ages)
    made: dict[str, dict[str, Tensor]] = {}
    scores: dict[str, dict[str, CompletionScores]] = {}
    for name, file in files.items():
        pipeline = load_embedded(file, framing="face")
        made[name] = {part: complete_all(pipeline, pictures, part, args.psi) for part in HIDDEN}
        found = {part: read(completions, identity, ages) for part, completions in made[name].items()}
        scores[name] = {f"{part} hidden": score(real, [one]) for part, one in found.items()}
        for i, origin in enumerate(people.names):
            own = collection == i
            scores[name][origin] = score(real[own], [one[own] for one in found.values()])
        scores[name]["all"] = score(real, list(found.values()))
    args.out.mkdir(parents=True, exist_ok=True)
    numbers = {name: {row: asdict(one) for row, one in rows.items()} for name, rows in scores.items()}
    (args.out / "people.json").write_text(json.dumps(numbers, indent=1) + "\n")
    (args.out / "people.md").write_text(table(scores))
    _sheet(pictures, made, args.out / "people.jpg")
    log.info("%s", table(scores))


if __name__ == "__main__":
    try:
        main()
    except StudioError as error:
        raise SystemExit(str(error)) from error
