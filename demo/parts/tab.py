"""The interface between the layout and a tab."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import gradio as gr

from demo.context import Studio
from demo.parts.send_to import TabHandle


class TabPage(Protocol):
    """A tab's components and its handlers."""

    def build(self, tab_id: str, label: str) -> TabHandle:
        """Lay the tab out inside the current gr.Tab, wire it, and add its endpoints."""


@dataclass(frozen=True)
class Tab:
    """A paper's tab on the page."""

    id: str
    label: str
    page: Callable[[Studio], TabPage]

    def build(self, studio: Studio) -> TabHandle:
        """Lay the tab out inside the current gr.Tab."""
        return self.page(studio).build(self.id, self.label)


def without_weights(tab_id: str, label: str, message: str) -> TabHandle:
    """What a tab is where its weights are missing: a message, in the current context."""
    gr.Markdown(message, elem_classes="notice")
    return TabHandle(tab_id, label, takes=None, gives=None, row=gr.Row())
