"""Identity against change: bins, errors by resampling faces, and a drawing without a plotting program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

QUANTILES = (0.0, 0.35, 0.6, 0.8, 0.9, 0.97)  # of the data's deviations from its median: ends of the bins of change
FAR = 4  # the first bin beyond the 90th percentile
FEWEST = 20  # edits in a bin that say anything
RESAMPLES = 500
_COLOURS = ("#4f46e5", "#dc2626", "#d97706")


@dataclass(frozen=True)
class Curve:
    """Edits by one method; a row a face."""

    change: NDArray[np.float32]  # (F, S), measured, in the attribute's unit
    similarity: NDArray[np.float32]  # (F, S), cosine of the identities before and after
    asked: NDArray[np.float32]  # (F, S), change of value asked for


def bins_of(away: NDArray) -> NDArray[np.float64]:
    """Ends of the bins of |change|, (B + 1,), the last one open, for the data's deviations from its median (N,)."""
    return np.append(np.quantile(away, QUANTILES) * (np.arange(len(QUANTILES)) > 0), np.inf)


def _sums(curve: Curve, edges: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """Per face and bin (F, B): number of edits, sum of similarities, sum of |change|. Edits that went the wrong way
    count as none."""
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


def draw_curves(panels: Mapping[str, Mapping]) -> str:
    """An SVG with one panel for each attribute: identity similarity against measured change, with standard errors.

    panels: by title, "unit", "far" (where the data's 90th percentile is) and "curves" (by method, of `summarise`).
    """
    width, height, left, top = 300, 210, 44, 28
    parts = []
    for k, (title, panel) in enumerate(panels.items()):
        x0 = k * (width + 20) + left
        shown = {name: c for name, c in panel["curves"].items() if c["change"]}
        most = max((max(c["change"]) for c in shown.values()), default=1.0) * 1.08
        least = min((min(c["similarity"]) - 0.05 for c in shown.values()), default=0.0)
        low = np.floor(least * 10) / 10

        def x(value: float, x0: float = x0, most: float = most) -> float:
            return x0 + value / most * (width - left)

        def y(value: float, low: float = low) -> float:
            return top + (1 - value) / (1 - low) * (height - top - 36)

        parts.append(f'<text x="{x0}" y="16" font-weight="bold">{escape(title)}</text>')
        for value in np.linspace(low, 1, 5):
            parts.append(f'<path d="M{x0} {y(value):.1f}H{x0 + width - left}" stroke="#ddd"/>')
            parts.append(f'<text x="{x0 - 5}" y="{y(value) + 4:.1f}" text-anchor="end">{value:.2f}</text>')
        for value in np.linspace(0, most, 5):
            text = f'<text x="{x(value):.1f}" y="{height - 20}" text-anchor="middle">{value:.3g}</text>'
            parts.append(text)
        parts.append(f'<text x="{x0}" y="{height - 4}">measured change ({escape(panel["unit"])})</text>')
        far = x(panel["far"])
        parts.append(f'<path d="M{far:.1f} {top}V{height - 36}" stroke="#999" stroke-dasharray="4 3"/>')
        for (_, curve), colour in zip(shown.items(), _COLOURS, strict=False):
            points = list(zip(curve["change"], curve["similarity"], curve["error"], strict=True))
            line = " ".join(f"{x(c):.1f},{y(s):.1f}" for c, s, _ in points)
            parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
            parts += [f'<path d="M{x(c):.1f} {y(s - e):.1f}V{y(s + e):.1f}" stroke="{colour}"/>' for c, s, e in points]
    names = list(next(iter(panels.values()))["curves"]) if panels else []
    for k, (name, colour) in enumerate(zip(names, _COLOURS, strict=False)):
        at = left + 170 * k
        parts.append(f'<path d="M{at} {height + 14}h22" stroke="{colour}" stroke-width="3"/>')
        parts.append(f'<text x="{at + 28}" y="{height + 18}">{escape(name)}</text>')
    whole, tall = len(panels) * (width + 20) + 20, height + 28
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {whole} {tall}" width="{whole}" height="{tall}" '
        f'font-family="sans-serif" font-size="11"><rect width="100%" height="100%" fill="white"/>{"".join(parts)}</svg>'
    )
