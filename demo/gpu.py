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
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar

from demo import turns
from gan_core.registry import ModelRegistry
from gan_core.threads import use_available_cores

logger = logging.getLogger(__name__)

Progress = Callable[[float, str], None]
P = ParamSpec("P")
T = TypeVar("T")


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

    def run(self, model: str, work: Callable[[Any], T]) -> T:
        """work(model), on its device; once more with other models put away when memory runs out."""
        return self.registry.run(model, work, self.progress)

    def iterate(self, model: str, begin: Callable[[Any], Iterator[T]]) -> Generator[T, None, None]:
        """The items of begin(model), computed one at a time; the model stays on its device from the first to the last,
        but others may use it between two of them. Closing the iterator closes that of `begin`."""
        return self.registry.iterate(model, begin, self.progress)


class Task(Generic[P, T]):
    """A function that runs on a GPU; made by `task`. It is pickled by its qualified name."""

    def __init__(self, work: Callable[Concatenate[Worker, P], Steps[T]], seconds: Callable[..., float]) -> None:
        functools.update_wrapper(self, work)
        self.work, self.seconds = work, seconds
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
    def seconds(self) -> float:
        """GPU time to ask for, an estimate."""
        return self.task.seconds(*self.args, **self.kwargs)

    def steps(self, worker: Worker) -> Steps[T]:
        """Run it here."""
        return self.task.work(worker, *self.args, **self.kwargs)


class _Decorator(Protocol):
    def __call__(self, work: Callable[Concatenate[Worker, P], Steps[T]], /) -> Task[P, T]: ...


def task(seconds: Callable[..., float] | float = 10.0) -> _Decorator:
    """Make a task of a module-level generator function.

    seconds: GPU time to ask for, a number or a function of the task's arguments (without the worker).
    """

    def decorate(work: Callable[Concatenate[Worker, P], Steps[T]], /) -> Task[P, T]:
        return Task(work, seconds if callable(seconds) else lambda *_args, **_kwargs: seconds)

    return decorate


class Executor(Protocol):
    """Runs calls, somewhere."""

    def stream(self, call: Call[T], progress: Progress | None) -> Steps[T]:
        """The call's steps and its result. Closing the iterator stops the task."""


class LocalExecutor:
    """Runs calls in this process, over its registry."""

    def __init__(self, registry: ModelRegistry) -> None:
        self.registry = registry

    def stream(self, call: Call[T], progress: Progress | None) -> Steps[T]:
        """See `Executor`."""
        yield from call.steps(Worker(self.registry, progress))


class ZeroGPUExecutor:
    """Runs calls in the workers of a ZeroGPU Space, each forked from this process, with a GPU for one call.

    To be made before torch is imported, once; the registry is set before the first call.
    """

    def __init__(self) -> None:
        import spaces

        self.registry: ModelRegistry | None = None
        self._dispatch = spaces.GPU(duration=lambda call: max(1, round(call.seconds)))(self._run)

    def _run(self, call: Call[T]) -> Steps[T]:
        assert self.registry is not None
        yield from call.steps(Worker(self.registry))

    def stream(self, call: Call[T], progress: Progress | None) -> Steps[T]:
        """See `Executor`. `progress` is a function and cannot be sent; there the models are loaded beforehand."""
        with contextlib.closing(self._dispatch(call)) as steps:
            yield from steps


_executor: Executor | None = None


def use(executor: Executor) -> None:
    """Have every call run by this executor from now on."""
    global _executor
    _executor = executor


def stream(call: Call[T], progress: Progress | None = None) -> Steps[T]:
    """Run a call, yielding its steps and at last its result. Closing the iterator stops the task.

    progress: hears of what happens within a step (a model being loaded).
    """
    if _executor is None:
        raise RuntimeError("no executor: call demo.gpu.use first")
    started = time.monotonic()
    try:
        with contextlib.closing(_executor.stream(call, progress)) as steps:
            for step in steps:
                yield step
                if isinstance(step, Step):
                    turns.pause(_telling(progress, step))
    finally:
        logger.info("%s took %.2f s", call.task.name, time.monotonic() - started)


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
