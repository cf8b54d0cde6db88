"""Handlers that compute: they join the line of `demo.turns`, and a visitor reads how long they will wait."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr
from gradio.context import LocalContext

from demo import turns
from demo.parts.errors import guarded

QUEUE: dict[str, Any] = {"concurrency_limit": None}
"""Options of their events. Gradio starts them at once, in a thread each; the order is `demo.turns`'s."""


def queued(handler: Callable[..., Any]) -> Callable[..., Any]:
    """A `guarded` handler that computes only while it has a turn; a generator, from each of its yields to the next.

    What its visitor is told while it waits is Gradio's progress text. Beyond the line's limits it raises Busy, at once.
    """
    kind = getattr(handler, "__qualname__", type(handler).__name__)
    steps = _steps_in_turn(handler, kind) if inspect.isgeneratorfunction(handler) else _in_turn(handler, kind)
    wrapped = guarded(steps)
    wrapped.queued = True  # type: ignore[attr-defined]  # a test looks whether every event with QUEUE is one of these
    return wrapped


def _in_turn(handler: Callable[..., Any], kind: str) -> Callable[..., Any]:
    @functools.wraps(handler)
    def function(*arguments: Any, **named: Any) -> Any:
        with turns.line.join(*_who(arguments, kind)) as request, request.turn(_tell), turns.current(request):
            return handler(*arguments, **named)

    return function


def _steps_in_turn(handler: Callable[..., Any], kind: str) -> Callable[..., Any]:
    @functools.wraps(handler)
    def generator(*arguments: Any, **named: Any) -> Iterator[Any]:
        with turns.line.join(*_who(arguments, kind)) as request:
            steps = handler(*arguments, **named)
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

    return generator


def _who(arguments: tuple[Any, ...], kind: str) -> tuple[str | None, str, str | None]:
    """Visitor, kind and address for `Line.join`: of the request that is being answered; none outside of one (tests)."""
    given = (argument for argument in arguments if isinstance(argument, gr.Request))
    request = next(given, None) or LocalContext.request.get(None)
    if request is None:
        return None, kind, None
    return request.session_hash, kind, _address(request)


def _address(request: gr.Request) -> str | None:
    """Where it came from; through a proxy or a public link on this machine, where that says it came from."""
    host = request.client.host if request.request and request.client else None
    if host in ("127.0.0.1", "::1"):
        return (request.headers.get("x-forwarded-for") or "").split(",")[-1].strip() or host
    return host


def _tell(text: str) -> None:
    gr.Progress()(0.0, desc=text)
