"""What a tab is to the layout."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from demo.context import Studio
from demo.parts.send_to import TabHandle


@dataclass(frozen=True)
class Tab:
    """A paper's place on the page."""

    id: str
    label: str
    build: Callable[[Studio, str, str], TabHandle]
    """Lays the tab out inside the current gr.Tab and wires it; called with the studio, id and label."""
