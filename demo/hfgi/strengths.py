"""Strengths of attributes as they come from a page or a program, checked before anything costly is done."""

from __future__ import annotations

import math
from collections.abc import Mapping

from gan_core.errors import BadValue, UnknownName
from gan_core.hfgi.models import HFGIModel


def checked_strengths(choice: HFGIModel, strengths: Mapping[str, float]) -> dict[str, float]:
    """Strengths by attribute as floats. Raises UnknownName, or BadValue for what is no number or out of range."""
    known = {slider.name: slider for slider in choice.sliders}
    checked = {}
    for name, strength in strengths.items():
        if name not in known:
            raise UnknownName(f"There is no attribute {name!r}. Choose one of: {', '.join(known)}.")
        try:
            value = float(strength)
        except (TypeError, ValueError) as error:
            raise BadValue(f"The strength of {name} must be a number, not {strength!r}.") from error
        low, high = known[name].low, known[name].high
        if not (math.isfinite(value) and low <= value <= high):
            raise BadValue(f"The strength of {name} must be from {low:g} to {high:g}, not {value:g}.")
        checked[name] = value
    return checked
