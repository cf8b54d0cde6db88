"""What the line of `demo.turns` tells whoever watches it: how requests ended, and what it looks like now."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from enum import Enum


class Outcome(str, Enum):
    """How a request ended."""

    ANSWERED = "answered"
    REFUSED = "refused"
    """Not let in."""
    GAVE_UP = "gave up"
    """Let in, but its turn did not come within the time it had been told."""
    LEFT = "left"
    """Its visitor left."""
    FAILED = "failed"


@dataclass
class Counts:
    """For the metrics page: requests that ended, by kind and outcome, and seconds."""

    ended: dict[tuple[str, Outcome], int] = field(default_factory=lambda: defaultdict(int))
    waited: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    """Seconds in all, by kind."""
    computed: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    """Seconds in all, by kind."""


@dataclass(frozen=True)
class State:
    """What the line looks like now."""

    seats: int
    computing: int
    waiting: int
    seconds: float
    """Until one who came now could begin, about."""
