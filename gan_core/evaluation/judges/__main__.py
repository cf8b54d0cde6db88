"""Scores face editors by judges from outside this project; no training step ever used their verdicts.

    python -m gan_core.evaluation.judges --editor now=weights new=FOLDER --pictures FOLDER FOLDER --out scores.json \\
        --age-model package/model --mediapipe-python MESH/bin/python

Identity by dlib, age and gender by a network of the npm package @vladmandic/face-api, turn, mouth and eyes by
MediaPipe's face mesh, whose kin labelled this project's data before training (docs/provenance.md). A judge that is not
installed is left out, and the command says what to install. Writes a JSON file and, beside it, its numbers as Markdown.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import torch

from gan_core.errors import BadValue, NotInstalled, StudioError, WeightsMissing
from gan_core.evaluation.judges.age import AgeJudge
from gan_core.evaluation.judges.identity import DlibIdentity
from gan_core.evaluation.judges.judge import IdentityJudge, MeasureJudge
from gan_core.evaluation.judges.mesh import MeshJudge
from gan_core.evaluation.judges.pictures import draw
from gan_core.evaluation.judges.scores import EditorScores, score
from gan_core.evaluation.judges.tables import markdown
from gan_core.evaluation.refinement import read_faces
from gan_core.hfgi.pipeline import load_embedded

Kind = TypeVar("Kind")


def named_folders(items: Sequence[str]) -> dict[str, Path]:
    """Of NAME=FOLDER. Raises BadValue for another form, a name given twice, and a folder that is not there."""
    folders: dict[str, Path] = {}
    for item in items:
        name, equals, folder = item.partition("=")
        if not (name and equals and folder):
            raise BadValue(f"Editors are written NAME=FOLDER, for instance now=weights; not {item}.")
        if name in folders:
            raise BadValue(f"Two editors are called {name}.")
        if not Path(folder).is_dir():
            raise BadValue(f"There is no folder {folder} with the weights of {name}.")
        folders[name] = Path(folder)
    return folders


def available(make: Callable[[], Kind]) -> Kind | None:
    """The judge, or None where it is not installed, which is then said."""
    try:
        return make()
    except (NotInstalled, WeightsMissing) as error:
        sys.stderr.write(f"{error}\n")
        return None


def write(
    path: Path, editors: dict[str, EditorScores], identity: IdentityJudge | None, judges: Sequence[MeasureJudge]
) -> None:
    """JSON to `path`, Markdown beside it (as .md)."""
    names = ([identity.name] if identity else []) + [judge.name for judge in judges]
    path.parent.mkdir(parents=True, exist_ok=True)
    numbers = {"judges": names, "editors": {name: scores.as_json() for name, scores in editors.items()}}
    path.write_text(json.dumps(numbers, indent=1) + "\n")
    path.with_suffix(".md").write_text(markdown(editors, names), encoding="utf-8")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--editor", nargs="+", required=True, metavar="NAME=FOLDER", help="weights folders to compare")
    parser.add_argument("--pictures", type=Path, nargs="+", required=True, help="folders of aligned faces")
    parser.add_argument("--each", type=int, default=8, help="people of each folder (default: 8)")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.json", help="and FILE.md")
    parser.add_argument("--age-model", type=Path, metavar="FOLDER", help="model/ of @vladmandic/face-api 1.7.15")
    parser.add_argument(
        "--mediapipe-python", type=Path, metavar="FILE", help="of an environment with mediapipe 0.10.14"
    )
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="of the editors")
    args = parser.parse_args()
    if args.out.suffix == ".md":
        raise BadValue("--out names the JSON file; the Markdown is written beside it.")
    folders = named_folders(args.editor)
    identity = available(DlibIdentity)
    found = (available(lambda: AgeJudge(args.age_model)), available(lambda: MeshJudge(args.mediapipe_python)))
    judges: list[MeasureJudge] = [judge for judge in found if judge is not None]
    editors = {}
    for name, folder in folders.items():
        pipeline = load_embedded(folder, device=args.device)
        faces = read_faces(args.pictures, args.each, pipeline.resolution)
        editors[name] = score(draw(pipeline, faces), identity, judges)
        write(args.out, editors, identity, judges)
    sys.stdout.write(args.out.with_suffix(".md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    try:
        main()
    except (StudioError, FileNotFoundError) as error:
        raise SystemExit(str(error)) from error
