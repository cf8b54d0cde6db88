"""The registry owns every model on every device.

A model is declared by name and built on first use. It is leased to one request at a time. Models are kept within each
device's memory budget: the least recently used one is evicted first, from a GPU to the CPU, from the CPU out of
memory. Networks that several models share are declared as models of their own and named as parts; they are built once
and are leased, moved and evicted like any other model.

Locks are always taken in one order (models by name, then the placement lock), and nothing ever waits for a
model's lock while holding the placement lock, so requests cannot block each other for ever.
"""

from __future__ import annotations

import functools
import itertools
import logging
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from gan_core import memory
from gan_core.errors import Busy, OutOfMemory, UnknownName
from gan_core.model_spec import Load, ModelInfo, ModelSpec, Progress

__all__ = ["Load", "ModelInfo", "ModelRegistry", "ModelSpec", "Progress"]

logger = logging.getLogger(__name__)

Result = TypeVar("Result")
_MARGIN = 256 << 20  # bytes to leave free on a device beside the models


@dataclass
class _Entry:
    spec: ModelSpec[Any]
    lock: threading.Lock = field(default_factory=threading.Lock)
    value: Any = None
    device: str | None = None
    size: int = 0
    """Bytes of the model as built."""
    grown: int = 0
    """Most bytes that it has occupied on a device where it runs, copies and graphs included."""
    held: dict[str, int] = field(default_factory=dict)
    """Bytes by device, as last measured."""
    looked_at: tuple[int, ...] = ()
    last_used: int = 0
    pins: int = 0
    """Iterations under way that will come back to it: it stays where it is until then."""


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
        self._find_devices = devices if callable(devices) else lambda: devices
        self._budget_each = budgets if isinstance(budgets, int) else None
        self._budgets = dict(budgets) if isinstance(budgets, Mapping) else {}
        self._resident = resident
        self._patience = patience
        self._free_bytes = free_bytes
        self._entries: dict[str, _Entry] = {}
        self._clock = itertools.count(1)
        self._placement = threading.Condition()

    @functools.cached_property
    def devices(self) -> tuple[str, ...]:
        """Where models run, best first."""
        return tuple(self._find_devices())

    def declare(self, spec: ModelSpec[Any]) -> None:
        """Make a model known; its parts must have been declared before. Nothing is loaded.

        Raises ValueError when the name is taken or a part is unknown.
        """
        if spec.name in self._entries:
            raise ValueError(f"model {spec.name!r} is declared twice")
        unknown = [part for part in spec.parts if part not in self._entries]
        if unknown:
            raise ValueError(f"model {spec.name!r} names undeclared parts: {', '.join(unknown)}")
        self._entries[spec.name] = _Entry(spec)

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
        closure = [self._entries[part] for part in self._closure(name)]
        items: Iterator[Result] | None = None
        with self._pinned(closure):
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

    @contextmanager
    def _pinned(self, closure: Sequence[_Entry]) -> Iterator[None]:
        with self._placement:
            for entry in closure:
                entry.pins += 1
        try:
            yield
        finally:
            with self._placement:
                for entry in closure:
                    entry.pins -= 1
                self._placement.notify_all()

    def evict_idle(self, keep: Iterable[str] = ()) -> None:
        """Evict models that are not in use from the devices where they run, except those named in `keep` and their
        parts."""
        kept = {part for name in keep for part in self._closure(name)}
        with self._placement:
            for entry in self._least_recent(self._entries.values()):
                if entry.spec.name not in kept and entry.device in self.devices:
                    self._evict(entry)
        memory.release_cached()

    def load_all(self) -> None:
        """Load every declared model now (on ZeroGPU they must be on the device before the server starts)."""
        for name in self._entries:
            with self.use(name):
                pass

    # Leasing

    @contextmanager
    def _lease(self, name: str, progress: Progress | None) -> Iterator[Any]:
        closure = [self._entries[part] for part in self._closure(name)]
        self._lock_all(closure, name)
        try:
            self._make_ready(closure, progress or (lambda fraction, text: None))
            yield closure[-1].value
        finally:
            try:
                self._look_at_growth(closure)
            finally:
                for entry in closure:
                    entry.lock.release()
                with self._placement:
                    self._placement.notify_all()

    def _look_at_growth(self, closure: Sequence[_Entry]) -> None:
        """After work: move networks that became idle off the device, measure what the work added (copies, graphs), and
        evict other models if the budget is exceeded. The closure's locks are held."""
        grown = [entry for entry in closure if entry.value is not None and entry.looked_at != _fingerprint(entry.value)]
        if not grown:
            return
        for entry in grown:
            idle = entry.value.idle_networks() if hasattr(entry.value, "idle_networks") and not entry.pins else []
            if idle and entry.device not in (None, "cpu") and not self._resident:
                for network in idle:
                    memory.move(memory.own_submodules(network, self._parts(entry)), "cpu")
                memory.release_cached()
            self._count(entry)
        with self._placement:
            if not self._resident:
                for device in {entry.device for entry in grown if entry.device is not None}:
                    self._trim(device, closure)

    def _trim(self, device: str, closure: Sequence[_Entry]) -> None:
        """Evict other models that are not in use until the device is within its budget again."""
        for other in self._least_recent(self._entries.values()):
            if self._taken(device) <= self._budget(device):
                return
            if other not in closure and other.device == device:
                self._evict(other)

    def _lock_all(self, closure: Sequence[_Entry], name: str) -> None:
        deadline = time.monotonic() + self._patience
        held: list[_Entry] = []
        for entry in sorted(closure, key=lambda e: e.spec.name):
            if not entry.lock.acquire(timeout=max(0.0, deadline - time.monotonic())):
                for other in held:
                    other.lock.release()
                raise Busy(f"{self._title(name)} is busy with other requests. Please try again in a moment.")
            held.append(entry)

    def _make_ready(self, closure: Sequence[_Entry], progress: Progress) -> None:
        """Build all of the closure, whose locks are held, and place it on one device; undone on failure."""
        device = self._target(closure)
        now = next(self._clock)
        try:
            for entry in closure:
                if entry.value is None:
                    self._with_retry(functools.partial(self._build, entry, progress), closure)
                if entry.device != device:
                    self._with_retry(functools.partial(self._place, entry, device, closure), closure)
                entry.last_used = now
        except BaseException:
            for entry in closure:
                self._undo(entry)
            raise

    def _undo(self, entry: _Entry) -> None:
        """After a failed load: drop a model that was built but not placed, move one back that was moved in part."""
        if entry.value is None:
            return
        if entry.device is None:
            self._forget(entry)
        else:
            self._move(entry, entry.device)

    def _with_retry(self, step: Callable[[], None], closure: Sequence[_Entry]) -> None:
        """Do a step of loading. If memory runs out, evict all other models and do it once more."""
        try:
            return step()
        except (RuntimeError, MemoryError) as error:
            if not memory.is_out_of_memory(error):
                raise
            logger.warning("out of memory while loading %s", closure[-1].spec.name)
        self.evict_idle(keep=(closure[-1].spec.name,))
        return step()

    def _build(self, entry: _Entry, progress: Progress) -> None:
        spec = entry.spec
        parts = {part: self._entries[part].value for part in spec.parts}
        started = time.monotonic()
        progress(0.0, f"Loading {self._title(spec.name)}")
        value = spec.build(Load(parts, progress))
        entry.value, entry.device = value, None
        self._count(entry)
        entry.size = sum(entry.held.values())
        seconds = time.monotonic() - started
        logger.info("built %s: %.0f MB in %.1f s", spec.name, entry.size / 1e6, seconds)

    # Placement

    def _place(self, entry: _Entry, device: str, closure: Sequence[_Entry]) -> None:
        with self._placement:
            # Its old place already counts as free, because evicted models may be moved there.
            origin, entry.device = entry.device, None
            try:
                self._make_room(entry, device, closure)
                self._move(entry, device)
            except BaseException:
                entry.device = origin
                raise

    def _move(self, entry: _Entry, device: str) -> None:
        memory.move(memory.own_submodules(entry.value, self._parts(entry)), device)
        memory.move_attributes(entry.value, device)
        if hasattr(entry.value, "forget_device"):
            entry.value.forget_device()
        entry.device = device
        self._count(entry)

    def _count(self, entry: _Entry) -> None:
        """Measure what the model occupies now."""
        entry.held = memory.held(entry.value, self._parts(entry))
        entry.looked_at = _fingerprint(entry.value)
        if entry.device in self.devices:
            entry.grown = max(entry.grown, entry.held.get(entry.device, 0))

    def _parts(self, entry: _Entry) -> list[Any]:
        return [self._entries[part].value for part in entry.spec.parts]

    def _forget(self, entry: _Entry) -> None:
        entry.value, entry.device, entry.size, entry.held, entry.looked_at = None, None, 0, {}, ()
        # How large it grows is remembered for the next time.

    def _make_room(self, entry: _Entry, device: str, closure: Sequence[_Entry]) -> None:
        """Evict models until `entry` fits on `device`; waits for busy ones. The placement lock is held."""
        if self._resident:
            return
        budget = self._budget(device)
        kept = sum(other.held.get(device, 0) for other in closure if other is not entry and other.device == device)
        if kept + entry.size > budget:
            wanted, allowed = (f"{size / 1e9:.2f} GB" for size in (kept + entry.size, budget))
            raise OutOfMemory(
                f"{self._title(closure[-1].spec.name)} needs {wanted}, more than the memory budget of "
                f"{allowed} on {device}. Start the app with a larger --memory."
            )
        needed = min(self._needed(entry, device), budget - kept)
        deadline = time.monotonic() + self._patience
        while True:
            for other in self._least_recent(self._entries.values()):
                if self._fits(entry, device, needed):
                    return
                if other not in closure and other.device == device:
                    self._evict(other)
            over_budget = self._taken(device, but=entry) + needed > budget
            # Memory of other programs does not become free by waiting; whether the rest suffices, loading will show.
            if not over_budget:
                return
            if not self._placement.wait(timeout=max(0.0, deadline - time.monotonic())):
                raise Busy("The memory is taken by other requests. Please try again in a moment.")

    def _needed(self, entry: _Entry, device: str) -> int:
        """Bytes to make room for; on a device where it runs, as many as it has occupied there before."""
        return max(entry.size, entry.grown) if device in self.devices else entry.size

    def _fits(self, entry: _Entry, device: str, needed: int) -> bool:
        if self._taken(device, but=entry) + needed > self._budget(device):
            return False
        free = self._free_bytes(device)
        allocated = entry.size if device == "cpu" else 0  # on the CPU its weights have been allocated already
        return free is None or free >= needed - allocated + _MARGIN

    def _evict(self, entry: _Entry) -> None:
        """Move a model that is neither in use nor pinned one step away, GPU -> CPU -> dropped. The placement lock is
        held."""
        if entry.value is None or self._resident or entry.pins or not entry.lock.acquire(blocking=False):
            return
        try:
            if entry.device not in (None, "cpu") and self._room_on_cpu(entry):
                logger.info("moving %s from %s to the CPU", entry.spec.name, entry.device)
                self._move(entry, "cpu")
            elif not any(self._depends(other, entry) for other in self._entries.values()):
                logger.info("dropping %s", entry.spec.name)
                self._forget(entry)
            memory.release_cached()
        finally:
            entry.lock.release()

    def _room_on_cpu(self, entry: _Entry) -> bool:
        for other in self._least_recent(self._entries.values()):
            if self._fits(entry, "cpu", entry.size):
                return True
            if other.device == "cpu" and other.last_used < entry.last_used:
                self._evict(other)
        return self._fits(entry, "cpu", entry.size)

    # Look-ups

    def _entry(self, name: str) -> _Entry:
        if name not in self._entries:
            known = ", ".join(self._entries) or "none"
            raise UnknownName(f"There is no model named {name!r}. Known models: {known}.")
        return self._entries[name]

    def _closure(self, name: str) -> list[str]:
        """The model and all its parts, parts first, each once."""
        names: dict[str, None] = {}
        for part in self._entry(name).spec.parts:
            names.update(dict.fromkeys(self._closure(part)))
        names[name] = None
        return list(names)

    def _depends(self, entry: _Entry, part: _Entry) -> bool:
        """Whether `entry` is loaded and holds `part`."""
        return entry is not part and entry.value is not None and part.spec.name in self._closure(entry.spec.name)

    def _target(self, closure: Sequence[_Entry]) -> str:
        """Where the closure runs: with a part that is on a device already, else on the device with most free budget."""
        for entry in closure:
            if entry.device in self.devices:
                return entry.device
        if len(self.devices) == 1:
            return self.devices[0]
        return max(self.devices, key=lambda device: self._budget(device) - self._taken(device))

    def _budget(self, device: str) -> int:
        if device not in self._budgets:
            self._budgets[device] = self._budget_each or memory.default_budget(device)
        return self._budgets[device]

    def _taken(self, device: str, but: _Entry | None = None) -> int:
        """Bytes on the device of all placed models, except `but`."""
        placed = (entry for entry in self._entries.values() if entry is not but and entry.device is not None)
        return sum(entry.held.get(device, 0) for entry in placed)

    def _least_recent(self, entries: Iterable[_Entry]) -> list[_Entry]:
        """Least recently used first; of a model and its parts, the model first."""
        return sorted(entries, key=lambda entry: (entry.last_used, -len(self._closure(entry.spec.name))))

    def _title(self, name: str) -> str:
        spec = self._entries[name].spec
        return spec.title or spec.name

    def _out_of_memory_text(self, name: str) -> str:
        return f"There is not enough memory to run {self._title(name)}, even without any other model in memory."

    def _info(self, entry: _Entry) -> ModelInfo:
        spec = entry.spec
        return ModelInfo(
            name=spec.name,
            title=self._title(spec.name),
            loaded=entry.value is not None,
            busy=entry.lock.locked(),
            device=entry.device,
            memory_bytes=sum(entry.held.values()),
            licence=spec.licence,
            resolution=spec.resolution,
            parts=spec.parts,
            weights=spec.weights,
        )


def _fingerprint(value: Any) -> tuple[int, ...]:
    """A value that changes when a model may occupy more memory: when an attribute, a member of one, or a recorded graph
    is new. It is much cheaper than `memory.held`, so it can be computed after every request."""
    from gan_core.graphs import recordings_made

    seen = [recordings_made()]
    for attribute in vars(value).values() if hasattr(value, "__dict__") else ():
        seen.append(id(attribute))
        if isinstance(attribute, dict):
            seen.extend(map(id, attribute.values()))
        elif isinstance(attribute, (list, tuple)):
            seen.extend(map(id, attribute))
    return tuple(seen)
