"""Every event that computes waits for its turn, and what it raises reaches the person as a sentence."""

import threading
import time

import gradio as gr
import pytest

from demo import gpu, turn_order, turns
from demo.context import Studio
from demo.executors import LocalExecutor
from demo.layout import build_page
from demo.parts.long_job import has_stopped
from demo.parts.newest import ResultPlace
from demo.parts.queued import queued
from demo.session import Sessions
from demo.turns import Limits, Line
from gan_core.errors import BadValue, Busy


@pytest.fixture
def line():
    before, line = turns.line, Line()
    turns.use(line)
    yield line
    turns.use(before)


def test_a_plain_handler_has_one_turn(line) -> None:
    @queued
    def handler(number):
        assert line.state().computing == 1
        return number + 1

    assert handler(1) == 2
    assert line.state().computing == 0


def test_a_generator_has_a_turn_for_each_step_and_none_between(line) -> None:
    @queued
    def handler():
        for i in range(3):
            assert line.state().computing == 1
            yield i

    seen = []
    for item in handler():
        assert line.state().computing == 0, "whoever reads slowly does not hold the device"
        seen.append(item)
    assert seen == [0, 1, 2]


def test_a_closed_generator_leaves_the_line(line) -> None:
    closed = threading.Event()

    @queued
    def handler():
        try:
            yield 1
            yield 2
        finally:
            closed.set()

    steps = handler()
    next(steps)
    steps.close()
    assert closed.is_set() and line.state() == turns.State(1, 0, 0, 0.0)


def test_a_stopped_job_that_waits_says_so_at_once(line) -> None:
    """Also while others compute for as long as they like; it computes nothing itself."""
    stop, waiting, seen = threading.Event(), threading.Event(), []

    def stopped(visitor):
        waiting.set()
        return stop.is_set

    def handler():
        yield "stopped" if stop.is_set() else "computed"

    def run():
        seen.extend(queued(handler, stopped=stopped)())

    with line.join("other", "kind") as other, other.turn():
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        assert waiting.wait(10) and not seen
        assert line.state().waiting == 1
        stop.set()
        thread.join(10)
        assert seen == ["stopped"]
        left = line.state()
        assert (left.computing, left.waiting) == (1, 0), "only the other one is left"


def test_who_leaves_while_waiting_has_nothing_computed_and_no_new_session(line, tmp_path) -> None:
    sessions, entered, ran, errors = Sessions(tmp_path), threading.Event(), [], []

    def stopped(visitor):
        told = has_stopped(sessions, "job")("a")
        entered.set()
        return told

    def handler():
        ran.append(sessions.get("a"))
        yield 1

    def run():
        try:
            list(queued(handler, stopped=stopped)())
        except Exception as error:
            errors.append(error)

    sessions.get("a").job("job").ask()
    with line.join("other", "kind") as other, other.turn():
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        assert entered.wait(10)
        until_waiting = [time.sleep(0.05) for _ in range(100) if not line.state().waiting]
        assert len(until_waiting) < 100
        sessions.delete("a")  # before the line hears of it, as the page's order may be
        time.sleep(1.2)
        for request in line._order.requests:  # the handler runs outside of a Gradio request, so it has no visitor
            request.left = request.visitor is None
        thread.join(10)
    assert errors and not ran and not list(tmp_path.iterdir())


def test_a_job_that_is_not_stopped_waits_for_its_turn(line) -> None:
    seen = []

    def handler():
        yield line.state().computing

    job = queued(handler, stopped=lambda visitor: lambda: False)
    with line.join("other", "kind") as other, other.turn():
        thread = threading.Thread(target=lambda: seen.extend(job()), daemon=True)
        thread.start()
        thread.join(1.5)
        assert thread.is_alive() and not seen
    thread.join(10)
    assert seen == [1]


def test_a_pause_within_a_handler_is_one_of_its_request(line) -> None:
    """What the handler calls finds the request by itself, in each step of a generator anew."""
    passed = []

    @queued
    def short():
        passed.append("short")

    @queued
    def long():
        for _ in range(2):
            turns._current.get().used = turn_order.LONG + 1
            thread = threading.Thread(target=short)
            thread.start()
            while not line.state().waiting:
                pass
            turns.pause()
            thread.join(5)
            yield len(passed)

    assert list(long()) == [1, 2]


def test_busy_is_a_sentence(line) -> None:
    line.limits = Limits(requests=0)

    @queued
    def handler(request):
        raise AssertionError("it was not let in")

    with pytest.raises(gr.Error, match="busy, about 5 s") as error:
        handler(gr.Request(session_hash="visitor"))
    assert isinstance(error.value.__cause__, Busy)


@pytest.mark.parametrize("let_in", [True, False])
def test_after_an_error_the_buttons_are_as_before(line, let_in) -> None:
    line.limits = Limits(requests=int(let_in))

    def handler(request):
        yield {"message": "working"}
        raise BadValue("That is wrong.")

    steps = queued(handler, idle=lambda: {"start": True})(gr.Request(session_hash="visitor"))
    seen = []
    with pytest.raises(gr.Error, match="That is wrong" if let_in else "busy"):
        for step in steps:
            seen.append(step)
    assert seen == ([{"message": "working"}] if let_in else []) + [{"start": True}]


def test_errors_of_the_handler_reach_the_person(line) -> None:
    @queued
    def handler():
        raise ValueError("secret")

    with pytest.raises(gr.Error, match="went wrong on our side"):
        handler()
    assert line.state().computing == 0


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    from demo import settings
    from demo.session import Sessions
    from gan_core.models import declare_models
    from gan_core.registry import ModelRegistry

    found = settings.read(["--weights", str(tmp_path_factory.mktemp("weights"))])
    registry = ModelRegistry()
    declare_models(registry, found.weights)
    before, gpu._executor = gpu._executor, LocalExecutor(registry)
    yield build_page(Studio(found, Sessions(tmp_path_factory.mktemp("visitors"))))
    gpu._executor = before


def test_every_event_that_computes_waits_for_its_turn(page) -> None:
    """Gradio starts them all at once (no limit), so one without a turn would compute beside the others."""
    unlimited = [event for event in page.fns.values() if event.concurrency_limit is None]
    assert len(unlimited) > 40
    for event in unlimited:
        assert getattr(event.fn, "queued", False), event.name


def test_every_endpoint_waits_for_its_turn(page) -> None:
    public = {event.api_name: event for event in page.fns.values() if event.api_visibility == "public"}
    assert {"hfgi_edit", "self_conditioned_edit", "comodgan_inpaint", "insetgan_compose"} <= set(public)
    for name, event in public.items():
        assert name == "models" or getattr(event.fn, "queued", False), name


def test_an_older_request_does_not_replace_the_picture_of_a_newer_one(line, tmp_path) -> None:
    picture, message = object(), object()
    place = ResultPlace(Sessions(tmp_path), "result", [picture])

    def slowly(name):
        yield {picture: None, message: f"{name} begins"}
        yield {picture: name, message: f"{name} ends"}

    drawing = queued(slowly, place=place)
    at_once = queued(lambda name: {picture: name, message: name}, place=place)
    shown = {}

    def show(updates):
        shown.update({part: value for part, value in updates.items() if value != gr.skip()})

    older = drawing("older")
    show(next(older))
    show(at_once("newer"))
    show(next(older))
    assert shown == {picture: "newer", message: "older ends"}
    newest = drawing("newest")
    show(next(newest))
    show(next(newest))
    assert shown == {picture: "newest", message: "newest ends"}
