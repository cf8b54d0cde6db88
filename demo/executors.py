"""Where calls run: in this process, on each of its devices, or in the workers of a ZeroGPU Space."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeVar

from demo.collector import Collector, batch_size
from demo.gpu import Call, Done, Progress, Step, Steps, Worker
from demo.lasting_threads import LastingThreads
from gan_core.errors import StudioError
from gan_core.model_spec import ModelInfo
from gan_core.registry import ModelRegistry
from gan_core.threads import use_available_cores

T = TypeVar("T")
_place: ContextVar[int | None] = ContextVar("place", default=None)
"""The device, by its number, to which this thread's calls are bound."""


class LocalExecutor:
    """Runs calls in this process, over one registry a device, so that several devices compute at the same time.

    registry: of the first device. others: makes those of the other devices, when the first call comes (asking for
    GPUs imports torch). A call goes where fewest are being computed, and of those places to one where its model is.
    declare: declares this machine's models in an empty registry, for `refresh`. together: see
    `demo.collector.batch_size`.
    """

    def __init__(
        self,
        registry: ModelRegistry,
        others: Callable[[], Sequence[ModelRegistry]] = tuple,
        declare: Callable[[ModelRegistry], None] | None = None,
        together: int | None = None,
    ) -> None:
        self._first, self._others, self._declare, self._together = registry, others, declare, together
        self._found: list[ModelRegistry] | None = None
        self.collectors: list[Collector | None] = []
        """One a device; None where nothing is computed together."""
        self._threads: list[LastingThreads] = []  # one for each device
        self._computing: list[int] = []
        self._lock = threading.Lock()

    def stream(self, call: Call[T], progress: Progress | None) -> Steps[T]:
        """See `demo.gpu.Executor`."""
        registries = self.registries()
        with self._lock:
            place = _place.get()
            if place is None:
                place = self._best(registries, call.model)
            self._computing[place] += 1
        busy = True
        try:
            worker = Worker(registries[place], progress, self.collectors[place], self._threads[place])
            with contextlib.closing(call.steps(worker)) as steps:
                for step in steps:
                    busy = self._count(place, -1)
                    yield step
                    busy = self._count(place, +1)
        finally:
            if busy:
                self._count(place, -1)

    def registries(self) -> list[ModelRegistry]:
        """One a device, best device first."""
        with self._lock:
            if self._found is None:
                self._found = [self._first, *self._others()]
                self._computing = [0] * len(self._found)
                for registry in self._found:
                    most = batch_size(registry.devices, self._together)
                    threads = LastingThreads("compute")
                    self._threads.append(threads)
                    self.collectors.append(Collector(registry, most, threads) if most > 1 else None)
            return self._found

    def models(self) -> list[ModelInfo]:
        """See `demo.gpu.Executor`. A model on several devices is one row."""
        return [joined(infos) for infos in zip(*(r.models() for r in self._found or [self._first]), strict=True)]

    def devices(self) -> tuple[str, ...]:
        """See `demo.gpu.Executor`."""
        return tuple(device for registry in self.registries() for device in registry.devices)

    def refresh(self, weights: str) -> bool:
        """See `demo.gpu.Executor`."""
        if self._declare is None:
            return False
        for registry in self._found or [self._first]:
            registry.redeclare(weights, self._declare)
        return True

    def on_each_device(self, work: Callable[[], None]) -> None:
        """See `demo.gpu.Executor`."""
        for place in range(len(self.registries())):
            token = _place.set(place)
            try:
                work()
            finally:
                _place.reset(token)

    def _best(self, registries: Sequence[ModelRegistry], model: str) -> int:
        def cost(place: int) -> tuple[int, bool, int]:
            loaded = any(info.name == model and info.loaded for info in registries[place].models())
            return self._computing[place], not loaded, place

        return min(range(len(registries)), key=cost) if len(registries) > 1 else 0

    def _count(self, place: int, change: int) -> bool:
        """Whether one is being computed here now."""
        with self._lock:
            self._computing[place] += change
        return change > 0


class Durations:
    """How long calls take on a GPU: what their tasks say, corrected by what was measured of that task here.

    ZeroGPU ends a call that takes longer than was asked for, and prefers visitors who ask for little.
    """

    _MARGIN = 1.5
    _KEPT = 20  # measurements of one task
    _FEWEST = 3  # before they count

    def __init__(self) -> None:
        self._ratios: defaultdict[str, deque[float]] = defaultdict(lambda: deque(maxlen=self._KEPT))

    def seconds(self, call: Call[Any]) -> int:
        """To ask for, at least 1."""
        ratios = self._ratios[call.task.name]
        factor = self._MARGIN * max(ratios) if len(ratios) >= self._FEWEST else 1.0
        return max(1, math.ceil(call.seconds * factor))

    def learn(self, call: Call[Any], seconds: float) -> None:
        """A call took this long."""
        self._ratios[call.task.name].append(seconds / call.seconds)


@dataclass(frozen=True)
class _Ended:
    """What a ZeroGPU worker says before its result, or instead of one."""

    seconds: float
    error: StudioError | None = None


class ZeroGPUExecutor:
    """Runs calls in the workers of a ZeroGPU Space, each forked from this process, with a GPU for one call.

    To be made before torch is imported, once; the registry is set before the first call.
    """

    def __init__(self) -> None:
        import spaces

        self.registry: ModelRegistry | None = None
        self.durations = Durations()
        self._dispatch = spaces.GPU(duration=self.durations.seconds)(self._run)

    def _run(self, call: Call[T]) -> Iterator[Step | Done[T] | _Ended]:
        """In the worker. A person's mistake is sent as a value: of exceptions only the class's name comes back."""
        assert self.registry is not None
        began = time.monotonic()
        try:
            for step in call.steps(Worker(self.registry)):
                if isinstance(step, Done):  # nobody listens after that
                    yield _Ended(time.monotonic() - began)
                yield step
        except StudioError as error:
            yield _Ended(time.monotonic() - began, error)

    def stream(self, call: Call[T], progress: Progress | None) -> Steps[T]:
        """See `demo.gpu.Executor`. `progress` is a function and cannot be sent; there the models are loaded already."""
        with contextlib.closing(self._dispatch(call)) as messages:
            for message in messages:
                if not isinstance(message, _Ended):
                    yield message
                elif message.error is not None:
                    raise message.error
                else:
                    self.durations.learn(call, message.seconds)

    def models(self) -> list[ModelInfo]:
        """See `demo.gpu.Executor`."""
        return self.registry.models() if self.registry else []

    def devices(self) -> tuple[str, ...]:
        """See `demo.gpu.Executor`."""
        return self.registry.devices if self.registry else ()

    def refresh(self, weights: str) -> bool:
        """See `demo.gpu.Executor`. Workers are forks of this process, in which all models were loaded at the start."""
        return False

    def on_each_device(self, work: Callable[[], None]) -> None:
        """See `demo.gpu.Executor`. Which GPU a worker gets is the Space's to say."""
        work()


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


def joined(infos: Sequence[ModelInfo]) -> ModelInfo:
    """One model as the registries of several devices see it."""
    placed = [info.device for info in infos if info.device]
    return dataclasses.replace(
        infos[0],
        loaded=any(info.loaded for info in infos),
        busy=any(info.busy for info in infos),
        device=", ".join(dict.fromkeys(placed)) or None,
        memory_bytes=sum(info.memory_bytes for info in infos),
    )
