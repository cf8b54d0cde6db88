"""Plot of scores over the hole size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from gan_core.errors import BadValue
from gan_core.evaluation.metrics.results import NAMES, BinScore, Features
from gan_core.evaluation.plots import Panel, PlotLine, save_plot

_BETTER = ("lower is better", "higher is better", "higher is better")


def plot_scores(curves: Mapping[str, Sequence[BinScore]], path: Path | str, features: Features) -> Path:
    """Write FID, P-IDS and U-IDS over the hole's share of the picture, a curve for each name in `curves`.

    The format is the path's (PNG, JPEG, WebP, SVG). The titles name the features. Raises BadValue if there is nothing
    to draw.
    """
    if not any(one.scores for bins in curves.values() for one in bins):
        raise BadValue("There are no scores to draw: no hole size has enough pairs.")
    panels = [
        Panel(
            title=f"{features.prefix}{name} ({_BETTER[i]})",
            x_label="share of the picture that is hidden",
            lines={title: _line(bins, i) for title, bins in curves.items()},
            percent_x=True,
            percent_y=i > 0,
            from_zero=True,
        )
        for i, name in enumerate(NAMES)
    ]
    return save_plot(panels, path, foot=f"Numbers: {features.title}.")


def _line(bins: Sequence[BinScore], which: int) -> PlotLine:
    """Middle of each bin, and its score where there is one."""
    scored = [(one, one.scores) for one in bins if one.scores]
    values = [(scores.fid, scores.paired, scores.unpaired)[which] for _, scores in scored]
    return PlotLine([(one.low + one.high) / 2 for one, _ in scored], values)
