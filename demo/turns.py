"""Whose turn it is to compute: one line of requests over all tabs and all visitors.

A request joins the line, or is refused at once with a time after which to come back. It computes only while it has a
turn, and there are as many turns at once as there are devices. Long work gives its turn back between two steps, so that
short work passes:

    with line.join(visitor, "hfgi_edit") as request:   # Busy: too many are waiting
        with request.turn(tell):                       # waits; `tell` hears for how long, about
            ...
            request.pause(tell)                        # between two steps: others first, if it is theirs

Order. A request is long once it has computed for `LONG` seconds, or from the start when requests of its kind usually
take longer than that; else it is short. While there are both, short ones get three quarters of the time (start-time
fair queueing, Goyal et al. 1996). Among short ones the visitor who has used least recently goes first; long ones run
one after another, and a visitor has at most one of them under way.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import Enum

from gan_core.errors import Busy, Cancelled

logger = logging.getLogger(__name__)

LONG = 4.0  # seconds of computing after which a request is a long one
_SHARE = {False: 0.75, True: 0.25}  # of the time, by whether requests are long, while there are both
_FORGET = 30.0  # seconds in which half of what a visitor has used is forgotten
_UNKNOWN = 2.0  # seconds that a request takes of whose kind there has been none yet
_MINUTE = 60.0
_ADDRESSES = 10_000  # to remember before the idle ones are dropped
_TELL_EVERY = 1.0  # seconds between two words to somebody who waits

_BEGUN = "It is your turn"

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Limits:
    """What is promised to visitors."""

    requests: int = 48
    """That are waiting or under way at once, of all visitors together."""
    each: int = 6
    """Of one visitor."""
    patience: float = 60.0
    """Seconds: who would wait longer is refused at once."""
    a_minute: int | None = None
    """Requests from one address; None: no limit."""


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


class Request:
    """One request in the line. Made by `Line.join`."""

    def __init__(
        self,
        line: Line,
        visitor: str | None,
        kind: str,
        joined: float,
        promised: float,
        stopped: Callable[[], bool] | None = None,
    ) -> None:
        self._line = line
        self.visitor, self.kind, self.joined = visitor, kind, joined
        self.stopped = stopped or (lambda: False)
        """Whether its visitor wants it no more. It then waits for no turn, for all that it does is to say so."""
        self.deadline = joined + promised
        """When it gives up waiting for its first turn."""
        self.used = 0.0
        """Seconds of computing so far."""
        self.waited = 0.0
        """Seconds of waiting so far."""
        self.begun = self.computing = self.waiting = self.left = False
        self._turn_began = 0.0

    @contextmanager
    def turn(self, tell: Tell | None = None) -> Iterator[None]:
        """Wait for a turn and keep it for the block. tell: hears now and then how long it will take.

        Raises Busy when the first turn does not come within the time that was promised, Cancelled when the visitor
        left.
        """
        told = self._line._take(self, tell)
        try:
            if tell and told:
                tell(_BEGUN)  # who reports nothing else would seem to wait on
            yield
        finally:
            self._line._give_back(self)

    def pause(self, tell: Tell | None = None) -> None:
        """Between two steps of a turn: let others go first if it is their turn.

        Raises Cancelled when the visitor left.
        """
        if self._line._others_first(self):
            self._line._give_back(self)
            if self._line._take(self, tell) and tell:
                tell(_BEGUN)


class Line:
    """See the module's docstring. Safe to use from several threads.

    seats: requests that compute at the same time. clock: seconds, for tests.
    """

    def __init__(
        self, seats: int = 1, limits: Limits | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.seats, self.limits = seats, limits or Limits()
        self.counts = Counts()
        self._clock = clock
        self._changed = threading.Condition()
        self._requests: list[Request] = []
        self._usual: dict[str, float] = {}  # seconds that a request takes, by kind
        self._used: dict[str, tuple[float, float]] = {}  # by visitor: seconds, as of when
        self._came: dict[str, deque[float]] = {}  # by address: when, within the last minute
        self._served = {False: 0.0, True: 0.0}  # start-time fair queueing's virtual time, by whether long

    @contextmanager
    def join(
        self,
        visitor: str | None,
        kind: str,
        address: str | None = None,
        stopped: Callable[[], bool] | None = None,
    ) -> Iterator[Request]:
        """A request for the block. visitor: None for the app itself, which is let in always.

        kind: what is asked for (an endpoint's name); how long requests take is learned by kind. address: from where.
        stopped: see `Request.stopped`. Raises Busy with a sentence that says when to come back.
        """
        request = self._enter(visitor, kind, address, stopped)
        outcome = Outcome.FAILED
        try:
            yield request
            outcome = Outcome.ANSWERED
        except GeneratorExit:
            outcome = Outcome.LEFT
            raise
        except Cancelled:
            outcome = Outcome.LEFT
            raise
        except Busy:
            outcome = Outcome.FAILED if request.begun else Outcome.GAVE_UP
            raise
        finally:
            self._leave(request, outcome)

    def forget(self, visitor: str) -> None:
        """The visitor left: what they have waiting ends with Cancelled."""
        with self._changed:
            for request in self._requests:
                if request.visitor == visitor:
                    request.left = True
            self._used.pop(visitor, None)
            self._changed.notify_all()

    def state(self) -> State:
        """See `State`."""
        with self._changed:
            waiting = sum(request.waiting for request in self._requests)
            return State(self.seats, self._computing(), waiting, self._seconds_before(None))

    # What is said to whom. `_changed` is held from here on, where nothing else is said.

    def _enter(
        self, visitor: str | None, kind: str, address: str | None, stopped: Callable[[], bool] | None
    ) -> Request:
        with self._changed:
            newcomer = Request(self, visitor, kind, self._clock(), math.inf, stopped)
            if visitor is not None:
                seconds = self._seconds_before(newcomer)
                if refusal := self._refusal(visitor, address, seconds):
                    self.counts.ended[kind, Outcome.REFUSED] += 1
                    raise Busy(refusal)
                newcomer.deadline = newcomer.joined + _promise(seconds)
            self._level()
            self._requests.append(newcomer)
            return newcomer

    def _refusal(self, visitor: str, address: str | None, seconds: float) -> str:
        """Why this visitor's request, which would wait for so many seconds, is not let in; "" where it is."""
        own = sum(request.visitor == visitor for request in self._requests)
        if own >= self.limits.each:
            return f"{own} of your requests are waiting already. Please wait for them first."
        others = sum(request.visitor is not None for request in self._requests)
        if others >= self.limits.requests or seconds > self.limits.patience:
            return _busy(seconds)
        if address is not None and self.limits.a_minute:
            now, came = self._clock(), self._came.setdefault(address, deque())
            while came and came[0] <= now - _MINUTE:
                came.popleft()
            if len(came) >= self.limits.a_minute:
                rest = max(1, math.ceil(came[0] + _MINUTE - now))
                return f"{len(came)} requests came from you within a minute. Please go on in {rest} s."
            came.append(now)
            if len(self._came) > _ADDRESSES:
                self._came = {key: times for key, times in self._came.items() if times and times[-1] > now - _MINUTE}
        return ""

    def _take(self, request: Request, tell: Tell | None) -> bool:
        """Wait for a turn; whether anything was told meanwhile. `_changed` is not held, so that `tell` may take its
        time."""
        began, said = self._clock(), -math.inf
        request.waiting = True
        try:
            while not request.stopped():  # a lock of its own, so not within ours
                with self._changed:
                    if request.left:
                        raise Cancelled("The page was closed.")
                    if self._next_one(request):
                        self._begin(request)
                        return said > -math.inf
                    now = self._clock()
                    if not request.begun and now > request.deadline:
                        raise Busy(_busy(self._seconds_before(request)))
                    if not (tell and now - said >= _TELL_EVERY):
                        self._changed.wait(_TELL_EVERY)
                        continue
                    before, seconds = self._before(request), self._seconds_before(request)
                said = now
                tell(_waiting(len(before), seconds, None if request.begun else request.deadline - now))
            return False
        finally:
            request.waiting = False
            request.waited += self._clock() - began

    def _begin(self, request: Request) -> None:
        request.begun = request.computing = True
        request.waiting = False
        request._turn_began = self._clock()

    def _give_back(self, request: Request) -> None:
        with self._changed:
            if request.computing:  # else it lost its turn in a pause
                self._count(request)
                request.computing = False
                self._changed.notify_all()

    def _count(self, request: Request) -> None:
        """What it has computed since this was last asked."""
        now = self._clock()
        seconds, long = now - request._turn_began, self._long(request)
        request.used += seconds
        request._turn_began = now
        self._served[long] += seconds / _SHARE[long]
        if not long and self._long(request) and not any(self._long(r) for r in self._requests if r is not request):
            self._served[True] = max(self._served.values())  # the first long one starts where the short ones are
        if request.visitor is not None and not request.left:
            self._used[request.visitor] = (self._use_of(request.visitor) + seconds, now)
        self._level()

    def _level(self) -> None:
        """Requests of a kind of which there are none do not save up time: they will begin where the others are."""
        for long in (False, True):
            if not any(self._long(request) == long for request in self._requests):
                self._served[long] = max(self._served.values())

    def _leave(self, request: Request, outcome: Outcome) -> None:
        with self._changed:
            self._requests.remove(request)
            self.counts.ended[request.kind, outcome] += 1
            self.counts.waited[request.kind] += request.waited
            self.counts.computed[request.kind] += request.used
            if outcome is Outcome.ANSWERED and request.used:
                usual = self._usual.get(request.kind, request.used)
                self._usual[request.kind] = usual + 0.3 * (request.used - usual)
            for visitor in [v for v in self._used if self._use_of(v) < 0.01]:
                del self._used[visitor]
            self._changed.notify_all()

    # The order

    def _others_first(self, request: Request) -> bool:
        with self._changed:
            if request.left:
                return True
            self._count(request)
            waiting = [r for r in self._requests if r.waiting and self._may_begin(r)]
            return bool(waiting) and self._best([*waiting, request]) is not request

    def _next_one(self, request: Request) -> bool:
        """Whether a seat is free, and of all who wait this one is to have it."""
        if self._computing() >= self.seats:
            return False
        waiting = [r for r in self._requests if r.waiting and self._may_begin(r)]
        return bool(waiting) and self._best(waiting) is request

    def _best(self, requests: list[Request]) -> Request:
        long = self._long_first(requests)
        return min((r for r in requests if self._long(r) == long), key=self._place)

    def _long_first(self, requests: list[Request]) -> bool:
        """Whether a long one is next."""
        kinds = {self._long(request) for request in requests}
        return self._served[True] < self._served[False] if len(kinds) == 2 else kinds.pop()

    def _place(self, request: Request) -> tuple[float, ...]:
        """The smaller the sooner, among the short or the long ones."""
        use = self._use_of(request.visitor) if request.visitor else math.inf
        if self._long(request):
            return (not request.begun, use if not request.begun else 0.0, request.joined)
        return (use, request.joined)

    def _may_begin(self, request: Request) -> bool:
        """False for a visitor's second long request while the first is under way."""
        if request.left or request.begun or request.visitor is None or not self._long(request):
            return True
        return not any(
            r is not request and r.visitor == request.visitor and r.begun and self._long(r) for r in self._requests
        )

    def _long(self, request: Request) -> bool:
        return request.used > LONG or self._usual_of(request.kind) > LONG

    def _usual_of(self, kind: str) -> float:
        """Seconds that a request of this kind takes; of a kind of which none has ended, what those under way have taken
        so far at least."""
        if kind in self._usual:
            return self._usual[kind]
        return max((_UNKNOWN, *(r.used for r in self._requests if r.kind == kind)))

    def _computing(self) -> int:
        return sum(request.computing for request in self._requests)

    def _use_of(self, visitor: str | None) -> float:
        """Seconds that a visitor has used, old ones counting less."""
        seconds, when = self._used.get(visitor or "", (0.0, 0.0))
        return seconds * 0.5 ** ((self._clock() - when) / _FORGET)

    # Estimates

    def _before(self, request: Request | None) -> list[Request]:
        """Those who will have computed before `request` begins (None: one of an unknown, short kind)."""
        long = request is not None and self._long(request)
        since = request.joined if request else math.inf
        return [
            r
            for r in self._requests
            if r is not request and (r.joined <= since or r.computing) and (long or not self._long(r) or r.computing)
        ]

    def _seconds_before(self, request: Request | None) -> float:
        """Seconds until it could begin, about."""
        long = request is not None and self._long(request)
        seconds = 0.0
        for other in self._before(request):
            rest = max(0.2, self._usual_of(other.kind) - other.used)
            # Of a long one only the step that is being done stands in the way of a short one.
            seconds += min(rest, 1.0) if self._long(other) and not long else rest
        others = any(self._long(r) != long for r in self._requests)
        return seconds / self.seats / (_SHARE[long] if others else 1.0)


def _promise(seconds: float) -> float:
    """How long somebody is told to wait at most who will wait for so long, about."""
    return max(10.0, 2 * seconds)


def _busy(seconds: float) -> str:
    return f"Many people are using this right now: busy, about {max(5, math.ceil(seconds))} s. Please try again then."


def _waiting(before: int, seconds: float, most: float | None) -> str:
    who = f"{before} before you" if before else "You are next"
    text = f"Waiting. {who}, about {max(1, math.ceil(seconds))} s"
    return text if most is None or math.isinf(most) else f"{text}, at most {max(1, math.ceil(most))} s"


line = Line()
"""The app's own; `use` puts another in its place."""
_current: ContextVar[Request | None] = ContextVar("request", default=None)


def use(new: Line) -> None:
    """Let every request from now on join this line."""
    global line
    line = new


@contextmanager
def current(request: Request) -> Iterator[None]:
    """What is computed in the block is computed for this request: `pause` there is a pause of it."""
    token = _current.set(request)
    try:
        yield
    finally:
        _current.reset(token)


def request() -> Request | None:
    """The request that this thread computes for."""
    return _current.get()


def pause(tell: Tell | None = None) -> None:
    """`Request.pause` of the request that this thread computes for; nothing where there is none."""
    request = _current.get()
    if request is not None:
        request.pause(tell)
