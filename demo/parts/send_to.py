"""Sending a result to another tab. With one tab there is nowhere to send to, and no row is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import gradio as gr
from gradio.components import Component


@dataclass(frozen=True)
class TabHandle:
    """What a built tab offers to the others."""

    id: str
    label: str
    takes: Component | None
    """Its picture input; must accept a path as value. None: nothing can be sent to it."""
    gives: Component | None
    """A component whose value is the path of its result. None: it has nothing to send."""
    row: gr.Row
    """Where its buttons go."""


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
