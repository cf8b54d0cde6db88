"""Curves as SVG, which can be updated while a job runs, without a plotting library."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

_WIDTH, _HEIGHT = 640, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 8, 8, 22
_COLOURS = ("#4f46e5", "#dc2626", "#059669", "#d97706", "#0891b2", "#7c3aed")
_MOST_POINTS = 120  # of a curve


def curves(series: Mapping[str, Sequence[float]], *, length: int, what: str) -> str:
    """HTML of several curves over the steps 1 to `length`, on a logarithmic scale. Values that are not positive are
    left out, and so are curves without any value.

    what: text alternative for screen readers.
    """
    shown = {name: _points(values) for name, values in series.items()}
    shown = {name: points for name, points in shown.items() if points}
    if not shown:
        return ""
    every = [value for points in shown.values() for _, value in points]
    high = math.ceil(math.log10(max(every)))
    low = min(high - 1, max(math.floor(math.log10(min(every))), high - 4))

    def x(step: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * (step - 1) / max(1, length - 1)

    def y(value: float) -> float:
        share = (math.log10(value) - low) / (high - low)
        return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * max(0.0, share)

    parts = [f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(what)}" class="curves">']
    for power in range(low, high + 1):
        at = y(10.0**power)
        parts.append(f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{at:.1f}" y2="{at:.1f}" class="grid"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{10.0**power:g}</text>')
    for step in sorted({1, length // 2, length} - {0}):
        parts.append(f'<text x="{x(step):.1f}" y="{_HEIGHT - 5}" text-anchor="middle">{step}</text>')
    for (_, points), colour in zip(shown.items(), _COLOURS, strict=False):
        line = " ".join(f"{x(step):.1f},{y(value):.1f}" for step, value in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.8"/>')
    parts.append("</svg>")
    keys = "".join(
        f'<span><i style="background:{colour}"></i>{escape(name)}</span>'
        for name, colour in zip(shown, _COLOURS, strict=False)
    )
    return f'{"".join(parts)}<div class="curve-keys">{keys}</div>'


def _points(values: Sequence[float]) -> list[tuple[int, float]]:
    stride = max(1, len(values) // _MOST_POINTS)
    return [
        (i + 1, value)
        for i, value in enumerate(values)
        if (i % stride == 0 or i + 1 == len(values)) and value > 0 and math.isfinite(value)
    ]
