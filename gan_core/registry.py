"""The registry owns every model on every device.

A model is declared by name and built on first use. It is leased to one request at a time. Models are kept within each
device's memory budget: the least recently used one is evicted first, from a GPU to the CPU, from the CPU out of
memory. Networks that several models share are declared as models of their own and named as parts; they are built once
and are leased, moved and evicted like any other model.

Here models are declared, leased and built. Where each lies, and which one leaves when another needs room, is the
business of `gan_core.placement`.

Locks are always taken in one order (models by name, then the placement lock), and nothing ever waits for a
model's lock while holding the placement lock, so requests cannot block each other for ever.
"""

from __future__ import annotations

import functools
import itertools
import logging
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from gan_core import memory
from gan_core.errors import Busy, OutOfMemory, UnknownName
from gan_core.model_spec import Load, ModelInfo, ModelSpec, Progress, RegistryEntry
from gan_core.placement import DevicePlacement

__all__ = ["Load", "ModelInfo", "ModelRegistry", "ModelSpec", "Progress"]

logger = logging.getLogger(__name__)

Result = TypeVar("Result")


class ModelRegistry:
    """See the module's docstring.

    devices: where models run, best first: ("cuda:0", "cuda:1") or ("cpu",); or a function that returns them, called
        when the first model is needed (counting GPUs imports torch).
    budgets: bytes of models, one number for each device or by device name; `memory.default_budget` otherwise.
    resident: never evict (on ZeroGPU workers are forks, and what they move is lost).
    patience: seconds to wait for a busy model, or for memory held by busy models, before `Busy`.
    """

    def __init__(
        self,
        devices: Sequence[str] | Callable[[], Sequence[str]] = ("cpu",),
        *,
        budgets: Mapping[str, int] | int | None = None,
        resident: bool = False,
        patience: float = 120.0,
        free_bytes: Callable[[str], int | None] = memory.free_bytes,
    ) -> None:
        self._patience = patience
        self._entries: dict[str, RegistryEntry] = {}
        self._clock = itertools.count(1)
        self._placement = DevicePlacement(
            devices, budgets=budgets, resident=resident, patience=patience, free_bytes=free_bytes
        )

    @property
    def devices(self) -> tuple[str, ...]:
        """Where models run, best first."""
        return self._placement.devices

    def declare(self, spec: ModelSpec[Any]) -> None:
        """Make a model known; its parts must have been declared before. Nothing is loaded.

        Raises ValueError when the name is taken or a part is unknown.
        """
        if spec.name in self._entries:
            raise ValueError(f"model {spec.name!r} is declared twice")
        unknown = [part for part in spec.parts if part not in self._entries]
        if unknown:
            raise ValueError(f"model {spec.name!r} names undeclared parts: {', '.join(unknown)}")
        entry = RegistryEntry(spec, tuple(self._entries[part] for part in spec.parts))
        self._entries = {**self._entries, spec.name: entry}  # others may be looking through the old one
        self._placement.add(entry)

    def withdraw(self, name: str) -> None:
        """Forget a model that is no part of another: requests for it are refused from now on, and it leaves memory.

        Waits for the request that uses it. Raises UnknownName, ValueError for a part, Busy after the registry's
        patience, when it stays declared.
        """
        entry = self._entry(name)
        if any(entry in other.parts for other in self._entries.values()):
            raise ValueError(f"model {name!r} is a part of another")
        self._lock_all([entry])
        try:
            self._entries = {other: kept for other, kept in self._entries.items() if kept is not entry}
            self._placement.remove(entry)
        finally:
            entry.lock.release()
            self._placement.released()

    def redeclare(self, weights: str, declare: Callable[[ModelRegistry], None]) -> None:
        """After weights (a name in the catalogue) have come, changed or gone: withdraw the models that use them, and
        declare what `declare` declares now and is not known here yet. Raises Busy, see `withdraw`."""
        for name in self.names():
            if weights in self.spec(name).weights:
                self.withdraw(name)
        wanted = ModelRegistry()
        declare(wanted)
        for name in wanted.names():
            if name not in self._entries:
                self.declare(wanted.spec(name))

    def names(self) -> list[str]:
        """Names of all declared models."""
        return list(self._entries)

    def spec(self, name: str) -> ModelSpec[Any]:
        """What was declared under `name`. Raises UnknownName."""
        return self._entry(name).spec

    def models(self) -> list[ModelInfo]:
        """The state of every declared model, in order of declaration. Never waits for a busy model."""
        return [self._info(entry) for entry in self._entries.values()]

    @contextmanager
    def use(self, name: str, progress: Progress | None = None) -> Iterator[Any]:
        """Lease a model for the `with` block, loading it if needed. One lease at a time per model and part.

        Do not ask for a second lease inside the block. Work that should be retried when memory runs out goes through
        `run` instead.
        Raises UnknownName, Busy, OutOfMemory, and whatever the builder raises.
        """
        try:
            with self._lease(name, progress) as model:
                yield model
        except (RuntimeError, MemoryError) as error:
            if not memory.is_out_of_memory(error):
                raise
            self.evict_idle(keep=(name,))
            raise OutOfMemory(self._out_of_memory_text(name)) from error

    def run(self, name: str, work: Callable[[Any], Result], progress: Progress | None = None) -> Result:
        """`work(model)` under a lease. If memory runs out, other models are evicted and it is tried once more.

        Raises what `use` raises, and what `work` raises.
        """
        for last_try in (False, True):
            try:
                with self._lease(name, progress) as model:
                    return work(model)
            except (RuntimeError, MemoryError) as error:
                if not memory.is_out_of_memory(error):
                    raise
                logger.warning("out of memory in %s: %s", name, error)
                if last_try:
                    raise OutOfMemory(self._out_of_memory_text(name)) from error
            # Only here are the exception and the tensors of its frames gone, so that their memory is free.
            self.evict_idle(keep=(name,))
        raise AssertionError("unreachable")

    def iterate(
        self, name: str, begin: Callable[[Any], Iterator[Result]], progress: Progress | None = None
    ) -> Generator[Result, None, None]:
        """The items of begin(model), each computed under a lease of its own.

        Between two items others may use the model, but it is not evicted: its tensors stay where the iterator of
        `begin` knows them, which must keep nothing else in the model. That iterator is closed with this one.
        Raises what `use` raises, and what the iterator raises.
        """
        closure = self._entry(name).closure()
        items: Iterator[Result] | None = None
        with self._placement.pinned(closure):
            try:
                while True:
                    with self.use(name, progress) as model:
                        if items is None:
                            items = begin(model)
                        try:
                            item = next(items)
                        except StopIteration:
                            return
                    yield item
            finally:
                if isinstance(items, Generator):
                    items.close()

    def evict_idle(self, keep: Iterable[str] = ()) -> None:
        """Evict models that are not in use from the devices where they run, except those named in `keep` and their
        parts."""
        self._placement.evict_idle({entry for name in keep for entry in self._entry(name).closure()})

    def load_all(self) -> None:
        """Load every declared model now (on ZeroGPU they must be on the device before the server starts)."""
        for name in self._entries:
            with self.use(name):
                pass

    # Leasing

    @contextmanager
    def _lease(self, name: str, progress: Progress | None) -> Iterator[Any]:
        closure = self._entry(name).closure()
        self._lock_all(closure)
        try:
            self._make_ready(closure, progress or (lambda fraction, text: None))
            yield closure[-1].value
        finally:
            try:
                self._placement.look_at_growth(closure)
            finally:
                for entry in closure:
                    entry.lock.release()
                self._placement.released()

    def _lock_all(self, closure: Sequence[RegistryEntry]) -> None:
        """Take the locks of all of the closure in order of their names, or none. Raises Busy."""
        deadline = time.monotonic() + self._patience
        held: list[RegistryEntry] = []
        for entry in sorted(closure, key=lambda e: e.spec.name):
            if not entry.lock.acquire(timeout=max(0.0, deadline - time.monotonic())):
                for other in held:
                    other.lock.release()
                raise Busy(f"{closure[-1].title} is busy with other requests. Please try again in a moment.")
            held.append(entry)

    def _make_ready(self, closure: Sequence[RegistryEntry], progress: Progress) -> None:
        """Build all of the closure, whose locks are held, and place it on one device; undone on failure."""
        device = self._placement.target(closure)
        now = next(self._clock)
        try:
            for entry in closure:
                if entry.value is None:
                    self._with_retry(functools.partial(self._build, entry, progress), closure)
                if entry.device != device:
                    self._with_retry(functools.partial(self._placement.place, entry, device, closure), closure)
                entry.last_used = now
        except BaseException:
            for entry in closure:
                self._placement.undo(entry)
            raise

    def _with_retry(self, step: Callable[[], None], closure: Sequence[RegistryEntry]) -> None:
        """Do a step of loading. If memory runs out, evict all other models and do it once more."""
        try:
            return step()
        except (RuntimeError, MemoryError) as error:
            if not memory.is_out_of_memory(error):
                raise
            logger.warning("out of memory while loading %s", closure[-1].spec.name)
        self.evict_idle(keep=(closure[-1].spec.name,))
        return step()

    def _build(self, entry: RegistryEntry, progress: Progress) -> None:
        spec = entry.spec
        parts = {part.spec.name: part.value for part in entry.parts}
        started = time.monotonic()
        progress(0.0, f"Loading {entry.title}")
        self._placement.take_in(entry, spec.build(Load(parts, progress)))
        seconds = time.monotonic() - started
        logger.info("built %s: %.0f MB in %.1f s", spec.name, entry.size / 1e6, seconds)

    # Look-ups

    def _entry(self, name: str) -> RegistryEntry:
        if name not in self._entries:
            known = ", ".join(self._entries) or "none"
            raise UnknownName(f"There is no model named {name!r}. Known models: {known}.")
        return self._entries[name]

    def _out_of_memory_text(self, name: str) -> str:
        return f"There is not enough memory to run {self._entries[name].title}, even without any other model in memory."

    def _info(self, entry: RegistryEntry) -> ModelInfo:
        spec = entry.spec
        return ModelInfo(
            name=spec.name,
            title=entry.title,
            loaded=entry.value is not None,
            busy=entry.lock.locked(),
            device=entry.device,
            memory_bytes=sum(entry.held.values()),
            licence=spec.licence,
            resolution=spec.resolution,
            parts=spec.parts,
            weights=spec.weights,
        )
