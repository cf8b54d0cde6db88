"""Whose turn it is: short before long, fair between visitors, bounded, and nothing is left standing."""

import threading
import time
from contextlib import ExitStack

import pytest

from demo import turn_admission, turn_order, turns
from demo.turns import Limits, Line, Outcome
from gan_core.errors import Busy, Cancelled


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def until(condition, seconds=5.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.002)


class Visit:
    """A request in a thread of its own: takes a turn of `seconds` on the test's clock, writes its name down, leaves."""

    def __init__(self, line, clock, visitor, kind, order, *, seconds=0.1, name=None):
        self.error, self.told = None, []

        def run():
            try:
                with line.join(visitor, kind) as request, request.turn(self.told.append):
                    clock.now += seconds
                    order.append(name or visitor)
            except Exception as error:
                self.error = error

        self.thread = threading.Thread(target=run, daemon=True)
        before = len(line._order.requests)
        self.thread.start()
        until(lambda: len(line._order.requests) > before or self.error or not self.thread.is_alive())

    def end(self):
        self.thread.join(10)
        assert not self.thread.is_alive()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def line(clock):
    return Line(clock=clock)


def pass_time(line, clock, seconds, visit):
    """Let time pass for one who waits: until it has looked at the clock again, and either waits on or gave up."""
    heard = len(visit.told)
    clock.now += seconds
    with line._changed:
        line._changed.notify_all()
    until(lambda: len(visit.told) > heard or visit.error)


def learn(line, clock, kind, seconds):
    """Have the line see how long requests of that kind take."""
    with line.join(None, kind) as request, request.turn():
        clock.now += seconds


def test_one_at_a_time_in_the_order_they_came(line, clock) -> None:
    order: list = []
    with line.join("first", "edit") as request, request.turn():
        visits = [Visit(line, clock, name, "edit", order) for name in "abc"]
        time.sleep(0.05)
        assert order == [] and line.state().waiting == 3 and line.state().computing == 1
    for visit in visits:
        visit.end()
    assert order == ["a", "b", "c"]
    assert (line.state().waiting, line.state().computing) == (0, 0)


def test_as_many_at_once_as_there_are_seats(clock) -> None:
    line, order = Line(2, clock=clock), []
    with line.join("a", "edit") as request, request.turn():
        Visit(line, clock, "b", "edit", order).end()
        assert order == ["b"]


def test_who_has_used_least_goes_first(line, clock) -> None:
    order: list = []
    for _ in range(3):
        Visit(line, clock, "greedy", "edit", [], seconds=1.0).end()
    with line.join("other", "edit") as request, request.turn():
        visits = [Visit(line, clock, "greedy", "edit", order, name=f"greedy {i}") for i in range(3)]
        visits.append(Visit(line, clock, "modest", "edit", order))
    for visit in visits:
        visit.end()
    assert order[0] == "modest"


def test_use_is_forgotten(line, clock) -> None:
    Visit(line, clock, "greedy", "edit", [], seconds=3.0).end()
    clock.now += 600
    order: list = []
    with line.join("other", "edit") as request, request.turn():
        visits = [Visit(line, clock, name, "edit", order) for name in ("greedy", "modest")]
    for visit in visits:
        visit.end()
    assert order == ["greedy", "modest"]


def test_a_short_one_passes_a_long_one_between_two_steps(line, clock) -> None:
    learn(line, clock, "compose", 40)
    order: list = []
    with line.join("patient", "compose") as request, request.turn():
        clock.now += 1
        request.pause()
        assert order == []
        visit = Visit(line, clock, "quick", "edit", order)
        clock.now += 1
        request.pause()  # comes back when the short one is done
        assert order == ["quick"]
        visit.end()


def test_a_long_one_is_found_out(line, clock) -> None:
    """The first of its kind counts as short until it has computed for long enough."""
    order: list = []
    with line.join("a", "new") as request, request.turn():
        clock.now += turn_order.LONG + 1
        visit = Visit(line, clock, "b", "edit", order)
        request.pause()
        assert order == ["b"]
        visit.end()


def test_what_is_not_known_sends_nobody_away(line, clock) -> None:
    """The first of its kind has computed for two minutes, or the machine was asleep for so long."""
    with line.join("a", "new") as request, request.turn():
        clock.now += 120
        with line.join("b", "other") as second:
            assert second.deadline >= clock.now + line.limits.patience


def test_those_of_its_kind_are_then_long_from_the_start(line, clock) -> None:
    """Before the first of them has ended: else all who come meanwhile would be let in, each to wait for all others."""
    with line.join("a", "new") as request, request.turn():
        clock.now += 25
        request.pause()
        with line.join("b", "new"):
            with pytest.raises(Busy, match="busy, about 65 s"), line.join("c", "new"):
                pass
            with line.join("c", "edit"):  # short ones are let in
                pass


def test_a_quarter_of_the_time_is_left_for_long_ones(line, clock) -> None:
    """While short work never ends, long work goes on."""
    learn(line, clock, "compose", 40)
    seconds = {"compose": 0.0, "edit": 0.0}
    done = threading.Event()

    def edits(visitor):
        while not done.is_set():
            with line.join(visitor, "edit") as request, request.turn():
                clock.now += 0.5
                seconds["edit"] += 0.5

    threads = [threading.Thread(target=edits, args=(f"v{i}",), daemon=True) for i in range(4)]
    with line.join("patient", "compose") as request, request.turn():
        for thread in threads:
            thread.start()
        until(lambda: line.state().waiting == 4)
        for _ in range(40):
            clock.now += 1
            seconds["compose"] += 1
            request.pause()
    done.set()
    for thread in threads:
        thread.join(10)
    share = seconds["compose"] / sum(seconds.values())
    assert 0.2 < share < 0.35, f"{share:.2f}"


def test_one_long_job_of_a_visitor_at_a_time(clock) -> None:
    line, order = Line(2, clock=clock), []
    learn(line, clock, "compose", 40)
    with line.join("a", "compose") as first, first.turn():
        second = Visit(line, clock, "a", "compose", order, name="a again")
        Visit(line, clock, "b", "compose", order).end()
        assert order == ["b"]
    second.end()
    assert order == ["b", "a again"]


def test_two_long_ones_run_one_after_another(line, clock) -> None:
    """Not in turns: both would be late."""
    learn(line, clock, "compose", 40)
    order: list = []
    with line.join("a", "compose") as request, request.turn():
        visit = Visit(line, clock, "b", "compose", order)
        for _ in range(5):
            clock.now += 10
            request.pause()
        assert order == []
    visit.end()


@pytest.mark.parametrize(
    ("usual", "long"),
    [
        ({}, 4),
        ({"compose": 16}, 4),  # alone: it may be long, or the machine slow
        ({"edit": 6}, 4),
        ({"compose": 16, "strip": 12}, 4),
        ({"edit": 0.3, "photo": 0.9, "fill": 2, "strip": 8, "compose": 16}, 4),  # a quick machine
        ({"edit": 0.01, "photo": 0.05, "fill": 0.1, "strip": 0.4, "compose": 5}, 4),  # a GPU
        ({"edit": 2, "photo": 3, "fill": 9, "compose": 90}, 12),
        ({"edit": 6, "photo": 7, "fill": 20, "compose": 200}, 20),
        ({"edit": 6, "photo": 7, "compose": 200, "reset": 0.01, "undo": 0.02}, 20),  # two that compute nothing
    ],
)
def test_what_is_long_depends_on_the_machine(line, clock, usual, long) -> None:
    for kind, seconds in usual.items():
        learn(line, clock, kind, seconds)
    assert line._order.long == pytest.approx(long)


def slow(line, clock) -> None:
    """Have the line know a machine where every edit takes six seconds and a composition two minutes."""
    for kind in ("edit", "photo", "fill"):
        learn(line, clock, kind, 6)
    learn(line, clock, "compose", 120)


def test_on_a_slow_machine_a_slider_goes_between_two_steps_too(line, clock) -> None:
    slow(line, clock)
    order: list = []
    with line.join("patient", "compose") as request, request.turn():
        for number in range(3):
            clock.now += 6
            visit = Visit(line, clock, f"quick {number}", "edit", order, seconds=6)
            request.pause()
            assert order == [f"quick {i}" for i in range(number + 1)]
            visit.end()
            for _ in range(2):
                clock.now += 6  # a quarter of the time is the composition's
                request.pause()


def test_on_a_slow_machine_a_slider_passes_a_composition_that_is_the_first_of_its_kind(line, clock) -> None:
    for kind in ("edit", "photo", "fill"):
        learn(line, clock, kind, 6)
    order: list = []
    with line.join("patient", "compose") as request, request.turn():
        for number in range(3):
            clock.now += 12
            visit = Visit(line, clock, f"quick {number}", "edit", order, seconds=6)
            request.pause()
            assert order == [f"quick {i}" for i in range(number + 1)]
            visit.end()


def test_on_a_slow_machine_compositions_still_run_one_after_another(line, clock) -> None:
    slow(line, clock)
    line.limits = Limits(patience=300)
    order: list = []
    with line.join("a", "compose") as request, request.turn():
        visit = Visit(line, clock, "b", "compose", order)
        for _ in range(5):
            clock.now += 20
            request.pause()
        assert order == []
    visit.end()


def test_the_usual_time_falls_faster_than_it_rises(line, clock) -> None:
    """The first of a kind often loaded a model as well."""
    learn(line, clock, "edit", 20)
    for _ in range(3):
        learn(line, clock, "edit", 1)
    assert line._order._usual_of("edit") < 2.5
    learn(line, clock, "edit", 20)
    assert line._order._usual_of("edit") < 8


def test_one_of_an_unknown_kind_goes_on_for_as_long_again(line, clock) -> None:
    with line.join("a", "new") as request, request.turn():
        assert line.state().seconds == 2
        clock.now += 1.5
        assert line.state().seconds == 1.5
        clock.now += 1.5
        assert line.state().seconds == 3, "also in a step that is not done yet"
        with line.join("b", "new"):
            assert line.state().seconds == 3 + 6


def test_one_that_is_late_goes_on_for_as_long_again_as_it_is_late(line, clock) -> None:
    learn(line, clock, "edit", 2)
    with line.join("a", "edit") as request, request.turn():
        clock.now += 1.5
        assert line.state().seconds == 0.5
        clock.now += 0.5
        assert line.state().seconds == 0.2
        clock.now += 7
        assert line.state().seconds == 7


def test_beyond_the_limit_it_says_when_to_come_back(clock) -> None:
    line = Line(limits=Limits(requests=3), clock=clock)
    learn(line, clock, "edit", 4)
    with ExitStack() as stack:
        for name in "abc":
            stack.enter_context(line.join(name, "edit"))
        with pytest.raises(Busy, match=r"busy, about 12 s"):
            stack.enter_context(line.join("d", "edit"))
    assert line.counts.ended["edit", Outcome.REFUSED] == 1
    with line.join("d", "edit"):
        pass


def test_who_would_wait_too_long_is_refused_at_once(clock) -> None:
    line = Line(limits=Limits(patience=60), clock=clock)
    learn(line, clock, "compose", 40)
    with line.join("a", "compose"), line.join("b", "compose"):
        with pytest.raises(Busy, match="about 80 s"):
            line.join("c", "compose").__enter__()
        with line.join("c", "edit"):  # short work passes
            pass


def test_one_visitor_cannot_fill_the_line(clock) -> None:
    line = Line(limits=Limits(each=2), clock=clock)
    with line.join("a", "edit"), line.join("a", "edit"):
        with pytest.raises(Busy, match="2 of your requests"):
            line.join("a", "edit").__enter__()
        with line.join("b", "edit"):
            pass


def test_the_app_itself_is_never_refused(clock) -> None:
    line = Line(limits=Limits(requests=0, patience=0), clock=clock)
    learn(line, clock, "warm_up", 1)


def test_a_promise_is_kept_or_ends_as_busy(line, clock) -> None:
    with line.join("a", "edit") as request, request.turn():
        visit = Visit(line, clock, "b", "edit", [])
        until(lambda: visit.told)
        assert "1 before you, about 2 s, at most 60 s" in visit.told[0]
        clock.now += 61
        visit.end()
    assert isinstance(visit.error, Busy) and "busy, about" in str(visit.error)
    assert line.counts.ended["edit", Outcome.GAVE_UP] == 1
    assert line.state().waiting == 0


def test_a_long_wait_that_was_foreseen_may_take_twice_as_long(line, clock) -> None:
    learn(line, clock, "compose", 40)
    with line.join("a", "compose") as request, request.turn():
        visit = Visit(line, clock, "b", "compose", [])
        until(lambda: visit.told)
        assert "1 before you, about 40 s, at most 80 s" in visit.told[0]
        pass_time(line, clock, 79, visit)
    visit.end()
    assert visit.error is None


def test_nobody_is_sent_away_for_an_estimate_that_was_too_small(line, clock) -> None:
    """Behind one whose kind is unknown, and behind one that takes much longer than its kind did so far: both let in,
    as they would have been had it been known (`Limits.patience`)."""
    learn(line, clock, "edit", 1)
    for kind in ("new", "edit"):
        order: list = []
        with line.join("a", kind) as request, request.turn():
            visit = Visit(line, clock, "b", "edit", order)
            until(lambda visit=visit: visit.told)
            pass_time(line, clock, 55, visit)
            assert visit.error is None and order == []
        visit.end()
        assert visit.error is None and order == ["b"]
    assert line.counts.ended["edit", Outcome.GAVE_UP] == 0


def test_who_waited_hears_when_it_is_their_turn(line, clock) -> None:
    with line.join("a", "edit") as request, request.turn():
        visit = Visit(line, clock, "b", "edit", [])
        until(lambda: visit.told)
    visit.end()
    assert "before you" in visit.told[0] and visit.told[-1] == "It is your turn"
    alone = Visit(line, clock, "c", "edit", [])
    alone.end()
    assert alone.told == []


def test_who_has_begun_is_not_sent_away(line, clock) -> None:
    with line.join("a", "edit") as request:
        with request.turn():
            clock.now += 1
        clock.now += 1000
        with request.turn():
            pass


def test_what_a_visitor_has_waiting_ends_when_they_leave(line, clock) -> None:
    with line.join("a", "edit") as request, request.turn():
        visit = Visit(line, clock, "b", "edit", [])
        line.forget("b")
        visit.end()
        assert isinstance(visit.error, Cancelled)
        line.forget("a")
        with pytest.raises(Cancelled):
            request.pause()
    assert line.counts.ended["edit", Outcome.LEFT] == 2 - 1  # the test itself swallowed the second
    assert line.state() == turns.State(1, 0, 0, 0.0)


def test_an_error_gives_the_turn_back(line, clock) -> None:
    with pytest.raises(ZeroDivisionError), line.join("a", "edit") as request, request.turn():
        raise ZeroDivisionError
    assert line.counts.ended["edit", Outcome.FAILED] == 1
    order: list = []
    Visit(line, clock, "b", "edit", order).end()
    assert order == ["b"]


def test_idle_time_is_not_saved_up(line, clock) -> None:
    """After an hour of sliders alone a composition does not hold everybody up for a quarter of an hour."""
    learn(line, clock, "compose", 40)
    for _ in range(200):
        learn(line, clock, "edit", 2)
    order: list = []
    with line.join("patient", "compose") as request, request.turn():
        clock.now += 1
        visit = Visit(line, clock, "quick", "edit", order)
        request.pause()
        assert order == ["quick"]
        visit.end()


def test_pause_outside_of_a_request_does_nothing() -> None:
    turns.pause()


def test_pause_finds_the_request_of_this_thread(line, clock) -> None:
    learn(line, clock, "compose", 40)
    order: list = []
    with line.join("a", "compose") as request, request.turn(), turns.current(request):
        visit = Visit(line, clock, "b", "edit", order)
        clock.now += 1
        turns.pause()
        assert order == ["b"]
        visit.end()


def test_so_many_requests_a_minute_from_one_address(clock) -> None:
    line = Line(limits=Limits(a_minute=2), clock=clock)

    def ask(visitor, address):
        with line.join(visitor, "edit", address):
            pass

    ask("a", "1.2.3.4")
    clock.now += 10
    ask("b", "1.2.3.4")
    with pytest.raises(Busy, match="go on in 50 s"):
        ask("c", "1.2.3.4")
    ask("d", "5.6.7.8")
    clock.now += 51
    ask("c", "1.2.3.4")


def test_addresses_are_forgotten(clock, monkeypatch) -> None:
    monkeypatch.setattr(turn_admission, "_ADDRESSES", 10)
    line = Line(limits=Limits(a_minute=5), clock=clock)
    for i in range(100):
        clock.now += 10
        with line.join("a", "edit", f"address {i}"):
            pass
    assert len(line._admission._came) <= 11
