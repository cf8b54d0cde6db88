"""Handlers of streams: many short calls of one visitor, each with the newest of what comes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import gradio as gr

from demo import turns
from demo.parts.errors import guarded
from demo.parts.events import Data
from gan_core.errors import Busy, StudioError

T = TypeVar("T")

_COUNTS = 10.0  # seconds of a stream that count as one request from its address
_GONE = 10.0  # seconds after which a stream that sends nothing is over
_EACH_SEAT = 4  # streams at once for each device
FULL = "Several cameras are being edited here already. Please try again in a minute."


class Streams:
    """Lets handlers of streams compute, each call in a turn of its own (`demo.turns`): a short request of somebody who
    has used much lately, so that any other visitor's goes first. clock: seconds, for tests."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._heard: dict[str, float] = {}  # by visitor
        self._counted: dict[str, float] = {}

    def streamed(
        self, handler: Callable[[Data, gr.Request], T], refused: Callable[[Data, StudioError], T]
    ) -> Callable[[Data, gr.Request], T]:
        """A `guarded` handler that computes only while it has a turn. refused: what is returned, by the call's data,
        where it raises a StudioError, and where it is not let in (Busy): too many streams, or too long a line."""
        kind = handler.__name__

        def function(data: Data, request: gr.Request) -> T:
            visitor = request.session_hash or ""
            try:
                address = self._let_in(visitor, request.client.host if request.client else None)
                with turns.line.join(visitor, kind, address) as turn, turn.turn(), turns.current(turn):
                    return handler(data, request)
            except StudioError as error:
                return refused(data, error)

        wrapped = guarded(function)
        wrapped.queued = True  # type: ignore[attr-defined]  # see `demo.parts.queued`
        return wrapped

    def forget(self, visitor: str) -> None:
        """The visitor's stream has ended."""
        self._heard.pop(visitor, None)
        self._counted.pop(visitor, None)

    def _let_in(self, visitor: str, address: str | None) -> str | None:
        """The address if this call counts as a request from there, which a few of a stream do."""
        now = self._clock()
        for gone in [one for one, when in self._heard.items() if now - when > _GONE]:
            self.forget(gone)
        if visitor not in self._heard and len(self._heard) >= _EACH_SEAT * turns.line.seats:
            raise Busy(FULL)
        self._heard[visitor] = now
        if now - self._counted.get(visitor, -_COUNTS) < _COUNTS:
            return None
        self._counted[visitor] = now
        return address
