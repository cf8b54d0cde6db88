"""Draw every tab's example at a fixed seed, and compare two such folders byte by byte.

    python -m gan_core.evaluation.compare_pictures draw OUT [--only hfgi ...]
    python -m gan_core.evaluation.compare_pictures compare BEFORE AFTER

`draw` uses the embedded models on the CPU, through the registry as the app does, and one thread, so that the order of
summation is fixed. It writes each picture as a PNG, its exact values as an .npy file, and sums.json with the SHA-256 of
the values and of every weight file. `compare` exits with 1 if anything differs. It checks changes that must not affect
results, such as moves and renamings.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gan_core.errors import BadValue
from gan_core.images import open_image, to_pil, to_tensor
from gan_core.models import declare_models
from gan_core.registry import ModelRegistry
from weights import catalogue

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "demo" / "assets" / "examples"
SUMS = "sums.json"
Pictures = Iterator[tuple[str, Tensor]]  # a name and the picture, (1, 3, H, W) or (3, H, W) in [-1, 1]


def _example(name: str, side: int = 256) -> Tensor:
    """An example picture (1, 3, side, side) in [-1, 1]; the examples are aligned faces."""
    picture = open_image(EXAMPLES / f"portrait_{name}.jpg").resize((side, side))
    return to_tensor(picture)


def hfgi(registry: ModelRegistry) -> Pictures:
    """An inversion, and each attribute alone at its highest strength, with and without the consultation."""
    with registry.use("people/hfgi") as pipeline:
        inversion = pipeline.invert(_example("110"))
        yield "inversion", inversion.image
        yield "restored", inversion.restored
        for name, attribute in pipeline.attributes.items():
            yield f"{name}", pipeline.edit(inversion, {name: attribute.high})
            yield f"{name}_plain", pipeline.edit(inversion, {name: attribute.high}, consult=False)


def self_conditioned(registry: ModelRegistry) -> Pictures:
    """A face of a seed and one of a picture: each attribute at its end, by both methods; a few steps of refining."""
    with registry.use("portraits/edges") as pipeline:
        code = pipeline.random_face(7)
        for attribute in pipeline.attributes:
            yield f"seed_{attribute.name}", pipeline.edit(code, {attribute.name: 1.0})
            yield f"seed_{attribute.name}_plain", pipeline.edit_plain(code, {attribute.name: 1.0})
        picture = _example("114")
        *_, inverted = pipeline.invert(picture, steps=4)
        yield "inverted", inverted.image
        *_, refined = pipeline.refine(inverted.code, picture, steps=2)
        yield "refined", refined.image


def comodgan(registry: ModelRegistry) -> Pictures:
    """Two completions of a hole, and two pictures of a drawing."""
    picture = _example("119", 512)[0]
    hole = torch.zeros(1, 512, 512)
    hole[:, 150:330, 100:360] = 1
    with registry.use("portraits/fill_bust") as pipeline:
        prepared = pipeline.prepare(picture, hole)
        for seed, done in zip((0, 1), pipeline.complete(prepared, (0, 1)), strict=True):
            yield f"hole_{seed}", done
    drawing = torch.zeros(1, 256, 256)
    drawing[:, 60:200, 80:82] = drawing[:, 60:200, 176:178] = drawing[:, 150:152, 100:156] = 1
    with registry.use("people/draw") as pipeline:
        for seed, drawn in zip((0, 1), pipeline.draw(drawing, (0, 1)), strict=True):
            yield f"drawing_{seed}", drawn


def insetgan(registry: ModelRegistry) -> Pictures:
    """A body, a face, and a few steps of their joint optimisation."""
    from gan_core.insetgan.latents import Schedule
    from gan_core.insetgan.pipeline import CompositionRequest, LatentSource

    with registry.use("portraits/inset") as pipeline:
        body, face = LatentSource(seed=3), LatentSource(seed=5)
        yield "body", pipeline.draw("body", body).image
        yield "face", pipeline.draw("face", face).image
        *_, report = pipeline.compose(CompositionRequest(body, face, schedule=Schedule(steps=6)))
        yield "pasted", report.pasted.image
        yield "composed", report.best.image


def swapping_autoencoder(registry: ModelRegistry) -> Pictures:
    """A reconstruction, a half and a whole swap, and each direction."""
    from gan_core.swapping_autoencoder.pipeline import Mixture

    with registry.use("people/swap") as pipeline:
        first, second = pipeline.encode(_example("126")), pipeline.encode(_example("130"))
        yield "reconstruction", pipeline.draw(first)
        for amount in (0.5, 1.0):
            yield f"swap_{amount:g}", pipeline.draw(first, [second], Mixture(amount=amount, detail=0.5))
        for name, direction in pipeline.directions.items():
            yield f"{name}", pipeline.draw(first, mixture=Mixture(strengths={name: direction.high}))


EXAMPLES_OF: dict[str, Callable[[ModelRegistry], Pictures]] = {
    "hfgi": hfgi,
    "self_conditioned": self_conditioned,
    "comodgan": comodgan,
    "insetgan": insetgan,
    "swapping_autoencoder": swapping_autoencoder,
}


def draw(out: Path, names: list[str]) -> dict[str, str]:
    """Draw the examples of these papers into `out`; the SHA-256 of each picture's values and of each weight file."""
    torch.set_num_threads(1)
    registry = ModelRegistry(lambda: ("cpu",))
    declare_models(registry, out / "nothing published")
    sums = {}
    for paper in names:
        for name, picture in EXAMPLES_OF[paper](registry):
            key = f"{paper}/{name}"
            path = out / f"{key}.npy"
            path.parent.mkdir(parents=True, exist_ok=True)
            values = picture.detach().float().cpu().contiguous().numpy()
            np.save(path, values)
            to_pil(picture).save(path.with_suffix(".png"))
            sums[key] = hashlib.sha256(values.tobytes()).hexdigest()
    for path in sorted(catalogue.FOLDER.rglob("*.safetensors")):
        sums[f"weights/{path.relative_to(catalogue.FOLDER)}"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (out / SUMS).write_text(json.dumps(sums, indent=1) + "\n")
    return sums


def differences(before: Path, after: Path) -> list[str]:
    """A line for each picture or weight file that is not the same in both folders. Raises BadValue without sums."""
    found = []
    for folder in (before, after):
        if not (folder / SUMS).is_file():
            raise BadValue(f"{folder} holds no {SUMS}; make it with the command `draw`.")
        found.append(json.loads((folder / SUMS).read_text()))
    first, second = found
    lines = []
    for key in sorted(first.keys() | second.keys()):
        if first.get(key) == second.get(key):
            continue
        paths = [folder / f"{key}.npy" for folder in (before, after)]
        if key not in first or key not in second:
            lines.append(f"{key}: only in {before if key in first else after}")
        elif all(path.is_file() for path in paths):
            a, b = (np.load(path) for path in paths)
            apart = f"at most {np.abs(a - b).max():.3g} apart" if a.shape == b.shape else f"{a.shape} and {b.shape}"
            lines.append(f"{key}: {apart}")
        else:
            lines.append(f"{key}: differs")
    return lines


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    drawing = commands.add_parser("draw", help="draw every tab's example into a folder")
    drawing.add_argument("out", type=Path)
    drawing.add_argument("--only", nargs="*", choices=list(EXAMPLES_OF), default=list(EXAMPLES_OF))
    comparing = commands.add_parser("compare", help="compare two folders; exit status 1 where they differ")
    comparing.add_argument("before", type=Path)
    comparing.add_argument("after", type=Path)
    options = parser.parse_args(arguments)
    if options.command == "draw":
        sys.stdout.write(f"{len(draw(options.out, options.only))} sums in {options.out / SUMS}\n")
        return 0
    lines = differences(options.before, options.after)
    sys.stdout.write("\n".join(lines or ["nothing differs"]) + "\n")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
