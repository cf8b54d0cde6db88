"""Choosing weights by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from gan_core.errors import UnknownName, WeightsMissing

Model = TypeVar("Model")


def choice_of(models: Mapping[str, Model], name: str, what: str) -> Model:
    """The choice of weights of that name.

    what: names what they are of, if there are none. Raises UnknownName, or WeightsMissing where there are none at all.
    """
    if not models:
        raise WeightsMissing(f"The weights of {what} are not on this machine.")
    if name not in models:
        raise UnknownName(f"There is no model {name!r}. Choose one of: {', '.join(models)}.")
    return models[name]
