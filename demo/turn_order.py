"""Who of those in the line of `demo.turns` is next, and how long each will wait: the order, as its docstring says it.

A seat is had by one request, or by a company: short ones of a kind that is computed together (`share`). Who is next
opens a company, or joins one of its kind that has room; with it come those of its kind who stood in the line by then,
also past others, whom that costs next to nothing. Who comes later joins only when it is next, so that no company holds
a seat for ever.

Which kinds are long depends on the machine (`Order.long`): on a slow one a slider takes more than four seconds, too,
and must not stand behind a composition to its end.

Nothing here waits or locks; the line asks while it holds its lock.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

LONG = 4.0  # seconds of computing after which a request is a long one, on a machine that is quick enough
_LONG_AT_MOST = 20.0  # the same, on the slowest machine
_TIMES_QUICK = 4.0  # what the quicker kinds take, in between
_FEW = 3  # kinds must be known before the quicker ones are told from the others
_NOTHING = 0.2  # seconds: a kind that takes less computes nothing, and says nothing about the machine
_SHARE = {False: 0.75, True: 0.25}  # of the time, by whether requests are long, while there are both
_FORGET = 30.0  # seconds in which half of what a visitor has used is forgotten
_UNKNOWN = 2.0  # seconds that a request takes of whose kind there has been none yet
_LEARNS = {True: 0.3, False: 0.6}  # how far the usual time goes towards a new one, by whether that is longer
_GUESS = 20.0  # seconds at most that are guessed: what is not known is no reason to send somebody away
_STEP = 1.0  # seconds of a step of a long request, where `LONG` is what is long


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
    opened: float = 0.0
    """When its company was opened, or joined by one that was next."""


class Order:
    """See the module's docstring. seats: requests, or companies of them, that compute at the same time. clock:
    seconds."""

    def __init__(self, seats: int, clock: Callable[[], float]) -> None:
        self.seats = seats
        self.company = 1
        """Requests of a company at most."""
        self.long = LONG
        """Seconds of computing after which a request is a long one on this machine: four times what the quicker kinds
        (their lower quartile) usually take, but at least `LONG` and at most 20 s. `LONG` as long as fewer than three
        kinds are known: of those alone nobody could say whether they are long or the machine is slow."""
        self.requests: list[Standing] = []
        """All that stand in the line or compute."""
        self._clock = clock
        self._usual: dict[str, float] = {}  # seconds that a request takes, by kind
        self._used: dict[str, tuple[float, float]] = {}  # by visitor: seconds, as of when
        self._sharing: set[str] = set()  # kinds that are computed together
        self._served = {False: 0.0, True: 0.0}  # start-time fair queueing's virtual time, by whether long

    def add(self, request: Standing) -> None:
        """It joins the line."""
        self._level()
        self.requests.append(request)

    def remove(self, request: Standing, *, answered: bool) -> None:
        """It leaves the line. answered: how long requests of its kind take is learned from it."""
        self.requests.remove(request)
        if answered and request.used:
            self._learn(request.kind, request.used)
        for visitor in [v for v in self._used if self._use_of(v) < 0.01]:
            del self._used[visitor]

    def _learn(self, kind: str, seconds: float) -> None:
        """What requests of a kind take falls faster than it rises: the first one often loaded a model as well."""
        usual = self._usual.get(kind, seconds)
        self._usual[kind] = usual + _LEARNS[seconds > usual] * (seconds - usual)
        known = sorted(usual for usual in self._usual.values() if usual >= _NOTHING)
        quick = known[len(known) // 4] if len(known) >= _FEW else 0.0
        self.long = min(_LONG_AT_MOST, max(LONG, _TIMES_QUICK * quick))

    def forget(self, visitor: str) -> None:
        """What a visitor has used counts no more, and all that they asked for has left."""
        for request in self.requests:
            if request.visitor == visitor:
                request.left = True
        self._used.pop(visitor, None)

    def share(self, kind: str) -> bool:
        """Requests of this kind are computed together from now on; whether they were not before."""
        new = kind not in self._sharing
        self._sharing.add(kind)
        return new

    def begin(self, request: Standing) -> None:
        """It has a turn."""
        beside, now = self._beside(request), self._clock()
        for other in beside[:1]:
            self.count(other)  # from here on they are one more
        first = self._best([r for r in self.requests if r.waiting and self._may_begin(r)]) is request
        request.opened = now if first or not beside else max(r.opened for r in beside)
        request.begun = request.computing = True
        request.waiting = False
        request.turn_began = now

    def end(self, request: Standing) -> None:
        """It gives its turn back."""
        self.count(request)
        request.computing = False

    def count(self, request: Standing) -> None:
        """What it has computed since this was last asked, and its company with it: each is charged its share."""
        company = self._beside(request) or [request]
        seats = -(-len(company) // self.company)
        for one in company:
            self._charge(one, seats / len(company))
        self._level()

    def _charge(self, request: Standing, share: float) -> None:
        now = self._clock()
        seconds, long = now - request.turn_began, self._long(request)
        request.used += seconds
        request.turn_began = now
        self._served[long] += share * seconds / _SHARE[long]
        if not long and self._long(request) and not any(self._long(r) for r in self.requests if r is not request):
            self._served[True] = max(self._served.values())  # the first long one starts where the short ones are
        if request.visitor is not None and not request.left:
            self._used[request.visitor] = (self._use_of(request.visitor) + share * seconds, now)

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
        best = self._best([*waiting, request])
        return best is not request and not self._has_room(best)

    def next_one(self, request: Standing) -> bool:
        """Whether of all who wait this one is to have a turn now."""
        waiting = [r for r in self.requests if r.waiting and self._may_begin(r)]
        if request not in waiting:
            return False
        if self._best(waiting) is request:
            return self._seats_taken() < self.seats or self._has_room(request)
        came_before = any(request.joined <= other.opened for other in self._beside(request))
        return came_before and not request.begun and self._has_room(request)

    def _shares(self, request: Standing) -> bool:
        """Whether it may be one of a company."""
        return self.company > 1 and request.kind in self._sharing and not self._long(request)

    def _beside(self, request: Standing) -> list[Standing]:
        """Those of its company, or companies on several seats, who compute; itself, too, if it does."""
        if not self._shares(request):
            return [request] if request.computing else []
        return [r for r in self.requests if r.computing and r.kind == request.kind and self._shares(r)]

    def _has_room(self, request: Standing) -> bool:
        """Whether it could join a company of its kind."""
        return self._shares(request) and len(self._beside(request)) % self.company != 0

    def _seats_taken(self) -> int:
        companies = Counter(r.kind for r in self.requests if r.computing and self._shares(r))
        single = sum(r.computing and not self._shares(r) for r in self.requests)
        return single + sum(-(-count // self.company) for count in companies.values())

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
        return request.used > self.long or self._usual_of(request.kind) > self.long

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

    def _rest(self, request: Standing) -> float:
        """Seconds that it goes on computing, about. One that takes longer than usual: as long again as it is late. Of a
        kind of which none has ended: as long again as the one that has computed longest has by now. Of either
        `_GUESS` at most."""
        used = self._used_by_now(request)
        if request.kind in self._usual:
            rest = self._usual[request.kind] - used
            return max(0.2, rest if rest > 0 else min(-rest, _GUESS))
        longest = max(self._used_by_now(r) for r in self.requests if r.kind == request.kind)
        return max(_UNKNOWN, longest + min(longest, _GUESS)) - used

    def _used_by_now(self, request: Standing) -> float:
        """Also in a step that is not done yet."""
        return request.used + (self._clock() - request.turn_began if request.computing else 0.0)

    def seconds_before(self, request: Standing | None) -> float:
        """Seconds until it could begin, about."""
        long = request is not None and self._long(request)
        before, seconds = self.before(request), 0.0
        companies = Counter(other.kind for other in before if self._shares(other))
        for other in before:
            rest = self._rest(other)
            if self._shares(other):
                rest /= min(companies[other.kind], self.company)
            # Of a long one only the step that is being done stands in the way of a short one.
            step = _STEP * self.long / LONG
            seconds += min(rest, step) if self._long(other) and not long else rest
        others = any(self._long(r) != long for r in self.requests)
        return seconds / self.seats / (_SHARE[long] if others else 1.0)
