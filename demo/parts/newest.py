"""Results that only the newest request may show.

A person who changes two inputs quickly starts two requests, each with what the page held when it began, and nothing
says that they end in that order. A `ResultPlace` leaves out what an older one drew once a newer one has begun.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import gradio as gr

from demo.parts.events import Data
from demo.session import Sessions


@dataclass(frozen=True)
class ResultPlace:
    """Where on the page several handlers draw the same result."""

    sessions: Sessions
    name: str
    """Differs from those of other places ("hfgi.result")."""
    outputs: Collection[Any]
    """The components that show it."""

    def begin(self, visitor: str | None) -> Callable[[Data], Data]:
        """A visitor's request begins that will draw here. Returns what its updates must pass: those of `outputs` become
        "no change" as soon as a newer request has begun."""
        is_newest = self.sessions.get(visitor).begin_drawing(self.name)

        def passed(updates: Data) -> Data:
            if is_newest():
                return updates
            return {part: gr.skip() if part in self.outputs else update for part, update in updates.items()}

        return passed
