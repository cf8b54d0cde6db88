"""Line plots of the cards: one figure of several panels, drawn by matplotlib without a display."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

COLOURS = ("#4f46e5", "#dc2626", "#059669", "#d97706", "#0891b2")


@dataclass(frozen=True)
class PlotLine:
    """One curve: x and y of its points, and the standard error of each y, or none."""

    x: Sequence[float]
    y: Sequence[float]
    error: Sequence[float] = ()


@dataclass(frozen=True)
class Panel:
    """One set of axes. `lines` by name: a name has the same colour in all panels of a figure."""

    title: str
    x_label: str
    lines: Mapping[str, PlotLine]
    percent_x: bool = False
    percent_y: bool = False
    from_zero: bool = False  # whether the y axis begins at 0
    marks: Sequence[float] = field(default_factory=tuple)  # dashed vertical lines


def save_plot(panels: Sequence[Panel], path: Path | str, foot: str = "") -> Path:
    """Draw the panels side by side, a legend and a line of text below; the format is the path's suffix.

    The file exists under its name only once it is complete.
    """
    path = Path(path)
    names = list(dict.fromkeys(name for panel in panels for name in panel.lines))
    colours = {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(names)}
    figure = Figure(figsize=(3.6 * len(panels), 3.2), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        for name, line in panel.lines.items():
            axes.errorbar(line.x, line.y, line.error or None, color=colours[name], marker="o", markersize=3, label=name)
        for mark in panel.marks:
            axes.axvline(mark, color="#999999", linestyle="--", linewidth=1)
        axes.set_title(panel.title, fontsize=10, loc="left")
        axes.set_xlabel(panel.x_label, fontsize=9)
        axes.tick_params(labelsize=8)
        axes.grid(axis="y", color="#dddddd")
        axes.spines[["top", "right"]].set_visible(False)
        if panel.percent_x:
            axes.xaxis.set_major_formatter(PercentFormatter(1.0))
            axes.set_xlim(0, 1)
        if panel.percent_y:
            axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        if panel.from_zero:
            axes.set_ylim(bottom=0)
    handles = {h.get_label(): h for axes in figure.axes for h in axes.get_legend_handles_labels()[0]}
    if handles:  # matplotlib refuses an empty legend
        figure.legend(
            handles=list(handles.values()),
            labels=list(handles),
            loc="outside lower left",
            ncols=3,
            fontsize=9,
            frameon=False,
        )
    if foot:
        figure.supxlabel(foot, fontsize=8, color="#64748b")
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".plot.", suffix=path.suffix)
    os.close(handle)
    try:
        figure.savefig(temporary, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else None)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)
    return path
