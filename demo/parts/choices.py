"""Choosing weights: by name, and in a list on the page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

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


class Choices(Mapping[str, Model]):
    """Choices of weights by API name, as they were when `refresh` last read them.

    Who looks through them while they are read anew sees the old ones or the new ones.
    """

    def __init__(self, read: Callable[[], Mapping[str, Model]]) -> None:
        self._read, self._now = read, dict(read())
        self.changes = 0
        """How often they were read anew."""

    def refresh(self) -> None:
        """Read them anew."""
        self._now = dict(self._read())
        self.changes += 1

    def __getitem__(self, name: str) -> Model:
        return self._now[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._now)

    def __len__(self) -> int:
        return len(self._now)


@dataclass(frozen=True)
class Menu:
    """A list of choices on the page, which has to follow them."""

    component: gr.Dropdown
    choices: Choices[Any]
    always: bool = False
    """See `weights_dropdown`."""


def follow(menus: Sequence[Menu]) -> Callable[..., Any]:
    """A handler that takes what is chosen in each menu and brings the menus up to date. What is gone gives way to the
    first choice."""

    def on_look(*chosen: str | None) -> Any:
        updates: list[Any] = []
        for menu, name in zip(menus, chosen, strict=True):
            names = [(choice.label, key) for key, choice in menu.choices.items()]
            if not menu.choices.changes or not names:
                updates.append(gr.skip())
                continue
            value = name if name in menu.choices else names[0][1]
            updates.append(gr.Dropdown(names, value=value, visible=menu.always or len(names) > 1))
        return updates if len(updates) > 1 else updates[0]  # Gradio takes a list for the value of a single output

    return on_look


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
