"""Checks of numbers from the page and the API."""

from __future__ import annotations

import math
from typing import Any

from gan_core.errors import BadValue

LARGEST_SEED = 2**31 - 1


def whole_number(value: Any, what: str, low: int, high: int) -> int:
    """A whole number in a range; `what` begins the sentence if it is not. Raises BadValue."""
    number = real_number(value, f"{what} must be a whole number", low, high)
    if number != int(number):
        raise BadValue(f"{what} must be a whole number from {low} to {high}, not {value!r}.")
    return int(number)


def real_number(value: Any, must_be: str, low: float, high: float) -> float:
    """A number in a range; `must_be` begins the sentence if it is not. Raises BadValue."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise BadValue(f"{must_be} from {low} to {high}, not {value!r}.") from error
    if not (math.isfinite(number) and low <= number <= high):
        raise BadValue(f"{must_be} from {low} to {high}, not {value!r}.")
    return number
