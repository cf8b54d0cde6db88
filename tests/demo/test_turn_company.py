"""Short requests of a kind that is computed together have a turn beside each other; nobody is passed over for it."""

import threading
import time
from contextlib import ExitStack

import pytest

from demo.turns import Line
from gan_core.errors import Busy
from tests.demo.test_turns import Clock, Visit, learn, until


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def line(clock):
    """One device that computes four at once; sliders are computed together, encodings are not."""
    line = Line(clock=clock)
    line.company = 4
    with line.join(None, "slider") as request:
        request.share()
    return line


class Holder:
    """Requests that have a turn until the test ends it."""

    def __init__(self, line):
        self.line, self.stacks = line, []

    def begin(self, visitor, kind):
        stack = ExitStack()
        request = stack.enter_context(self.line.join(visitor, kind))
        stack.enter_context(request.turn())
        self.stacks.append(stack)
        return request

    def end(self, place=0):
        self.stacks.pop(place).close()


@pytest.fixture
def holder(line):
    holder = Holder(line)
    yield holder
    while holder.stacks:
        holder.end()


def names(order):
    return "".join(order)


def test_as_many_as_fit_have_a_turn_at_once(line, clock, holder) -> None:
    for visitor in "abcd":
        holder.begin(visitor, "slider")
    order: list = []
    fifth, other = Visit(line, clock, "e", "slider", order), Visit(line, clock, "f", "encode", order)
    time.sleep(0.03)
    assert order == [] and (line.state().computing, line.state().waiting) == (4, 2)
    holder.end()
    fifth.end()
    time.sleep(0.03)
    assert names(order) == "e"
    for _ in range(3):
        holder.end()
    other.end()


def test_kinds_that_are_not_computed_together_have_a_device_to_themselves(line, clock, holder) -> None:
    holder.begin("a", "encode")
    order: list = []
    visits = [Visit(line, clock, visitor, kind, order) for visitor, kind in (("b", "encode"), ("c", "slider"))]
    time.sleep(0.03)
    assert order == []
    holder.end()
    for visit in visits:
        visit.end()


def test_on_two_devices_there_are_two_companies(line, holder, clock) -> None:
    line.seats = 2
    for visitor in "abcdefgh":
        holder.begin(visitor, "slider")
    order: list = []
    ninth = Visit(line, clock, "i", "slider", order)
    time.sleep(0.03)
    assert order == []
    for _ in range(8):
        holder.end()
    ninth.end()


def test_where_a_device_computes_one_at_a_time_nothing_changes(clock) -> None:
    line, order = Line(clock=clock), []
    with line.join("a", "slider") as request, request.turn():
        request.share()
        visit = Visit(line, clock, "b", "slider", order)
        time.sleep(0.03)
        assert order == []
    visit.end()


def test_long_ones_are_computed_alone(line, clock, holder) -> None:
    """Also of a kind that is short as a rule, from when it is found out."""
    with line.join(None, "strip") as request:
        request.share()
    learn(line, clock, "strip", 40)
    holder.begin("a", "strip")
    order: list = []
    strip, slider = Visit(line, clock, "b", "strip", order), Visit(line, clock, "c", "slider", order)
    time.sleep(0.03)
    assert order == []
    holder.end()
    strip.end()
    slider.end()
    slow = holder.begin("a", "slider")
    clock.now += 10
    assert not line._order.others_first(slow)
    beside = Visit(line, clock, "b", "slider", order)
    time.sleep(0.03)
    assert len(order) == 2 and line._order.others_first(slow), "it is long now, so short ones go first"
    holder.end()
    beside.end()


def test_who_stood_in_the_line_comes_along_but_who_comes_later_does_not(line, clock, holder) -> None:
    """However many sliders come, another kind's turn comes when those are done who were there before it was next."""
    holder.begin("z", "encode")
    order: list = []
    gate = threading.Event()

    def slider(visitor):
        with line.join(visitor, "slider") as request, request.turn():
            order.append(visitor)
            assert gate.wait(10)

    def come(visitor):
        clock.now += 0.1
        before = line.state().waiting
        threads.append(threading.Thread(target=slider, args=(visitor,), daemon=True))
        threads[-1].start()
        until(lambda: line.state().waiting > before)

    threads: list = []
    come("a")
    encode = Visit(line, clock, "b", "encode", order, seconds=0)
    until(lambda: line.state().waiting == 2)
    come("c")
    holder.end()
    until(lambda: len(order) == 2)
    assert names(order) == "ac", "c stood in the line when a opened a company"
    come("d")
    time.sleep(0.03)
    assert names(order) == "ac", "the encoding is next, and d came too late to pass it"
    gate.set()
    encode.end()
    for thread in threads:
        thread.join(10)
    assert names(order) == "acbd"


def test_each_of_a_company_is_charged_its_share(line, clock, holder) -> None:
    requests = [holder.begin(visitor, "slider") for visitor in "abcd"]
    clock.now += 2
    holder.end()  # a
    clock.now += 3
    for _ in range(3):
        holder.end()
    used = {visitor: line._order._use_of(visitor) for visitor in "abcd"}
    assert used["a"] == pytest.approx(0.5 * 0.5 ** (3 / 30), rel=0.01)
    assert used["b"] == pytest.approx(used["d"], rel=0.01) and used["b"] == pytest.approx(1.5, rel=0.1)
    assert [request.used for request in requests] == [2, 5, 5, 5], "what its kind takes is learned from the whole time"
    assert line._order._served[False] == pytest.approx(5 / 0.75, rel=0.01)


def test_the_time_that_is_told_counts_companies(line, clock) -> None:
    learn(line, clock, "slider", 4)
    with ExitStack() as stack:
        for visitor in "abcdefgh":
            stack.enter_context(line.join(visitor, "slider"))
        assert line.state().seconds == pytest.approx(8, rel=0.01)
        line.limits = line.limits.__class__(requests=8)
        with pytest.raises(Busy, match="about 8 s"), line.join("i", "slider"):
            pass


def test_a_seat_that_is_free_is_not_waited_for(line, clock, holder) -> None:
    """Two who wait are both woken when two seats are free."""
    line.seats = 2
    holder.begin("a", "encode"), holder.begin("b", "encode")
    order: list = []
    visits = [Visit(line, clock, name, "encode", order, seconds=0) for name in "cd"]
    until(lambda: line.state().waiting == 2)
    begun = time.monotonic()
    holder.end(), holder.end()
    for visit in visits:
        visit.end()
    assert len(order) == 2 and time.monotonic() - begun < 10
