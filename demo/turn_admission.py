"""Who is let into the line of `demo.turns`, how long they are told to wait, and in which words.

Nothing here waits or locks; the line asks for a refusal while it holds its lock.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass

from demo.turn_order import Standing

_MINUTE = 60.0
_ADDRESSES = 10_000  # to remember before the idle ones are dropped


@dataclass(frozen=True)
class Limits:
    """What is promised to visitors."""

    requests: int = 48
    """That are waiting or under way at once, of all visitors together."""
    each: int = 6
    """Of one visitor."""
    patience: float = 60.0
    """Seconds: who would wait longer is refused at once, and who is let in waits at least so long before giving up."""
    a_minute: int | None = None
    """Requests from one address; None: no limit."""


class Admission:
    """Who comes is let in or not; remembers who came from where. clock: seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._came: dict[str, deque[float]] = {}  # by address: when, within the last minute

    def refusal(
        self, limits: Limits, visitor: str, address: str | None, seconds: float, requests: Collection[Standing]
    ) -> str:
        """Why this visitor's request is not let in; "" where it is, which counts as one from its address.

        seconds: for how long it would wait, about. requests: those in the line.
        """
        own = sum(request.visitor == visitor for request in requests)
        if own >= limits.each:
            return f"{own} of your requests are waiting already. Please wait for them first."
        others = sum(request.visitor is not None for request in requests)
        if others >= limits.requests or seconds > limits.patience:
            return busy(seconds)
        if address is not None and limits.a_minute:
            now, came = self._clock(), self._came.setdefault(address, deque())
            while came and came[0] <= now - _MINUTE:
                came.popleft()
            if len(came) >= limits.a_minute:
                rest = max(1, math.ceil(came[0] + _MINUTE - now))
                return f"{len(came)} requests came from you within a minute. Please go on in {rest} s."
            came.append(now)
            if len(self._came) > _ADDRESSES:
                self._came = {key: times for key, times in self._came.items() if times and times[-1] > now - _MINUTE}
        return ""


def promise(limits: Limits, seconds: float) -> float:
    """Seconds that somebody is told to wait at most who will wait for `seconds`, about. An estimate that was too small
    sends nobody away whom a better one would have let in."""
    return max(10.0, limits.patience, 2 * seconds)


def busy(seconds: float) -> str:
    """What somebody reads who is to come back when the line of now, `seconds` long, is done."""
    return f"Many people are using this right now: busy, about {max(5, math.ceil(seconds))} s. Please try again then."


def waiting(before: int, seconds: float, most: float | None) -> str:
    """What somebody reads who waits behind `before` others for `seconds`, about, and for `most` at most (None or
    infinite: unknown)."""
    who = f"{before} before you" if before else "You are next"
    text = f"Waiting. {who}, about {max(1, math.ceil(seconds))} s"
    return text if most is None or math.isinf(most) else f"{text}, at most {max(1, math.ceil(most))} s"
