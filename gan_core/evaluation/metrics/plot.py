"""Scores against hole size as a picture, drawn with Pillow alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from gan_core.errors import BadValue
from gan_core.evaluation.metrics.results import NAMES, BinScore, Features

_SCALE = 3  # drawn that much larger and reduced, for smooth lines
_WIDTH, _HEIGHT = 330, 250  # of a panel, pixels
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 14, 34, 44
_FOOT = 46  # below the panels: names and what the numbers are of
_INK, _FAINT = "#1e293b", "#cbd5e1"
_COLOURS = ("#4f46e5", "#dc2626", "#059669", "#d97706", "#0891b2")
_BETTER = ("lower is better", "higher is better", "higher is better")


def plot_scores(curves: Mapping[str, Sequence[BinScore]], path: Path | str, features: Features) -> Path:
    """Write FID, P-IDS and U-IDS over the hole's share of the picture, a curve for each name in `curves`.

    The format is the path's (PNG, JPEG, WebP). The titles say of which features the numbers are. Raises BadValue where
    there is nothing to draw.
    """
    if not any(one.scores for bins in curves.values() for one in bins):
        raise BadValue("There are no scores to draw: no hole size has enough pairs.")
    canvas = Image.new("RGB", (len(NAMES) * _WIDTH * _SCALE, (_HEIGHT + _FOOT) * _SCALE), "white")
    pen = ImageDraw.Draw(canvas)
    for i, name in enumerate(NAMES):
        lines = {title: _points(bins, i) for title, bins in curves.items()}
        _panel(pen, i * _WIDTH, f"{features.prefix}{name} ({_BETTER[i]})", lines, percent=i > 0)
    x = _LEFT
    for colour, title in zip(_COLOURS, curves, strict=False):
        y = _HEIGHT + 10
        _line(pen, [(x, y), (x + 22, y)], colour, 2.5)
        _text(pen, (x + 28, y), title, anchor="lm")
        x += 46 + round(_font(12).getlength(title) / _SCALE)
    _text(pen, (_LEFT, _HEIGHT + 31), f"Numbers: {features.title}.", anchor="lm", colour="#64748b")
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    canvas.reduce(_SCALE).save(path, quality=92)
    return path


def _points(bins: Sequence[BinScore], which: int) -> list[tuple[float, float]]:
    """(middle of the bin, score) where there is one."""
    scored = [one for one in bins if one.scores]
    values = [(one.scores.fid, one.scores.paired, one.scores.unpaired)[which] for one in scored if one.scores]
    return [((one.low + one.high) / 2, value) for one, value in zip(scored, values, strict=True)]


def _panel(
    pen: ImageDraw.ImageDraw,
    left: int,
    title: str,
    lines: Mapping[str, Sequence[tuple[float, float]]],
    *,
    percent: bool,
) -> None:
    highest = max((value for points in lines.values() for _, value in points), default=0)
    step = _step(highest)
    top = step * max(1, math.ceil(highest / step - 1e-9))

    def at(x: float, y: float) -> tuple[float, float]:
        across = _WIDTH - _LEFT - _RIGHT
        return left + _LEFT + across * x, _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * y / top

    _text(pen, (left + _LEFT, 16), title, anchor="lm", size=13)
    for i in range(round(top / step) + 1):
        value = i * step
        _line(pen, [at(0, value), at(1, value)], _FAINT, 0.7)
        label = f"{100 * value:g} %" if percent else f"{value:g}"
        _text(pen, (left + _LEFT - 6, at(0, value)[1]), label, anchor="rm", size=11)
    for share in (0, 0.2, 0.4, 0.6, 0.8, 1):
        _text(pen, (at(share, 0)[0], _HEIGHT - _BOTTOM + 12), f"{share:.0%}", anchor="mm", size=11)
    _text(pen, (at(0.5, 0)[0], _HEIGHT - 14), "share of the picture that is hidden", anchor="mm", size=11)
    for colour, points in zip(_COLOURS, lines.values(), strict=False):
        places = [at(*point) for point in points]
        _line(pen, places, colour, 2)
        for x, y in places:
            box = [(edge * _SCALE) for edge in (x - 2.6, y - 2.6, x + 2.6, y + 2.6)]
            pen.ellipse(box, fill=colour)


def _step(highest: float) -> float:
    """A round distance of grid lines, so that there are four to eight of them."""
    if not highest > 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(highest / 4))
    return max(factor * power for factor in (1, 2, 2.5, 5) if factor * power <= highest / 4 + 1e-12)


def _line(pen: ImageDraw.ImageDraw, places: Sequence[tuple[float, float]], colour: str, width: float) -> None:
    scaled = [(x * _SCALE, y * _SCALE) for x, y in places]
    pen.line(scaled, fill=colour, width=round(width * _SCALE), joint="curve")


def _text(
    pen: ImageDraw.ImageDraw, place: tuple[float, float], text: str, *, anchor: str, size: int = 12, colour: str = _INK
) -> None:
    pen.text((place[0] * _SCALE, place[1] * _SCALE), text, fill=colour, anchor=anchor, font=_font(size))


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size * _SCALE)
