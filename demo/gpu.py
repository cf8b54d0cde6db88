"""The one way to GPU work: one queue over all tabs, one dispatcher, one estimate of how long it takes.

A task is a generator function that yields `Step`s while it works and a `Done` at its end; so it can be
stopped between steps. On a ZeroGPU Space the dispatcher runs in a forked worker that is lent a GPU: arguments
and yields are pickled, so tasks take and give pictures and CPU tensors.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from gan_core.threads import use_available_cores

logger = logging.getLogger(__name__)

# Options of every Gradio event that ends up here: the same id and limit make one queue of them all.
QUEUE: dict[str, Any] = {"concurrency_id": "gpu", "concurrency_limit": 1}

Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class Step:
    """How far a task is: fraction in [0, 1] and what it is doing."""

    fraction: float
    text: str


@dataclass(frozen=True)
class Done:
    """A task's result."""

    value: Any


@dataclass(frozen=True)
class _Task:
    work: Callable[..., Iterator[Step | Done]]
    seconds: Callable[..., float]


_TASKS: dict[str, _Task] = {}
_lent = False


def task(name: str, work: Callable[..., Iterator[Step | Done]], seconds: Callable[..., float] | float = 10.0) -> None:
    """Make a task known. seconds: GPU time to ask for, a number or a function of the task's arguments."""
    estimate = seconds if callable(seconds) else lambda **_arguments: seconds
    _TASKS[name] = _Task(work, estimate)


def stream(name: str, progress: Progress | None = None, **arguments: Any) -> Iterator[Step | Done]:
    """Run a task, yielding its steps and at last its result. Closing the iterator stops the task.

    progress: hears of what happens within a step (a model being loaded).
    """
    started = time.monotonic()
    # A function cannot be sent to a ZeroGPU worker; there the models are loaded before the first request.
    arguments["progress"] = None if _lent else progress
    with contextlib.closing(_dispatch(name, arguments)) as steps:
        yield from steps
    logger.info("%s took %.2f s", name, time.monotonic() - started)


def call(name: str, progress: Progress | None = None, **arguments: Any) -> Any:
    """Run a task to its end and return its result; `progress` hears of the steps too."""
    result = None
    for step in stream(name, progress, **arguments):
        if isinstance(step, Done):
            result = step.value
        elif progress:
            progress(step.fraction, step.text)
    return result


def devices(wanted: str) -> tuple[str, ...]:
    """The settings' device text as device names, best first. Imports torch."""
    import torch

    use_available_cores()
    if wanted == "auto":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        return tuple(f"cuda:{index}" for index in range(count)) or ("cpu",)
    names = tuple(name.strip() for name in wanted.split(",") if name.strip())
    return tuple("cuda:0" if name == "cuda" else str(torch.device(name)) for name in names)


def describe(names: tuple[str, ...]) -> str:
    """For a person: which hardware the models run on."""
    import torch

    gpus = [torch.cuda.get_device_name(name) for name in names if name.startswith("cuda")]
    if not gpus:
        return f"CPU, {torch.get_num_threads()} threads"
    return gpus[0] if len(gpus) == 1 else f"{len(gpus)} x {gpus[0]}"


def _seconds(name: str, arguments: dict[str, Any]) -> int:
    return max(1, round(_TASKS[name].seconds(**arguments)))


def _dispatch(name: str, arguments: dict[str, Any]) -> Iterator[Step | Done]:
    yield from _TASKS[name].work(**arguments)


def lend() -> None:
    """On a ZeroGPU Space: have GPUs lent to the dispatcher. Before torch is imported, once."""
    global _dispatch, _lent
    import spaces

    _lent = True
    _dispatch = spaces.GPU(duration=_seconds)(_dispatch)
