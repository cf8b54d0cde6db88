"""Work of several visitors in one batch: each gets their own, and nobody suffers from another's."""

import threading
from contextlib import ExitStack

import pytest

from demo import collector as module
from demo import gpu, turns
from demo.collector import Collector, batch_size
from demo.executors import LocalExecutor
from demo.hfgi import tasks
from gan_core.errors import BadValue, Cancelled, OutOfMemory, UnknownName
from gan_core.registry import ModelRegistry, ModelSpec
from tests.demo import fakes
from tests.demo.test_turns import until

SEEN: list[list[int]] = []


class Doubler:
    """A model that takes three at once, and fails as its fields say."""

    pictures_at_once = 3
    roomy, broken = 100, None

    def double(self, numbers):
        SEEN.append(list(numbers))
        if len(numbers) > self.roomy or "huge" in numbers:
            raise RuntimeError("CUDA out of memory")
        if self.broken in numbers:
            raise BadValue(f"{self.broken} cannot be doubled.")
        return [2 * number for number in numbers]


def double(model: Doubler, numbers: list[int]) -> list[int]:
    return model.double(numbers)


class Crowd:
    """Threads that want something of a model while it is leased to somebody else."""

    def __init__(self, collector, registry):
        self.collector, self.registry = collector, registry
        self.results, self.threads = {}, []

    def ask(self, number, request=None, *, stays=True):
        """stays: it will wait until the test goes on."""

        def run():
            with ExitStack() as stack:
                if request is not None:
                    stack.enter_context(turns.current(request))
                try:
                    self.results[number] = self.collector.run("doubler", double, number, 1, None)
                except Exception as error:
                    self.results[number] = error

        before = self.waiting()
        self.threads.append(threading.Thread(target=run, daemon=True))
        self.threads[-1].start()
        if stays:
            until(lambda: self.waiting() > before)

    def waiting(self):
        return sum(map(len, self.collector._waiting.values()))

    def answers(self, *numbers, requests=()):
        """What each of them got who asked while the model was in use."""
        with self.registry.use("doubler"):
            for i, number in enumerate(numbers):
                self.ask(number, requests[i] if i < len(requests) else None)
        return self.end()

    def end(self):
        for thread in self.threads:
            thread.join(10)
            assert not thread.is_alive()
        assert self.collector._waiting == {}
        return self.results


@pytest.fixture
def model():
    SEEN.clear()
    return Doubler()


@pytest.fixture
def registry(model):
    registry = ModelRegistry(lambda: ("cpu",))
    registry.declare(ModelSpec("doubler", lambda load: model, 1, "CC0-1.0", title="the doubler"))
    return registry


@pytest.fixture
def crowd(registry):
    return Crowd(Collector(registry), registry)


def test_a_lone_visitor_does_not_wait(registry, monkeypatch) -> None:
    line, collector = turns.Line(), Collector(registry)
    monkeypatch.setattr(collector._changed, "wait", lambda seconds: pytest.fail("it waited"))
    assert collector.run("doubler", double, 1, 1, None) == 2
    with line.join("a", "edit") as request, request.turn(), turns.current(request), line.join("b", "another kind"):
        assert collector.run("doubler", double, 2, 1, None) == 4
    assert SEEN == [[1], [2]] and collector.batches == {1: 2}


def test_who_comes_while_the_device_is_busy_is_computed_together(crowd, model) -> None:
    model.pictures_at_once = 16
    assert crowd.answers(1, 2, 3, 4, 5) == {1: 2, 2: 4, 3: 6, 4: 8, 5: 10}
    assert SEEN == [[1, 2, 3, 4, 5]] and crowd.collector.batches == {5: 1}


def test_no_more_at_once_than_the_model_takes(crowd) -> None:
    assert crowd.answers(*range(7)) == {n: 2 * n for n in range(7)}
    assert SEEN == [[0, 1, 2], [3, 4, 5], [6]]


def test_others_of_its_kind_are_waited_for(registry, monkeypatch) -> None:
    monkeypatch.setattr(module, "_PATIENCE", 60.0)
    monkeypatch.setattr(module, "_QUIET", 60.0)
    line, crowd = turns.Line(), Crowd(Collector(registry), registry)
    with line.join("a", "edit") as first, line.join("b", "edit") as second:
        crowd.ask(1, first)
        assert SEEN == []
        crowd.ask(2, second, stays=False)
        assert crowd.end() == {1: 2, 2: 4}
    assert SEEN == [[1, 2]]


def test_not_for_long(registry, monkeypatch) -> None:
    line, crowd = turns.Line(), Crowd(Collector(registry), registry)
    with line.join("a", "edit") as first, line.join("b", "edit"):
        crowd.ask(1, first, stays=False)
        assert crowd.end() == {1: 2}


def test_bad_input_harms_only_its_own(crowd, model) -> None:
    model.broken = 2
    results = crowd.answers(1, 2, 3)
    assert results[1] == 2 and results[3] == 6
    assert isinstance(results[2], BadValue) and "2 cannot be doubled" in str(results[2])
    assert SEEN == [[1, 2, 3], [1], [2], [3]]


def test_out_of_memory_halves_the_batch(crowd, model) -> None:
    model.pictures_at_once, model.roomy = 8, 2
    assert crowd.answers(*range(5)) == {n: 2 * n for n in range(5)}
    assert max(map(len, SEEN[1:])) == 3 and [0, 1] in SEEN


def test_too_large_even_alone(crowd) -> None:
    """Others are put away, it is tried again, and then its visitor reads it; the others are answered."""
    results = crowd.answers(1, "huge", 3)
    assert results[1] == 2 and results[3] == 6
    assert isinstance(results["huge"], OutOfMemory) and "the doubler" in str(results["huge"])
    assert SEEN.count(["huge"]) == 2


def test_who_left_is_dropped(crowd, registry) -> None:
    line = turns.Line()
    with ExitStack() as stack:
        requests = [stack.enter_context(line.join(name, "edit")) for name in "abc"]
        with registry.use("doubler"):
            for number, request in enumerate(requests):
                crowd.ask(number, request)
            line.forget("a")  # who leads
            line.forget("c")
        results = crowd.end()
    assert isinstance(results[0], Cancelled) and isinstance(results[2], Cancelled)
    assert results[1] == 2 and SEEN == [[1]]


def test_a_model_that_cannot_be_loaded_is_tried_by_each(registry) -> None:
    there = []

    def build(load):
        if not there:
            there.append(True)
            raise BadValue("It is not there.")
        return Doubler()

    registry.declare(ModelSpec("late", build, 1, "CC0-1.0"))
    collector = Collector(registry)
    with pytest.raises(BadValue, match="not there"):
        collector.run("late", double, 1, 1, None)
    assert collector.run("late", double, 1, 1, None) == 2
    with pytest.raises(UnknownName):
        collector.run("nobody's", double, 1, 1, None)
    assert collector._waiting == {}


def test_how_many_where() -> None:
    assert batch_size(("cuda:0",), None) == 16 and batch_size(("cpu",), None) == 1
    assert batch_size(("cpu",), 4) == 4 and batch_size(("cuda:0", "cuda:1"), 1) == 1


@pytest.mark.parametrize("together", [1, 8])
def test_visitors_with_a_turn_together_get_their_own_pictures(monkeypatch, together) -> None:
    """Through the line, the executor and the task: eight visitors, of whom one asks for what there is not."""
    registry, line = fakes.make_registry(), turns.Line()
    executor = LocalExecutor(registry, together=together)
    monkeypatch.setattr(gpu, "_executor", executor)
    line.company = together
    inversion = gpu.run(tasks.invert(fakes.MODEL, fakes.draw_photo().resize((256, 256)))).inversion
    results = {}

    def edit(strength):
        try:
            with line.join(f"visitor {strength}", "slider") as request, request.turn(), turns.current(request):
                found = gpu.run(tasks.edit(fakes.MODEL, inversion, {"smile": strength}, strength > 1))
                results[strength] = (found.consulted.tobytes(), found.plain and found.plain.tobytes())
        except BadValue as error:
            results[strength] = str(error)

    edit(0.5)  # its kind is known from here on
    strengths = [-1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 9.0]
    threads = [threading.Thread(target=edit, args=(strength,), daemon=True) for strength in strengths]
    with registry.use(fakes.MODEL) as pipeline:
        for thread in threads:
            thread.start()
        until(lambda: line.state().computing == together)
    for thread in threads:
        thread.join(20)
    assert results.pop(9.0) == "The strength is out of range."
    alone = {s: gpu.run(tasks.edit(fakes.MODEL, inversion, {"smile": s}, s > 1)) for s in strengths[:-1]}
    assert results == {s: (one.consulted.tobytes(), one.plain and one.plain.tobytes()) for s, one in alone.items()}
    assert (max(pipeline.batches) > 4) == (together > 1)
    assert line.state() == turns.State(1, 0, 0, 0.0)
