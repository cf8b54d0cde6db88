"""Buttons that send a result to another tab."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import gradio as gr
from gradio.components import Component

from demo.parts.choices import Menu


@dataclass(frozen=True)
class TabHandle:
    """The part of a built tab that other tabs use."""

    id: str
    label: str
    takes: Component | None
    """Its picture input, which accepts a path as value; None if nothing can be sent to it."""
    gives: Component | None
    """A component whose value is the path of its result; None if it has none."""
    row: gr.Row
    """The row for its buttons."""
    menus: Sequence[Menu] = ()
    """Its lists of weights."""


def wire(handles: Sequence[TabHandle], tabs: gr.Tabs) -> None:
    """Give every tab that has a result one button for each other tab that takes a picture."""
    for source in handles:
        targets = [handle for handle in handles if handle is not source and handle.takes is not None]
        if source.gives is None or not targets:
            continue
        with source.row:
            for target in targets:
                gr.Button(f"Send to {target.label}", size="sm").click(
                    lambda path, to=target.id: (gr.Tabs(selected=to), path),
                    [source.gives],
                    [tabs, target.takes],
                    queue=False,
                    api_visibility="private",
                )
