"""Whose turn it is to compute: one line of requests over all tabs and all visitors.

A request joins the line, or is refused at once with a time after which to come back (`demo.turn_admission`). It
computes only while it has a turn, and there are as many turns at once as there are devices, or `company` times as many
for short requests of one kind that are computed together (`demo.collector`). Long work gives its turn back between two
steps, so that short work passes:

    with line.join(visitor, "hfgi_edit") as request:   # Busy: too many are waiting
        with request.turn(tell):                       # waits; `tell` hears for how long, about
            ...
            request.pause(tell)                        # between two steps: others first, if it is theirs

Order (`demo.turn_order`). A request is long once it has computed for four seconds (up to twenty on a slow machine), or
from the start when requests of its kind usually take longer than that; else it is short. While there are both, short
ones get three quarters of the time (start-time fair queueing, Goyal et al. 1996). Among short ones the visitor who has
used least recently goes first; long ones run one after another, and a visitor has at most one of them under way.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from demo import turn_admission
from demo.turn_admission import Admission, Limits
from demo.turn_counts import Counts, Outcome, State
from demo.turn_order import Order, Standing
from gan_core.errors import Busy, Cancelled

logger = logging.getLogger(__name__)

_TELL_EVERY = 1.0  # seconds between two words to somebody who waits

_BEGUN = "It is your turn"

Tell = Callable[[str], None]


class Request(Standing):
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
        super().__init__(visitor, kind, joined)
        self._line = line
        self.stopped = stopped or (lambda: False)
        """Whether its visitor wants it no more. It then waits for no turn, for all that it does is to say so."""
        self.deadline = joined + promised
        """When it gives up waiting for its first turn."""
        self.waited = 0.0
        """Seconds of waiting so far."""

    @property
    def unwanted(self) -> bool:
        """Whether its visitor left, or has stopped it."""
        return self.left or self.stopped()

    def share(self) -> None:
        """It is computed together with others: short ones of its kind may have a turn beside each other from now on."""
        self._line._share(self.kind)

    def others(self) -> int:
        """How many others of its kind are in the line."""
        return self._line._others(self)

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
        self.limits = limits or Limits()
        self.counts = Counts()
        self._clock = clock
        self._changed = threading.Condition()
        self._admission = Admission(clock)
        self._order = Order(seats, clock)

    @property
    def seats(self) -> int:
        """Requests that compute at the same time."""
        return self._order.seats

    @seats.setter
    def seats(self, seats: int) -> None:
        self._order.seats = seats

    @property
    def company(self) -> int:
        """Short requests of one kind that have one of the `seats` together, where they are computed together."""
        return self._order.company

    @company.setter
    def company(self, company: int) -> None:
        self._order.company = company

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
            self._order.forget(visitor)
            self._changed.notify_all()

    def state(self) -> State:
        """See `State`."""
        with self._changed:
            waiting = sum(request.waiting for request in self._order.requests)
            return State(self.seats, self._order.computing(), waiting, self._order.seconds_before(None))

    # What is said to whom. `_changed` is held from here on, where nothing else is said.

    def _enter(
        self, visitor: str | None, kind: str, address: str | None, stopped: Callable[[], bool] | None
    ) -> Request:
        with self._changed:
            newcomer = Request(self, visitor, kind, self._clock(), math.inf, stopped)
            if visitor is not None:
                seconds = self._order.seconds_before(newcomer)
                if refusal := self._admission.refusal(self.limits, visitor, address, seconds, self._order.requests):
                    self.counts.ended[kind, Outcome.REFUSED] += 1
                    raise Busy(refusal)
                newcomer.deadline = newcomer.joined + turn_admission.promise(self.limits, seconds)
            self._order.add(newcomer)
            return newcomer

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
                    if self._order.next_one(request):
                        self._order.begin(request)
                        if self.seats > 1 or self.company > 1:
                            self._changed.notify_all()  # there may be a seat for another, or room beside it
                        return said > -math.inf
                    now = self._clock()
                    if not request.begun and now > request.deadline:
                        raise Busy(turn_admission.busy(self._order.seconds_before(request)))
                    if not (tell and now - said >= _TELL_EVERY):
                        self._changed.wait(_TELL_EVERY)
                        continue
                    before, seconds = self._order.before(request), self._order.seconds_before(request)
                said = now
                most = None if request.begun else request.deadline - now
                tell(turn_admission.waiting(len(before), seconds, most))
            return False
        finally:
            request.waiting = False
            request.waited += self._clock() - began

    def _give_back(self, request: Request) -> None:
        with self._changed:
            if request.computing:  # else it lost its turn in a pause
                self._order.end(request)
                self._changed.notify_all()

    def _share(self, kind: str) -> None:
        with self._changed:
            if self._order.share(kind):
                self._changed.notify_all()

    def _others(self, request: Request) -> int:
        with self._changed:
            return sum(r.kind == request.kind for r in self._order.requests) - 1

    def _others_first(self, request: Request) -> bool:
        with self._changed:
            return self._order.others_first(request)

    def _leave(self, request: Request, outcome: Outcome) -> None:
        with self._changed:
            self._order.remove(request, answered=outcome is Outcome.ANSWERED)
            self.counts.ended[request.kind, outcome] += 1
            self.counts.waited[request.kind] += request.waited
            self.counts.computed[request.kind] += request.used
            self._changed.notify_all()


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


def share() -> None:
    """`Request.share` of the request that this thread computes for; nothing where there is none."""
    request = _current.get()
    if request is not None:
        request.share()


def pause(tell: Tell | None = None) -> None:
    """`Request.pause` of the request that this thread computes for; nothing where there is none."""
    request = _current.get()
    if request is not None:
        request.pause(tell)
