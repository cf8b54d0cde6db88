"""Work of many threads is done by few that stay, with what each of them needs of the caller."""

import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar

import pytest

from demo import gpu, turns
from demo.executors import LocalExecutor
from demo.gpu import Done, Step
from demo.lasting_threads import LastingThreads
from gan_core.errors import BadValue
from gan_core.registry import ModelRegistry, ModelSpec

WHO: ContextVar[str] = ContextVar("who")


class Planner:
    """A model that plans its work anew in every thread, as cuDNN does."""

    def __init__(self):
        self.planned = set()

    def draw(self, number):
        self.planned.add(threading.get_ident())
        return number


def _draw(model, numbers):
    return [model.draw(number) for number in numbers]


@gpu.task(together=True)
def draw(worker, model, number):
    yield Step(0.5, "drawing")
    yield Done(worker.run_together(model, _draw, number))


@gpu.task()
def draw_some(worker, model, count):
    yield from map(Step, worker.iterate(model, lambda planner: map(planner.draw, range(count))), ["drawn"] * count)
    yield Done(count)


@pytest.fixture
def threads():
    return LastingThreads("test")


@pytest.mark.parametrize("together", [1, 4])
def test_a_model_plans_once_however_many_visitors_come(monkeypatch, together) -> None:
    planner, registry, line = Planner(), ModelRegistry(), turns.Line()
    registry.declare(ModelSpec("planner", lambda load: planner, 1, "CC0-1.0"))
    monkeypatch.setattr(gpu, "_executor", LocalExecutor(registry, together=together))
    line.company = together

    def visit(number: int) -> int:
        with line.join(str(number), "draw") as request, request.turn(), turns.current(request):
            assert gpu.run(draw_some("planner", 2)) == 2
            return gpu.run(draw("planner", number))

    for _ in range(3):  # threads of the page come and go
        with ThreadPoolExecutor(6) as visitors:
            assert list(visitors.map(visit, range(6))) == list(range(6))
    assert len(planner.planned) == 1


def test_work_at_the_same_time_has_threads_of_its_own(threads) -> None:
    both = threading.Barrier(2, timeout=10)
    with ThreadPoolExecutor(2) as visitors:
        places = set(visitors.map(lambda _: (threads.call(both.wait), threads.call(threading.get_ident))[1], range(2)))
    assert threading.get_ident() not in places
    assert threads.call(threading.get_ident) == threads.call(threading.get_ident)


def test_work_knows_for_whom_it_is(threads) -> None:
    WHO.set("first visitor")
    assert threads.call(WHO.get) == "first visitor"
    WHO.set("second visitor")
    assert threads.bound(WHO.get)("nobody") == "second visitor"


def test_what_fails_is_raised_here_and_holds_nothing(threads) -> None:
    class Large:
        pass

    def fail() -> None:
        large = Large()
        held.append(weakref.ref(large))
        raise BadValue("too much")

    held: list[weakref.ref] = []
    gc.disable()
    try:
        with pytest.raises(BadValue, match="too much") as raised:
            threads.call(fail)
        del raised
        assert held[0]() is None, "its frames live on"
    finally:
        gc.enable()
    assert threads.call(int) == 0, "the thread goes on"


def test_an_iterator_is_closed_where_it_runs(threads) -> None:
    places = []

    def begin(_given):
        try:
            places.append(threading.get_ident())
            yield 1
            yield 2
        finally:
            places.append(threading.get_ident())

    assert list(threads.iterated(begin)(None)) == [1, 2]
    started = threads.iterated(begin)(None)
    assert next(started) == 1
    started.close()
    assert len(places) == 4 and len(set(places)) == 1 and threading.get_ident() not in places
