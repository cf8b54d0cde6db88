"""Measure a model of places on places that it never saw: the numbers and sheets of its card.

    python -m gan_core.evaluation.swapping_autoencoder.places --weights FOLDER --places FOLDER --out FOLDER

- Reconstruction: mean PSNR over views of the held-out places; --other FOLDER measures a second model on the same views.
- Domain vectors: a linear classifier of EfficientNet-Lite0's pooled features learns each label (night, ...) on views of
  the training's places. Then it looks at held-out views outdoors by day, before and after the vector at its far end.
  The features took part in the training of the model (its feature loss), the classifier did not.
- Sheets: 6 x 6 swaps, and every vector on twelve views, none of which is chosen.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gan_core.errors import StudioError
from gan_core.evaluation.feature_scores import pooled_features
from gan_core.evaluation.metrics.psnr import psnr
from gan_core.features import EfficientNetLite0
from gan_core.features import load as load_features
from gan_core.swapping_autoencoder.pipeline import Mixture, SwappingAutoencoderPipeline, load_embedded
from gan_core.training.grids import save_grid
from gan_core.training.places import fixed_views, read_places
from gan_core.training.swapping_autoencoder.place_directions import TARGETS, LabelledViews, draw_views

log = logging.getLogger(__name__)

SWAPS, SHOWN = 6, 12
Labels = NDArray[np.float64]


def reconstruction(pipeline: SwappingAutoencoderPipeline, pictures: Tensor) -> list[float]:
    """PSNR in decibels of each picture (N, 3, R, R) in [-1, 1] drawn from its own codes, without the photo's detail."""
    found = []
    for picture in pictures:
        drawn = pipeline.draw(pipeline.encode(picture[None]), [], Mixture()).cpu()
        found.append(float(psnr(drawn, picture[None])))
    return found


def classifier(features: NDArray[np.float32], labels: Labels) -> Any:
    """A linear classifier of the rows whose label, 1 or 0, is known; classes weigh the same."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    known = ~np.isnan(labels)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, class_weight="balanced", max_iter=500))
    return model.fit(features[known], labels[known])


def by_daylight(views: LabelledViews, *, without: str = "") -> Tensor:
    """Views outdoors by day (N, 3, R, R) in [-1, 1], less those that are known to have a label."""
    chosen = (views.columns["indoor"] == 0) & (views.columns["night"] == 0)
    if without:
        chosen &= views.columns[without] != 1
    return views.pictures[torch.from_numpy(chosen)].float() / 127.5 - 1


def shown_by(
    pipeline: SwappingAutoencoderPipeline, trained: LabelledViews, unseen: LabelledViews, lite: EfficientNetLite0
) -> dict[str, dict[str, float]]:
    """For each vector: the share of held-out views `by_daylight` in which the classifier sees it, before and after."""
    known = _features(lite, trained.pictures.float() / 127.5 - 1)
    found = {}
    for target in TARGETS:
        if target.name not in pipeline.directions:
            continue
        model = classifier(known, trained.columns[target.column])
        lacking = by_daylight(unseen, without=target.column)
        mixture = Mixture(strengths={target.name: target.high})
        edited = torch.cat([pipeline.draw(pipeline.encode(one[None]), [], mixture).cpu() for one in lacking])
        shares = [float(model.predict(_features(lite, pictures)).mean()) for pictures in (lacking, edited)]
        found[target.name] = {"views": len(lacking), "before": shares[0], "after": shares[1]}
        log.info("%s: %s", target.name, found[target.name])
    return found


def _features(lite: EfficientNetLite0, pictures: Tensor) -> NDArray[np.float32]:
    return pooled_features(lite, pictures).numpy()


def swap_sheet(pipeline: SwappingAutoencoderPipeline, pictures: Tensor, path: Path, detail: float) -> None:
    """Structure pictures down, texture pictures across, the first SWAPS of the pictures for both."""
    codes = [pipeline.encode(one[None]) for one in pictures[:SWAPS]]
    tiles = [torch.ones_like(pictures[0]), *pictures[:SWAPS]]
    for picture, own in zip(pictures, codes, strict=False):
        tiles.append(picture)
        tiles += [pipeline.draw(own, [other], Mixture(detail=detail))[0].cpu() for other in codes]
    save_grid(torch.stack(tiles), path, SWAPS + 1, quality=85)


def vector_sheet(pipeline: SwappingAutoencoderPipeline, pictures: Tensor, path: Path, detail: float) -> None:
    """A row for each of the first SHOWN pictures: itself, then every domain vector at its far end."""
    ends = {name: d.high for name, d in pipeline.directions.items() if d.kind == "texture"}
    tiles = []
    for picture in pictures[:SHOWN]:
        codes = pipeline.encode(picture[None])
        mixtures = [Mixture(strengths={name: high}, detail=detail) for name, high in ends.items()]
        tiles += [picture, *(pipeline.draw(codes, [], mixture)[0].cpu() for mixture in mixtures)]
    save_grid(torch.stack(tiles), path, 2 * (1 + len(ends)), quality=85)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, required=True, help="folder of the model")
    parser.add_argument("--other", type=Path, help="folder of another model, for the reconstruction only")
    parser.add_argument("--places", type=Path, required=True, help="folder made by gan_core.training.prepare_places")
    parser.add_argument("--count", type=int, default=100, help="views for the reconstruction")
    parser.add_argument("--each", type=int, default=8, help="views of each place for the vectors")
    parser.add_argument("--detail", type=float, default=0.7, help="the photo's own detail in the sheets")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    pipeline, views = load_embedded(args.weights), fixed_views(args.places, 256, args.count, seed=1)
    pictures = views.float() / 127.5 - 1
    found: dict[str, Any] = {"psnr": float(np.mean(reconstruction(pipeline, pictures)))}
    if args.other:
        found["psnr_other"] = float(np.mean(reconstruction(load_embedded(args.other), pictures)))
    log.info("%s", found)
    args.out.mkdir(parents=True, exist_ok=True)
    swap_sheet(pipeline, pictures, args.out / "swaps.jpg", args.detail)
    swap_sheet(pipeline, pictures, args.out / "swaps_plain.jpg", 0)
    trained = draw_views(read_places(args.places), 256, args.each, seed=1)
    unseen = draw_views(read_places(args.places, held_out=True), 256, args.each, seed=2)
    vector_sheet(pipeline, by_daylight(unseen), args.out / "vectors.jpg", args.detail)
    found["vectors"] = shown_by(pipeline, trained, unseen, load_features())
    (args.out / "places.json").write_text(json.dumps(found, indent=1) + "\n")
    sys.stdout.write(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    try:
        main()
    except StudioError as error:
        raise SystemExit(str(error)) from error
