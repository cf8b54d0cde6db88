"""Scores completed pictures against the real ones.

    python -m gan_core.evaluation.metrics.scores --real FOLDER --fake FOLDER

FID, P-IDS and U-IDS as Zhao et al. (ICLR 2021, section 4) define them; with --masks also in ten bins of the hole's
share of the picture, as in their figure 1, and a plot of that. Pairs are files of the same stem. Features are the
published Inception network's if its weights were fetched, else those of an embedded discriminator; then every score's
name begins with "embedded", and it is comparable with other embedded ones only.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from tqdm import tqdm

from gan_core.errors import BadImage, BadValue, StudioError, UnknownName, WeightsMissing
from gan_core.evaluation.metrics.ids import discriminative_scores, frechet_distance, to_8_bits
from gan_core.evaluation.metrics.plot import plot_scores
from gan_core.evaluation.metrics.results import NAMES, BinScore, Features, Scores
from gan_core.images import open_image

BINS = 10
FEWEST = 2  # least number of pairs in a bin that is scored
_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


def score_features(real: ArrayLike, fake: ArrayLike) -> Scores:
    """Scores of features (N, D); row i of `fake` is the completion of row i of `real`. Raises BadValue."""
    both = discriminative_scores(real, fake)
    return Scores(frechet_distance(real, fake), both.paired, both.unpaired)


def score_by_hole(
    real: ArrayLike,
    fake: ArrayLike,
    ratios: ArrayLike,
    *,
    bins: int = BINS,
    progress: Callable[[int, int], None] | None = None,
) -> list[BinScore]:
    """Scores of features (N, D) in equal bins of `ratios` (N,), each hole's share of its picture in [0, 1].

    progress: called with the number of bins that are done and of all bins. Raises BadValue.
    """
    real, fake, ratios = np.asarray(real), np.asarray(fake), np.asarray(ratios, dtype=np.float64)
    if not len(real) == len(fake) == len(ratios):
        raise BadValue(f"There are {len(real)} real and {len(fake)} completed pictures and {len(ratios)} holes.")
    if not np.all((ratios >= 0) & (ratios <= 1)):
        raise BadValue("A hole's share of its picture must be from 0 to 1.")
    where = np.minimum((ratios * bins + 1e-9).astype(int), bins - 1)
    found = []
    for i in range(bins):
        rows = where == i
        scores = score_features(real[rows], fake[rows]) if rows.sum() >= FEWEST else None
        found.append(BinScore(i / bins, (i + 1) / bins, int(rows.sum()), scores))
        if progress:
            progress(i + 1, bins)
    return found


def score_pairs(
    real: Tensor, fake: Tensor, ratios: ArrayLike, features: Features, *, bins: int = BINS
) -> list[BinScore]:
    """`score_by_hole` of pictures (N, 3, H, W) in about [-1, 1], rounded to 8 bits first as the protocol has it."""
    return score_by_hole(features(rounded(real)), features(rounded(fake)), ratios, bins=bins)


def rounded(images: Tensor) -> Tensor:
    """Pictures in about [-1, 1], rounded to 8 bits, again in [-1, 1]."""
    return to_8_bits(images).float() / 127.5 - 1


# ---------------------------------------------------------------- files


def pairs_in(*folders: Path) -> list[tuple[Path, ...]]:
    """Files of one stem that lie in all folders, in order of their stems.

    Raises BadImage where a folder has no pictures, or BadValue where one lacks a picture that the first has.
    """
    tables = [{path.stem: path for path in sorted(folder.glob("*")) if _is_picture(path)} for folder in folders]
    for folder, table in zip(folders, tables, strict=True):
        if not table:
            raise BadImage(f"There are no pictures ({', '.join(_SUFFIXES)}) in {folder}.")
        lacking = sorted(tables[0].keys() ^ table.keys())
        if lacking:
            raise BadValue(
                f"{folders[0]} and {folder} must hold pictures of the same names; {lacking[0]} is in one of them only."
            )
    return [tuple(table[stem] for table in tables) for stem in sorted(tables[0])]


def features_of(paths: Sequence[Path], features: Features, what: str, batch: int = 16) -> NDArray[np.float32]:
    """Features (N, D) of picture files, with a progress bar. Raises BadImage."""
    rows: list[Tensor] = []
    waiting: list[Tensor] = []
    for path in tqdm(paths, unit="picture", desc=what):
        pixels = np.asarray(open_image(path, min_side=1), np.float32)
        image = torch.from_numpy(pixels).permute(2, 0, 1) / 127.5 - 1
        if waiting and (len(waiting) == batch or waiting[0].shape != image.shape):
            rows.append(features(torch.stack(waiting)))
            waiting = []
        waiting.append(image)
    rows.append(features(torch.stack(waiting)))
    return torch.cat(rows).numpy()


def hole_share(path: Path) -> float:
    """Share of a mask picture that is white (brighter than half). Raises BadImage."""
    return float((np.asarray(open_image(path, min_side=1, backdrop="black").convert("L")) > 127).mean())


def choose_features(kind: str, folder: Path, device: torch.device | str, discriminator: Path | None = None) -> Features:
    """The feature network: "inception", "embedded", or "auto" (the former where its weights are here).

    folder: of published weights. discriminator: weights file for "embedded"; the face generator's by default.
    Raises UnknownName, WeightsMissing or BadCheckpoint.
    """
    from gan_core.evaluation.metrics.inception import load_features

    if kind not in ("auto", "inception", "embedded"):
        raise UnknownName(f"There are no features {kind!r}; there are auto, inception and embedded.")
    if kind != "embedded":
        try:
            return load_features(folder, device)
        except WeightsMissing:
            if kind == "inception":
                raise
    from gan_core.checkpoints.embedded import build_from_file
    from gan_core.evaluation.metrics.features import EmbeddedFeatures
    from gan_core.stylegan2 import Discriminator
    from weights import catalogue

    path = discriminator or catalogue.embedded("portraits_face/discriminator").path
    network, _ = build_from_file(Discriminator, path, "discriminator")
    return EmbeddedFeatures(network.to(device))


def report(features: Features, count: int, scores: Scores, by_hole: Sequence[BinScore] = ()) -> dict[str, Any]:
    """All results for JSON; each score under its name, with the features' prefix."""

    def named(scores: Scores | None) -> dict[str, float]:
        if scores is None:
            return {}
        values = (scores.fid, scores.paired, scores.unpaired)
        return {f"{features.prefix}{name}": round(value, 4) for name, value in zip(NAMES, values, strict=True)}

    result: dict[str, Any] = {"features": features.title, "pairs": count, **named(scores)}
    if by_hole:
        result["by_hole_size"] = [
            {"hole": f"{one.low:.0%} to {one.high:.0%}", "pairs": one.count, **named(one.scores)} for one in by_hole
        ]
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status."""
    from weights.published import default_folder

    parser = argparse.ArgumentParser(
        prog="python -m gan_core.evaluation.metrics.scores",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--real", type=Path, required=True, help="folder of the pictures as they were")
    parser.add_argument("--fake", type=Path, required=True, help="folder of their completions, of the same names")
    parser.add_argument("--masks", type=Path, help="folder of their masks, of the same names: white was filled")
    parser.add_argument("--plot", type=Path, help="write scores against hole size here (PNG or JPEG); needs --masks")
    parser.add_argument("--features", default="auto", help="auto, inception or embedded (default: %(default)s)")
    parser.add_argument(
        "--weights", type=Path, default=default_folder(), help="published weights (default: %(default)s)"
    )
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args(arguments)
    if options.plot and not options.masks:
        parser.error("--plot needs --masks: without them no hole's size is known")
    try:
        folders = [options.real, options.fake, *([options.masks] if options.masks else [])]
        pairs = pairs_in(*folders)
        features = choose_features(options.features, options.weights, options.device)
        columns = list(zip(*pairs, strict=True))
        real, fake = (features_of(columns[i], features, what) for i, what in enumerate(("real", "completed")))
        by_hole: list[BinScore] = []
        if options.masks:
            ratios = [hole_share(path) for path in tqdm(columns[2], unit="mask", desc="masks")]
            with tqdm(total=BINS, unit="bin", desc="scores") as bar:
                by_hole = score_by_hole(real, fake, ratios, progress=lambda done, _: bar.update(done - bar.n))
        found = report(features, len(pairs), score_features(real, fake), by_hole)
        if options.plot:
            plot_scores({options.fake.name: by_hole}, options.plot, features)
    except StudioError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(json.dumps(found, indent=1) + "\n")
    return 0


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in _SUFFIXES


if __name__ == "__main__":
    sys.exit(main())
