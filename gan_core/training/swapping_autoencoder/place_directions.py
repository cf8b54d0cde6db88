"""Fits the directions of a model of places.

    python -m gan_core.training.swapping_autoencoder.place_directions --weights FOLDER --places FOLDER

As `directions` for portraits: domain vectors (Park et al., NeurIPS 2020, section 4.3) are differences of mean texture
codes, here of views of panoramas whose time and season are known (`places.csv`). There are few places of each kind, so
a vector is judged by all of them: fitted without a fifth of the families, it has to separate the views of that fifth.
Hardly a panorama shows snow; its pairs are views by day with snow drawn on them (`snowed`), and the same without.
"""

from __future__ import annotations

import argparse
import logging
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gan_core.checkpoints import store
from gan_core.checkpoints.embedded import build_from_file
from gan_core.errors import StudioError
from gan_core.swapping_autoencoder.networks import Encoder
from gan_core.training.places import Places, PlacesStream, read_places
from gan_core.training.swapping_autoencoder.directions import (
    KEEP,
    Columns,
    VectorTarget,
    area_under_curve,
    channel_colours,
    domain_vector,
    fit_structures,
    read_codes,
    two_sets,
)

log = logging.getLogger(__name__)
FOLDS = 5
SNOW = "snow"  # the column of drawn snow
TARGETS = (
    VectorTarget("night", "Day to night", "night", ("indoor",), low=-3.0, high=3.0),
    VectorTarget("golden", "Overcast to golden light", "golden", low=-3.0, high=3.0),
    VectorTarget("autumn", "Green to autumn", "autumn", ("night",), low=-3.0, high=3.0),
    VectorTarget("snow", "Snow", SNOW, low=-0.7, high=1.4, note="fitted to snow drawn on photographs by a program"),
)


@dataclass(frozen=True)
class LabelledViews:
    """Views of places: uint8 pictures (N, 3, R, R), what is known of each (N,), NaN where nothing is, and the fold (N,)
    of its place's family."""

    pictures: Tensor
    columns: Columns
    folds: np.ndarray


def place_columns(rows: Sequence[dict[str, str]]) -> Columns:
    """Columns (N,) of the places' labels: `indoor` and `night` (1 or 0), `golden` (1; 0 when overcast) and `autumn` (1;
    0 when green), the last two outdoors only; NaN where a label says neither."""

    def choose(name: str, yes: str, no: Sequence[str], outdoors: bool) -> np.ndarray:
        kinds = {yes: 1.0} | dict.fromkeys(no, 0.0)
        values = [kinds.get(row.get(name, ""), np.nan) for row in rows]
        inside = [outdoors and row.get("place") == "indoor" for row in rows]
        return np.where(inside, np.nan, values)

    return {
        "indoor": choose("place", "indoor", ("outdoor",), False),
        "night": choose("time", "night", ("day", "overcast", "golden"), False),
        "golden": choose("time", "golden", ("overcast",), True),
        "autumn": choose("season", "autumn", ("green",), True),
    }


def snowed(pictures: Tensor, elevation: Tensor) -> Tensor:
    """Views (N, 3, R, R) in [-1, 1] with snow drawn on them: white on the ground, thinner on what stands on it.

    elevation: (N, R, R), see `PlacesStream.elevation`. The sky, above the horizon and light, only loses colour.
    """
    luma = pictures.mean(1, keepdim=True)
    above = elevation[:, None]
    ground = torch.sigmoid(-(above + 0.02) / 0.03)
    light_sky = torch.sigmoid((luma - 0.15) / 0.1) * (1 - ground)
    # Upper edges are where snow lies: lighter above than below. A difference of rows finds them.
    edge = torch.nn.functional.pad(luma[:, :, 1:] - luma[:, :, :-1], (0, 0, 0, 1)).neg().clamp_min(0)
    lying = ground * 0.85 + (1 - ground) * (1 - light_sky) * (0.3 + edge).clamp(max=0.8)
    white = 0.75 + 0.3 * luma  # keeps the ground's relief
    snow = torch.cat([white, white + 0.01, white + 0.04], 1)
    grey = pictures.lerp(luma.expand_as(pictures), 0.6)  # under a covered sky
    return grey.lerp(snow, lying).clamp(-1, 1)


def draw_views(places: Places, side: int, each: int, seed: int = 0) -> LabelledViews:
    """`each` views of every place, and as many with snow of the places outdoors by day without it."""
    stream, generator = PlacesStream(places, side), torch.Generator().manual_seed(seed)
    columns, pictures, snow, origin = place_columns(places.labels), [], [], []
    for i, row in enumerate(places.labels):
        camera = stream.aim(each, generator, torch.full((each,), i))
        taken = stream.take(camera)
        drawn = row.get("place") == "outdoor" and row.get("time") == "day" and row.get("season") != "snow"
        versions = [(taken, 0.0 if drawn else np.nan)]
        if drawn:
            versions.append((snowed(taken, stream.elevation(camera)), 1.0))
        for views, value in versions:
            pictures.append(((views + 1) * 127.5).round().to(torch.uint8))
            snow += [value] * each
            origin += [i] * each
    index, with_snow = np.array(origin), np.array(snow)
    families = [row.get("family", row.get("name", "")) for row in places.labels]
    folds = np.array([zlib.crc32(family[::-1].encode()) % FOLDS for family in families])[index]
    # A view with drawn snow is no example of anything else.
    known = {name: np.where(with_snow == 1, np.nan, values[index]) for name, values in columns.items()}
    return LabelledViews(torch.cat(pictures), known | {SNOW: with_snow}, folds)


def fit_places(
    textures: Tensor, views: LabelledViews, targets: Sequence[VectorTarget] = TARGETS
) -> tuple[dict[str, Tensor], list[dict]]:
    """The domain vectors that separate views of families which they were not fitted to, and their entries for the file.

    textures: (N, D), of the views.
    """
    tensors, entries = {}, []
    for target in targets:
        having, lacking = two_sets(views.columns[target.column], target.share)
        shared = [np.nan_to_num(views.columns[name], nan=-1) for name in target.within]
        groups = np.unique(np.stack(shared, 1), axis=0, return_inverse=True)[1].reshape(-1) if shared else None
        scores = np.full(len(textures), np.nan)
        for fold in range(FOLDS):
            outside = views.folds != fold
            vector = domain_vector(textures, having & outside, lacking & outside, groups)
            if vector is not None:
                scores[~outside] = (textures[~outside] @ (vector / vector.norm())).numpy()
        scored = ~np.isnan(scores)
        area = area_under_curve(scores, having & scored, lacking & scored)
        vector = domain_vector(textures, having, lacking, groups)
        log.info("%s: area under the curve %.3f on families left out", target.name, area)
        if vector is not None and area >= KEEP:
            tensors[target.name] = vector
            entries.append(
                {"name": target.name, "label": target.label, "kind": "texture", "low": target.low}
                | {"high": target.high, "note": target.note}
            )
    return tensors, entries


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, required=True, help="folder of the model's encoder.safetensors")
    parser.add_argument("--places", type=Path, required=True, help="folder made by gan_core.training.prepare_places")
    parser.add_argument("--each", type=int, default=16, help="views of each place (default: %(default)s)")
    parser.add_argument("--resolution", type=int, default=256)
    parser.add_argument("--principal", type=int, default=6, help="directions of the structure code")
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    encoder, _ = build_from_file(Encoder, args.weights / "encoder.safetensors", "encoder")
    views = draw_views(read_places(args.places), args.resolution, args.each)
    structures, textures = read_codes(encoder.to(args.device), views.pictures, args.device)
    tensors, entries = fit_places(textures, views)
    shapes, more = fit_structures(structures, {}, args.principal)
    tensors |= shapes | {"colours": channel_colours(structures)}
    store.save(args.weights / "directions.safetensors", tensors, config={"directions": entries + more})
    log.info("written: %s", ", ".join(entry["name"] for entry in entries + more))


if __name__ == "__main__":
    try:
        main()
    except StudioError as error:
        raise SystemExit(str(error)) from error
