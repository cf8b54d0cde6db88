"""Networks that fill holes in pictures of places, beside classical methods, by the size of the hole.

    python -m gan_core.evaluation.comodgan.places --places FOLDER --out FOLDER --network NAME=WEIGHTS --plain NAME=FILE

Scores are the Frechet distance, P-IDS and U-IDS (Zhao et al. 2021, section 4) in EfficientNet-Lite0's pooled features:
comparable with one another, not with published ones. The pictures are views of the held-out places, and free
photographs that come with installed packages. Every method gets the same pictures and holes. The features of each are
kept in --out and not computed again, so that slow methods can be run before (`--methods Telea PatchMatch`), also on
another machine. Writes places.json and places.md with all that is there.
"""

from __future__ import annotations

import argparse
import json
import logging
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from gan_core.comodgan import masks
from gan_core.comodgan.texture import with_own_texture
from gan_core.errors import BadValue, StudioError
from gan_core.evaluation.comodgan.bins import complete
from gan_core.evaluation.comodgan.evaluate import load
from gan_core.evaluation.comodgan.fillers import FILLERS, Filler
from gan_core.evaluation.comodgan.free_photos import carried_photos, squares
from gan_core.evaluation.feature_scores import NAME, pooled_features
from gan_core.evaluation.metrics.ids import discriminative_scores, frechet_distance
from gan_core.features import EfficientNetLite0
from gan_core.features import load as load_features
from gan_core.training.comodgan.objects import object_mask
from gan_core.training.data import find_pictures
from gan_core.training.grids import save_grid
from gan_core.training.places import fixed_views

log = logging.getLogger(__name__)

BANDS = ((0.0, 0.2), (0.2, 0.4), (0.4, 0.6))  # shares of the picture that are hole
COMPONENTS = 128  # principal ones of the features, for P-IDS and U-IDS: with more, few pictures are always told apart
SHOWN = 8  # pictures of each band in the sheet
Rows = NDArray[np.float32]


@dataclass(frozen=True)
class Cases:
    """Pictures with holes of one band, the same in every call."""

    name: str
    band: tuple[float, float]
    pictures: Tensor  # uint8 (N, 3, R, R)

    @property
    def key(self) -> str:
        """Name of its files."""
        return f"{self.name}_{round(100 * self.band[0])}_{round(100 * self.band[1])}"

    def holes(self) -> Tensor:
        """(N, 1, R, R), 1 = hole: free-form ones, in the lowest band every other one shaped like objects."""
        side, drawn = self.pictures.shape[-1], []
        for i in range(len(self.pictures)):
            rng = np.random.default_rng((11, round(100 * self.band[0]), i))
            mask = object_mask(rng, side) if self.band[0] == 0 and i % 2 else np.ones((1, 1), bool)
            drawn.append(mask if mask.mean() <= self.band[1] else masks.with_ratio(rng, *self.band, side))
        return torch.from_numpy(np.stack(drawn))[:, None].float()


def network_filler(
    path: Path, device: torch.device, *, psi: float, plain: bool = False, textured: bool = False
) -> Filler:
    """A network's completions; a plain one has one answer for each picture. textured: with the picture's own texture,
    as in the app. Raises WeightsMissing or BadCheckpoint."""
    net = load(path, device)

    def fill(images: Tensor, holes: Tensor) -> Tensor:
        seeds = torch.Generator().manual_seed(int(holes.sum()))
        z = torch.randn(len(images), net.mapping.z_dim, generator=seeds).to(device)
        filled = complete(net, images, holes, z, psi=0.0 if plain else psi)
        if not textured:
            return filled
        pairs = zip(filled.split(1), holes.split(1), strict=True)
        return torch.cat([with_own_texture(picture, 1 - hole) for picture, hole in pairs])

    return fill


def filled_features(fill: Filler, cases: Cases, features: EfficientNetLite0, batch: int, what: str) -> Rows:
    """Features (N, 1280) of the completions."""
    device, rows = features.stem.device, []
    holes = cases.holes()
    for part in tqdm(torch.arange(len(holes)).split(batch), desc=f"{cases.key}, {what}"):
        images = cases.pictures[part].to(device).float() / 127.5 - 1
        rows.append(pooled_features(features, fill(images, holes[part].to(device))))
    return torch.cat(rows).numpy()


def scores(real: Rows, fake: Rows) -> dict[str, float]:
    """Frechet distance of features (N, D), and P-IDS and U-IDS of their principal components."""
    centre = real.mean(0)
    _, _, axes = np.linalg.svd(real - centre, full_matrices=False)
    axes = axes[: min(COMPONENTS, len(real) // 4)]
    ids = discriminative_scores((real - centre) @ axes.T, (fake - centre) @ axes.T)
    found = {"frechet": frechet_distance(real, fake), "p_ids": ids.paired, "u_ids": ids.unpaired}
    return {name: round(value, 4) for name, value in found.items()}


def kept(path: Path, count: int, compute: Callable[[], Rows]) -> Rows:
    """An array of `count` rows from its file, or computed and written. Raises BadValue where the file has another
    number."""
    if path.is_file():
        rows = np.load(path, allow_pickle=False).astype(np.float32)
        if len(rows) != count:
            raise BadValue(f"{path} is of {len(rows)} pictures, not {count}. Remove it, or use the same --count.")
        return rows
    rows = compute()
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, rows.astype(np.float16), allow_pickle=False)
    return rows


def table(found: dict[str, Any]) -> str:
    """Markdown: a table for each set of pictures, a row for each method."""
    text = [f"Scores: {NAME}; P-IDS and U-IDS of its {COMPONENTS} leading components.", ""]
    for name, bands in found["sets"].items():
        text += [f"**{name}**", ""]
        text.append(
            "| | " + " | ".join(f"holes {b}: Frechet / P-IDS / U-IDS ({v['pictures']})" for b, v in bands.items())
        )
        text[-1] += " |"
        text.append("|---" * (len(bands) + 1) + "|")
        for method in found["methods"]:
            cells = [bands[b]["methods"].get(method) for b in bands]
            shown = ["" if c is None else f"{c['frechet']:.2f} / {c['p_ids']:.3f} / {c['u_ids']:.3f}" for c in cells]
            text.append(f"| {method} | " + " | ".join(shown) + " |")
        text.append("")
    return "\n".join(text)


def sheet(fillers: dict[str, Filler], sets: list[Cases], device: torch.device, path: Path) -> None:
    """For the first pictures of each band, none chosen: with the hole in grey, then every method's completion, then the
    original."""
    tiles = []
    for cases in sets:
        some = Cases(cases.name, cases.band, cases.pictures[:SHOWN])
        images, holes = some.pictures.to(device).float() / 127.5 - 1, some.holes().to(device)
        columns = [images * (1 - holes), *(fill(images, holes) for fill in fillers.values()), images]
        tiles.append(torch.stack([column.cpu() for column in columns], 1).flatten(0, 1))
    save_grid(torch.cat(tiles), path, len(fillers) + 2)


def evaluate(
    fillers: dict[str, Filler], sets: list[Cases], out: Path, features: EfficientNetLite0, batch: int = 16
) -> dict[str, Any]:
    """Scores of the methods given, and of others whose features are in `out`; see the module's docstring."""
    out.mkdir(parents=True, exist_ok=True)
    stored = out / "methods.json"
    known = json.loads(stored.read_text()) if stored.is_file() else []
    names = [*known, *(name for name in fillers if name not in known)]
    stored.write_text(json.dumps(names))
    found: dict[str, Any] = {"features": NAME, "components": COMPONENTS, "methods": names, "sets": {}}
    for cases in sets:
        count, device = len(cases.pictures), features.stem.device

        def of_pictures(cases: Cases = cases, device: torch.device = device) -> Rows:
            return pooled_features(features, cases.pictures.to(device).float() / 127.5 - 1).numpy()

        real = kept(out / f"{cases.name}_real.npy", count, of_pictures)
        entry: dict[str, Any] = {"pictures": count, "methods": {}}
        for name in names:
            path = out / f"{cases.key}_{re.sub(r'[^A-Za-z0-9]+', '_', name)}.npy"
            if name not in fillers and not path.is_file():
                continue

            def of_filled(name: str = name, cases: Cases = cases) -> Rows:
                return filled_features(fillers[name], cases, features, batch, name)

            entry["methods"][name] = scores(real, kept(path, count, of_filled))
        bands = found["sets"].setdefault(cases.name, {})
        bands[f"{cases.band[0]:.0%} to {cases.band[1]:.0%}"] = entry
    (out / "places.json").write_text(json.dumps(found, indent=1))
    (out / "places.md").write_text(table(found))
    return found


def _named(texts: list[str]) -> dict[str, Path]:
    parts = [text.partition("=") for text in texts]
    if not all(path for _, _, path in parts):
        raise BadValue("Networks are written NAME=WEIGHTS, for instance CoModGAN=runs/fill/generator_ema.safetensors.")
    return {name: Path(path) for name, _, path in parts}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--places", type=Path, required=True, help="folder made by gan_core.training.prepare_places")
    parser.add_argument("--out", type=Path, required=True, help="folder for features, scores and a sheet of pictures")
    parser.add_argument("--network", action="append", default=[], metavar="NAME=WEIGHTS", help="repeatable")
    parser.add_argument(
        "--textured", action="append", default=[], metavar="NAME=WEIGHTS", help="with the picture's own texture"
    )
    parser.add_argument("--plain", action="append", default=[], metavar="NAME=WEIGHTS", help="trained with --plain")
    parser.add_argument("--methods", nargs="*", choices=list(FILLERS), default=[], help="classical methods to run")
    parser.add_argument("--photos", type=Path, help="folder of further free photographs")
    parser.add_argument("--each", type=int, default=4, help="holes in each square of a free photograph (default: 4)")
    parser.add_argument("--resolution", type=int, default=256)
    parser.add_argument("--count", type=int, default=400, help="views of the held-out places")
    parser.add_argument("--psi", type=float, default=1.0, help="variety of the networks' completions")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    device = torch.device(args.device)
    fillers: dict[str, Filler] = {name: FILLERS[name] for name in args.methods}
    for kind in ("plain", "network", "textured"):
        for name, path in _named(getattr(args, kind)).items():
            plain, textured = kind == "plain", kind == "textured"
            fillers[name] = network_filler(path, device, psi=args.psi, plain=plain, textured=textured)
    photos = carried_photos() + (find_pictures(args.photos) if args.photos else [])
    views = fixed_views(args.places, args.resolution, args.count, seed=1)
    sets = [Cases("held-out places", band, views) for band in BANDS]
    if photos:
        free = squares(photos, args.resolution)
        sets += [Cases("free photos", band, free.repeat(args.each, 1, 1, 1)) for band in BANDS]
    found = evaluate(fillers, sets, args.out, load_features().to(device), args.batch)
    if fillers:
        sheet(fillers, sets, device, args.out / "places.jpg")
    sys.stdout.write(table(found) + "\n")
    log.info("written to %s: %s", args.out, ", ".join(sorted(p.name for p in args.out.glob("places.*"))))


if __name__ == "__main__":
    try:
        main()
    except StudioError as error:
        raise SystemExit(str(error)) from error
