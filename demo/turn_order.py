"""Who of those in the line of `demo.turns` is next, and how long each will wait: the order, as its docstring says it.

Nothing here waits or locks; the line asks while it holds its lock.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

LONG = 4.0  # seconds of computing after which a request is a long one
_SHARE = {False: 0.75, True: 0.25}  # of the time, by whether requests are long, while there are both
_FORGET = 30.0  # seconds in which half of what a visitor has used is forgotten
_UNKNOWN = 2.0  # seconds that a request takes of whose kind there has been none yet


@dataclass(eq=False)
class Standing:
    """A request as far as the order goes by it."""

    visitor: str | None
    """None: the app itself."""
    kind: str
    joined: float
    """When, by the order's clock, in seconds."""
    used: float = 0.0
    """Seconds of computing so far."""
    begun: bool = False
    computing: bool = False
    waiting: bool = False
    left: bool = False
    """Its visitor left."""
    turn_began: float = 0.0
    """When what it has computed was last counted."""


class Order:
    """See the module's docstring. seats: requests that compute at the same time. clock: seconds."""

    def __init__(self, seats: int, clock: Callable[[], float]) -> None:
        self.seats = seats
        self.requests: list[Standing] = []
        """All that stand in the line or compute."""
        self._clock = clock
        self._usual: dict[str, float] = {}  # seconds that a request takes, by kind
        self._used: dict[str, tuple[float, float]] = {}  # by visitor: seconds, as of when
        self._served = {False: 0.0, True: 0.0}  # start-time fair queueing's virtual time, by whether long

    def add(self, request: Standing) -> None:
        """It joins the line."""
        self._level()
        self.requests.append(request)

    def remove(self, request: Standing, *, answered: bool) -> None:
        """It leaves the line. answered: how long requests of its kind take is learned from it."""
        self.requests.remove(request)
        if answered and request.used:
            usual = self._usual.get(request.kind, request.used)
            self._usual[request.kind] = usual + 0.3 * (request.used - usual)
        for visitor in [v for v in self._used if self._use_of(v) < 0.01]:
            del self._used[visitor]

    def forget(self, visitor: str) -> None:
        """What a visitor has used counts no more, and all that they asked for has left."""
        for request in self.requests:
            if request.visitor == visitor:
                request.left = True
        self._used.pop(visitor, None)

    def count(self, request: Standing) -> None:
        """What it has computed since this was last asked."""
        now = self._clock()
        seconds, long = now - request.turn_began, self._long(request)
        request.used += seconds
        request.turn_began = now
        self._served[long] += seconds / _SHARE[long]
        if not long and self._long(request) and not any(self._long(r) for r in self.requests if r is not request):
            self._served[True] = max(self._served.values())  # the first long one starts where the short ones are
        if request.visitor is not None and not request.left:
            self._used[request.visitor] = (self._use_of(request.visitor) + seconds, now)
        self._level()

    def _level(self) -> None:
        """Standings of a kind of which there are none do not save up time: they will begin where the others are."""
        for long in (False, True):
            if not any(self._long(request) == long for request in self.requests):
                self._served[long] = max(self._served.values())

    def others_first(self, request: Standing) -> bool:
        """Whether one that computes is to let another go before it."""
        if request.left:
            return True
        self.count(request)
        waiting = [r for r in self.requests if r.waiting and self._may_begin(r)]
        return bool(waiting) and self._best([*waiting, request]) is not request

    def next_one(self, request: Standing) -> bool:
        """Whether a seat is free, and of all who wait this one is to have it."""
        if self.computing() >= self.seats:
            return False
        waiting = [r for r in self.requests if r.waiting and self._may_begin(r)]
        return bool(waiting) and self._best(waiting) is request

    def _best(self, requests: list[Standing]) -> Standing:
        long = self._long_first(requests)
        return min((r for r in requests if self._long(r) == long), key=self._place)

    def _long_first(self, requests: list[Standing]) -> bool:
        """Whether a long one is next."""
        kinds = {self._long(request) for request in requests}
        return self._served[True] < self._served[False] if len(kinds) == 2 else kinds.pop()

    def _place(self, request: Standing) -> tuple[float, ...]:
        """The smaller the sooner, among the short or the long ones."""
        use = self._use_of(request.visitor) if request.visitor else math.inf
        if self._long(request):
            return (not request.begun, use if not request.begun else 0.0, request.joined)
        return (use, request.joined)

    def _may_begin(self, request: Standing) -> bool:
        """False for a visitor's second long request while the first is under way."""
        if request.left or request.begun or request.visitor is None or not self._long(request):
            return True
        return not any(
            r is not request and r.visitor == request.visitor and r.begun and self._long(r) for r in self.requests
        )

    def _long(self, request: Standing) -> bool:
        return request.used > LONG or self._usual_of(request.kind) > LONG

    def _usual_of(self, kind: str) -> float:
        """Seconds that a request of this kind takes; of a kind of which none has ended, what those under way have taken
        so far at least."""
        if kind in self._usual:
            return self._usual[kind]
        return max((_UNKNOWN, *(r.used for r in self.requests if r.kind == kind)))

    def computing(self) -> int:
        """How many compute."""
        return sum(request.computing for request in self.requests)

    def _use_of(self, visitor: str | None) -> float:
        """Seconds that a visitor has used, old ones counting less."""
        seconds, when = self._used.get(visitor or "", (0.0, 0.0))
        return seconds * 0.5 ** ((self._clock() - when) / _FORGET)

    # Estimates

    def before(self, request: Standing | None) -> list[Standing]:
        """Those who will have computed before `request` begins (None: one of an unknown, short kind)."""
        long = request is not None and self._long(request)
        since = request.joined if request else math.inf
        return [
            r
            for r in self.requests
            if r is not request and (r.joined <= since or r.computing) and (long or not self._long(r) or r.computing)
        ]

    def seconds_before(self, request: Standing | None) -> float:
        """Seconds until it could begin, about."""
        long = request is not None and self._long(request)
        seconds = 0.0
        for other in self.before(request):
            rest = max(0.2, self._usual_of(other.kind) - other.used)
            # Of a long one only the step that is being done stands in the way of a short one.
            seconds += min(rest, 1.0) if self._long(other) and not long else rest
        others = any(self._long(r) != long for r in self.requests)
        return seconds / self.seats / (_SHARE[long] if others else 1.0)
