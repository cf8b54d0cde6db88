"""The two buttons of a long job: one asks for a run, the other ends it while it runs or waits for its turn.

The click that asks is answered at once, outside the queue, so that a run can be stopped before its turn comes; the run
follows through the queue and looks at `Session.job(name).stopped` first of all. Other jobs do not hear of it.
"""

from __future__ import annotations

from typing import Any

import gradio as gr

from demo.parts.events import QUIET
from demo.session import Sessions


def start_and_stop(*, busy: bool) -> list[gr.Button]:
    """Updates for the two buttons, while the job runs or waits (`busy`) and once it is over."""
    return [gr.Button(interactive=not busy), gr.Button(interactive=busy)]


def long_job(sessions: Sessions, name: str, start: gr.Button, stop: gr.Button) -> Any:
    """Connect the buttons of the job `name`; gives the event after which its run is to follow (`.then`)."""

    def on_ask(request: gr.Request) -> list[gr.Button]:
        sessions.get(request.session_hash).job(name).ask()
        return start_and_stop(busy=True)

    can_be_stopped(sessions, name, stop)
    return start.click(on_ask, None, [start, stop], trigger_mode="once", **QUIET)


def can_be_stopped(sessions: Sessions, name: str, stop: gr.Button) -> None:
    """Connect the button that ends the job `name`. The run itself says that it has stopped: two writers of one line
    would race."""

    def on_stop(request: gr.Request) -> gr.Button:
        sessions.get(request.session_hash).job(name).stop()
        return gr.Button(interactive=False)

    stop.click(on_stop, None, stop, **QUIET)
