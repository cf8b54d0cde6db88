"""The two buttons of a long job: one requests a run, the other stops it while it runs or waits in the queue.

The request is handled at once, outside the queue, so that a run can be stopped while it still waits. The run itself
goes through the queue and checks `Session.job(name).stopped` first. Other jobs are not affected.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from demo.parts.events import QUIET
from demo.session import Sessions


def start_and_stop(*, busy: bool) -> list[gr.Button]:
    """Updates for the two buttons, while the job runs or waits (`busy`) and once it is over."""
    return [gr.Button(interactive=not busy), gr.Button(interactive=busy)]


def long_job(sessions: Sessions, name: str, start: gr.Button, stop: gr.Button) -> Any:
    """Connect the buttons of the job `name`. Returns the event to which the run is to be attached with `.then`."""

    def on_ask(request: gr.Request) -> list[gr.Button]:
        sessions.get(request.session_hash).job(name).ask()
        return start_and_stop(busy=True)

    can_be_stopped(sessions, name, stop)
    return start.click(on_ask, None, [start, stop], trigger_mode="once", **QUIET)


def idle(start: gr.Button, stop: gr.Button) -> Callable[[], dict[Any, Any]]:
    """For `queued`: the buttons as they are when nothing runs."""
    return lambda: dict(zip((start, stop), start_and_stop(busy=False), strict=True))


def has_stopped(sessions: Sessions, name: str) -> Callable[[str | None], Callable[[], bool]]:
    """For `queued`: tells of a visitor whether they have stopped the job `name`."""

    def told_by(visitor: str | None) -> Callable[[], bool]:
        job = sessions.get(visitor).job(name)  # once: later it would make a session for somebody who has left
        return lambda: job.stopped_by_visitor

    return told_by


def can_be_stopped(sessions: Sessions, name: str, stop: gr.Button) -> None:
    """Connect the button that stops the job `name`. The message that it has stopped is written by the run itself;
    a second writer of the same line would race with it."""

    def on_stop(request: gr.Request) -> gr.Button:
        sessions.get(request.session_hash).job(name).stop()
        return gr.Button(interactive=False)

    stop.click(on_stop, None, stop, **QUIET)
