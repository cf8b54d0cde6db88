"""Choosing weights: by name, and in a list on the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, TypeVar

import gradio as gr

from gan_core.errors import UnknownName, WeightsMissing


class Choice(Protocol):
    """A choice of weights as the page shows it."""

    @property
    def name(self) -> str:
        """What the API calls it."""

    @property
    def label(self) -> str:
        """What a person reads."""

    @property
    def resolution(self) -> int:
        """Pixels a side."""

    @property
    def licence(self) -> str:
        """Of the weights."""


Model = TypeVar("Model", bound=Choice)


def choice_of(models: Mapping[str, Model], name: str, what: str) -> Model:
    """The choice of weights of that name.

    what: names what they are of, if there are none. Raises UnknownName, or WeightsMissing where there are none at all.
    """
    if not models:
        raise WeightsMissing(f"The weights of {what} are not on this machine.")
    if name not in models:
        raise UnknownName(f"There is no model {name!r}. Choose one of: {', '.join(models)}.")
    return models[name]


def weights_dropdown(models: Mapping[str, Model], elem_id: str, *, always: bool = False) -> gr.Dropdown:
    """A list of the choices, the first one chosen, in the current context. Hidden where there is nothing to choose,
    unless `always`."""
    choices = [(choice.label, name) for name, choice in models.items()]
    return gr.Dropdown(
        choices, value=next(iter(models)), label="Weights", visible=always or len(choices) > 1, elem_id=elem_id
    )


def licence_line(choice: Choice) -> str:
    """A line about the weights."""
    return f"Weights: {choice.label}, {choice.resolution} pixels. Licence: {choice.licence}."
