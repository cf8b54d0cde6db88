"""Curves of identity similarity over measured change: bins, standard errors by resampling faces, and their plot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gan_core.evaluation.plots import Panel, PlotLine, save_plot

QUANTILES = (0.0, 0.35, 0.6, 0.8, 0.9, 0.97)  # of the data's deviations from its median: ends of the bins of change
FAR = 4  # the first bin beyond the 90th percentile
FEWEST = 20  # least number of edits in a bin
RESAMPLES = 500


@dataclass(frozen=True)
class Curve:
    """Edits by one method; each row is a face."""

    change: NDArray[np.float32]  # (F, S), measured, in the attribute's unit
    similarity: NDArray[np.float32]  # (F, S), cosine of the identities before and after
    asked: NDArray[np.float32]  # (F, S), change of value asked for


def bins_of(away: NDArray) -> NDArray[np.float64]:
    """Ends of the bins of |change|, (B + 1,), the last one open, for the data's deviations from its median (N,)."""
    return np.append(np.quantile(away, QUANTILES) * (np.arange(len(QUANTILES)) > 0), np.inf)


def _sums(curve: Curve, edges: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """Per face and bin (F, B): number of edits, sum of similarities, sum of |change|. Edits in the wrong direction
    count as no change."""
    right = np.sign(curve.change) == np.sign(curve.asked)
    size = np.where(right, np.abs(curve.change), np.nan)
    place = np.where(np.isfinite(size), np.searchsorted(edges, np.nan_to_num(size), side="right") - 1, -1)
    inside = place[..., None] == np.arange(len(edges) - 1)
    return (
        inside.sum(1),
        (inside * curve.similarity[..., None]).sum(1),
        (inside * np.nan_to_num(size)[..., None]).sum(1),
    )


def _resamples(faces: int, seed: int = 0) -> NDArray:
    """How often each face is drawn, (RESAMPLES, F)."""
    return np.random.RandomState(seed).multinomial(faces, np.full(faces, 1 / faces), RESAMPLES)


def summarise(curve: Curve, away: NDArray) -> dict[str, Any]:
    """Per bin with enough edits: mean |change|, mean similarity, its standard error (faces resampled), number."""
    counts, similar, sizes = _sums(curve, bins_of(away))
    enough = counts.sum(0) >= FEWEST
    total = counts.sum(0).clip(1)
    drawn = _resamples(len(counts))
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = np.nanstd((drawn @ similar) / (drawn @ counts), axis=0)
    rows = {
        "change": sizes.sum(0) / total,
        "similarity": similar.sum(0) / total,
        "error": spread,
        "edits": counts.sum(0),
    }
    return {name: [round(float(v), 4) for v in row[enough]] for name, row in rows.items()} | {
        "right_way": round(float((np.sign(curve.change) == np.sign(curve.asked)).mean()), 4)
    }


def compare(ours: Curve, other: Curve, away: NDArray) -> dict[str, float]:
    """Difference of similarity, ours minus the other's, near (below the 90th percentile) and far: mean over the bins in
    which both have enough edits, with its standard error (the same faces resampled for both)."""
    edges = bins_of(away)
    a, b = _sums(ours, edges), _sums(other, edges)
    enough = (a[0].sum(0) >= FEWEST) & (b[0].sum(0) >= FEWEST)
    drawn = np.concatenate([np.ones((1, len(a[0])), dtype=int), _resamples(len(a[0]))])
    with np.errstate(invalid="ignore", divide="ignore"):
        difference = (drawn @ a[1]) / (drawn @ a[0]) - (drawn @ b[1]) / (drawn @ b[0])  # (1 + RESAMPLES, B)
    facts: dict[str, float] = {}
    for name, chosen in (("near", slice(0, FAR)), ("far", slice(FAR, None))):
        used = difference[:, chosen][:, enough[chosen]]
        if used.shape[1]:
            means = np.nanmean(used, 1)
            facts |= {name: float(means[0]), f"{name}_error": float(np.nanstd(means[1:]))}
    return {key: round(value, 4) for key, value in facts.items()}


def draw_curves(panels: Mapping[str, Mapping], path: Path | str) -> Path:
    """Draw a panel for each attribute: identity similarity against measured change, with standard errors.

    Args:
        panels: by title, "unit", "far" (where the data's 90th percentile is) and "curves" (by method, of `summarise`).
        path: where to; the format is its suffix.
    """
    drawn = []
    for title, panel in panels.items():
        lines = {
            name: PlotLine(curve["change"], curve["similarity"], curve["error"])
            for name, curve in panel["curves"].items()
            if curve["change"]
        }
        drawn.append(Panel(title, f"measured change ({panel['unit']})", lines, marks=(panel["far"],)))
    return save_plot(drawn, path)
