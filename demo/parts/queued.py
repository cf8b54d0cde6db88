"""Handlers that compute: they join the line of `demo.turns`, and a visitor reads how long they will wait."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Generator, Iterator
from typing import Any, TypeAlias

import gradio as gr
from gradio.context import LocalContext

from demo import turns
from demo.parts.errors import guarded
from demo.parts.newest import ResultPlace

QUEUE: dict[str, Any] = {"concurrency_limit": None}
"""Options of their events. Gradio starts them at once, in a thread each; the order is `demo.turns`'s."""


Idle: TypeAlias = Callable[[], dict[Any, Any]]
Stopped: TypeAlias = Callable[[str | None], Callable[[], bool]]
"""Of a visitor: what tells whether they have stopped the job."""


def queued(
    handler: Callable[..., Any],
    *,
    idle: Idle | None = None,
    stopped: Stopped | None = None,
    place: ResultPlace | None = None,
) -> Callable[..., Any]:
    """A `guarded` handler that computes only while it has a turn; a generator, from each of its yields to the next.

    What its visitor is told while it waits is Gradio's progress text. Beyond the line's limits it raises Busy, at once.
    idle: updates of a generator's outputs after any error, also when it was not let in: no event follows an error, and
    the buttons of a long job would stay as they are while it runs.
    stopped: tells whether the visitor has stopped this job. A generator that is waiting goes on at once then, to say
    so.
    place: where the handler, which returns updates by component, draws a result that others draw, too.
    """
    kind = getattr(handler, "__qualname__", type(handler).__name__).rsplit("<locals>.", 1)[-1]
    if inspect.isgeneratorfunction(handler):
        steps: Callable[..., Any] = _steps_in_turn(handler, kind, idle, stopped, place)
    else:
        steps = _in_turn(handler, kind, place)
    wrapped = guarded(steps)
    wrapped.queued = True  # type: ignore[attr-defined]  # a test looks whether every event with QUEUE is one of these
    return wrapped


def _in_turn(handler: Callable[..., Any], kind: str, place: ResultPlace | None) -> Callable[..., Any]:
    @functools.wraps(handler)
    def function(*arguments: Any, **named: Any) -> Any:
        who = _who(arguments, kind)
        with turns.line.join(*who) as request:
            passed = place.begin(who[0]) if place else None
            with request.turn(_tell), turns.current(request):
                updates = handler(*arguments, **named)
            return passed(updates) if passed else updates

    return function


def _steps_in_turn(
    handler: Callable[..., Any], kind: str, idle: Idle | None, stopped: Stopped | None, place: ResultPlace | None
) -> Callable[..., Any]:
    @functools.wraps(handler)
    def generator(*arguments: Any, **named: Any) -> Iterator[Any]:
        who = _who(arguments, kind)
        try:
            with turns.line.join(*who, stopped(who[0]) if stopped else None) as request:
                passed = place.begin(who[0]) if place else None
                for updates in _in_turns(handler(*arguments, **named), request):
                    yield passed(updates) if passed else updates
        except Exception:
            if idle is not None:
                yield idle()
            raise

    return generator


def _in_turns(steps: Generator[Any, None, None], request: turns.Request) -> Iterator[Any]:
    try:
        while True:
            with request.turn(_tell), turns.current(request):
                try:
                    value = next(steps)
                except StopIteration:
                    return
            yield value
    finally:
        steps.close()


def _who(arguments: tuple[Any, ...], kind: str) -> tuple[str | None, str, str | None]:
    """Visitor, kind and address for `Line.join`: of the request that is being answered; none outside of one (tests)."""
    given = (argument for argument in arguments if isinstance(argument, gr.Request))
    request = next(given, None) or LocalContext.request.get(None)
    if request is None:
        return None, kind, None
    return request.session_hash, kind, request.client.host if request.request and request.client else None


def _tell(text: str) -> None:
    gr.Progress()(0.0, desc=text)
