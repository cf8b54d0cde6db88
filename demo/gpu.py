"""The one way to GPU work: typed tasks, and an executor that runs them.

A task is a module-level generator function under `task`. Its first argument is the `Worker` where it runs; it yields
`Step`s while it works and a `Done` at its end, so it can be stopped between steps:

    @gpu.task(seconds=5)
    def double(worker: Worker, model: str, number: int) -> Steps[int]: ...

    gpu.run(double("some model", 4))                       # 8
    for step in gpu.stream(double("some model", 4)): ...

Calling a task only makes a `Call`: the task and its arguments, which can be pickled. The executor runs it, here or, on
a ZeroGPU Space, in a forked worker that has a GPU for one call; so tasks take and give pictures and CPU tensors, and
find their models in the worker's own registry. Whose turn it is to compute is decided by `demo.turns`, which is asked
between a task's steps.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar

from demo import turns
from demo.collector import Collector
from demo.lasting_threads import LastingThreads
from gan_core.model_spec import ModelInfo
from gan_core.registry import ModelRegistry

logger = logging.getLogger(__name__)

Progress = Callable[[float, str], None]
P = ParamSpec("P")
T = TypeVar("T")
V = TypeVar("V")


@dataclass(frozen=True)
class Step:
    """How far a task is: fraction in [0, 1] and what it is doing."""

    fraction: float
    text: str


@dataclass(frozen=True)
class Done(Generic[T]):
    """A task's result."""

    value: T


Steps = Generator[Step | Done[T], None, None]
"""What a task gives: reports while it works, and its result."""


@dataclass(frozen=True)
class Worker:
    """Where a task runs: the models there, and who hears of what happens within a step (a model being loaded)."""

    registry: ModelRegistry
    progress: Progress | None = None
    collector: Collector | None = None
    """Of the device, where work of several visitors is computed together."""
    threads: LastingThreads | None = None
    """Of the device, where models work in other threads than the one that asks."""

    def run(self, model: str, work: Callable[[Any], T]) -> T:
        """work(model), on its device; once more with other models put away when memory runs out."""
        return self.registry.run(model, self.threads.bound(work) if self.threads else work, self.progress)

    def run_together(
        self, model: str, work: Callable[[Any, Sequence[V]], Sequence[T]], value: V, *, pictures: int = 1
    ) -> T:
        """The one result of work(model, [value]), on its device, which draws so many pictures; where the worker has a
        collector, computed in one batch with what other visitors want of the same `work`, a module-level function
        whose results must not depend on what they stand beside. For tasks that are made with together=True."""
        if self.collector is None:
            return self.run(model, lambda loaded: work(loaded, [value]))[0]
        return self.collector.run(model, work, value, pictures, self.progress)

    def iterate(self, model: str, begin: Callable[[Any], Iterator[T]]) -> Generator[T, None, None]:
        """The items of begin(model), computed one at a time; the model stays on its device from the first to the last,
        but others may use it between two of them. Closing the iterator closes that of `begin`."""
        return self.registry.iterate(model, self.threads.iterated(begin) if self.threads else begin, self.progress)


class Task(Generic[P, T]):
    """A function that runs on a GPU; made by `task`. It is pickled by its qualified name."""

    def __init__(
        self,
        work: Callable[Concatenate[Worker, P], Steps[T]],
        seconds: Callable[..., float],
        reads: tuple[str, ...] = (),
        writes: tuple[str, ...] = (),
        together: bool = False,
        often: bool = False,
    ) -> None:
        functools.update_wrapper(self, work)
        self.work, self.seconds, self.reads, self.writes, self.together = work, seconds, reads, writes, together
        self.log_level = logging.DEBUG if often else logging.INFO
        self.name = f"{work.__module__}.{work.__qualname__}"

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Call[T]:
        """The task with these arguments, to be run by `run` or `stream`."""
        return Call(self, args, kwargs)

    def __reduce__(self) -> str:
        return self.work.__qualname__


@dataclass(frozen=True)
class Call(Generic[T]):
    """A task and what it is called with. Can be pickled where its arguments can."""

    task: Task[Any, T]
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)

    @property
    def model(self) -> str:
        """Registry name of the model it needs: what every task of an app takes first."""
        return str(self.args[0]) if self.args else ""

    @property
    def seconds(self) -> float:
        """GPU time to ask for, an estimate."""
        return self.task.seconds(*self.args, **self.kwargs)

    def steps(self, worker: Worker) -> Steps[T]:
        """Run it here."""
        return self.task.work(worker, *self.args, **self.kwargs)


class _Decorator(Protocol):
    def __call__(self, work: Callable[Concatenate[Worker, P], Steps[T]], /) -> Task[P, T]: ...


def task(
    seconds: Callable[..., float] | float = 10.0,
    *,
    reads: tuple[str, ...] = (),
    writes: tuple[str, ...] = (),
    together: bool = False,
    often: bool = False,
) -> _Decorator:
    """Make a task of a module-level generator function.

    seconds: GPU time to ask for, a number or a function of the task's arguments (without the worker). reads, writes:
    parameters that are paths of files, for an executor on another machine (`demo.call_files`). together: its costly
    part is done by `Worker.run_together`, so that short requests for it may have a turn at the same time. often: called
    many times a second, so a call is no news for the log.
    """

    def decorate(work: Callable[Concatenate[Worker, P], Steps[T]], /) -> Task[P, T]:
        asked = seconds if callable(seconds) else lambda *_args, **_kwargs: seconds
        return Task(work, asked, reads, writes, together=together, often=often)

    return decorate


class Executor(Protocol):
    """Runs calls, somewhere: see `demo.executors`."""

    def stream(self, call: Call[T], progress: Progress | None) -> Steps[T]:
        """The call's steps and its result. Closing the iterator stops the task."""

    def models(self) -> list[ModelInfo]:
        """The state of every declared model. Never waits."""

    def devices(self) -> tuple[str, ...]:
        """Where models run. Imports torch."""

    def refresh(self, weights: str) -> bool:
        """Weights (a name in the catalogue) have come, changed or gone on this machine. Returns whether the models
        made of them are known, or forgotten, from now on; else only once the app is started again. Raises Busy."""

    def on_each_device(self, work: Callable[[], None]) -> None:
        """Do `work` once for each device of this machine: the calls that it runs in this thread are computed there."""


_executor: Executor | None = None


def use(executor: Executor) -> None:
    """Have every call run by this executor from now on."""
    global _executor
    _executor = executor


def executor() -> Executor:
    """The one in use. Raises RuntimeError where there is none."""
    if _executor is None:
        raise RuntimeError("no executor: call demo.gpu.use first")
    return _executor


def stream(call: Call[T], progress: Progress | None = None) -> Steps[T]:
    """Run a call, yielding its steps and at last its result. Closing the iterator stops the task.

    progress: hears of what happens within a step (a model being loaded).
    """
    chosen, started = executor(), time.monotonic()
    if call.task.together:
        turns.share()
    try:
        with contextlib.closing(chosen.stream(call, progress)) as steps:
            for step in steps:
                yield step
                if isinstance(step, Step):
                    turns.pause(_telling(progress, step))
    finally:
        logger.log(call.task.log_level, "%s took %.2f s", call.task.name, time.monotonic() - started)


def _telling(progress: Progress | None, step: Step) -> turns.Tell | None:
    """Tells of waiting where the step's own text was told."""
    return (lambda text: progress(step.fraction, text)) if progress else None


def run(call: Call[T], progress: Progress | None = None) -> T:
    """Run a call to its end and return its result; `progress` hears of the steps too."""
    return result(stream(call, progress), progress)


def result(steps: Steps[T], progress: Progress | None = None) -> T:
    """The result of steps, taken to their end; `progress` hears of them."""
    reports = passed_on(steps)
    while True:
        try:
            step = next(reports)
        except StopIteration as end:
            return end.value
        if progress:
            progress(step.fraction, step.text)


def passed_on(steps: Steps[T]) -> Generator[Step, None, T]:
    """The reports of some steps, for work that has them as a part: `value = yield from passed_on(steps)`."""
    with contextlib.closing(steps):
        for step in steps:
            if isinstance(step, Done):
                return step.value
            yield step
    raise RuntimeError("GPU work ended without a result")
