"""Where calls run: in this process, on each of its devices, or in the workers of a ZeroGPU Space."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from demo.gpu import Call, Progress, Steps, Worker
from gan_core.model_spec import ModelInfo
from gan_core.registry import ModelRegistry
from gan_core.threads import use_available_cores

T = TypeVar("T")


class LocalExecutor:
    """Runs calls in this process, over one registry a device, so that several devices compute at the same time.

    registry: of the first device. others: makes those of the other devices, when the first call comes (asking for
    GPUs imports torch). A call goes where fewest are being computed, and of those places to one where its model is.
    """

    def __init__(self, registry: ModelRegistry, others: Callable[[], Sequence[ModelRegistry]] = tuple) -> None:
        self._first, self._others = registry, others
        self._found: list[ModelRegistry] | None = None
        self._computing: list[int] = []
        self._lock = threading.Lock()

    def stream(self, call: Call[T], progress: Progress | None) -> Steps[T]:
        """See `demo.gpu.Executor`."""
        registries = self.registries()
        with self._lock:
            place = self._best(registries, call.model)
            self._computing[place] += 1
        busy = True
        try:
            with contextlib.closing(call.steps(Worker(registries[place], progress))) as steps:
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
            return self._found

    def models(self) -> list[ModelInfo]:
        """See `demo.gpu.Executor`. A model on several devices is one row."""
        return [joined(infos) for infos in zip(*(r.models() for r in self._found or [self._first]), strict=True)]

    def devices(self) -> tuple[str, ...]:
        """See `demo.gpu.Executor`."""
        return tuple(device for registry in self.registries() for device in registry.devices)

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
        """See `demo.gpu.Executor`. `progress` is a function and cannot be sent; there the models are loaded already."""
        with contextlib.closing(self._dispatch(call)) as steps:
            yield from steps

    def models(self) -> list[ModelInfo]:
        """See `demo.gpu.Executor`."""
        return self.registry.models() if self.registry else []

    def devices(self) -> tuple[str, ...]:
        """See `demo.gpu.Executor`."""
        return self.registry.devices if self.registry else ()


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
