"""Which model lies on which device, how many bytes it occupies there, and which one leaves when another needs room.

The registry (`gan_core.registry`) declares, leases and builds models; it asks here where a model is to run, and has it
placed there. The rules:

- A model and its parts run on one device: where one of them lies already, else where most of the budget is free.
- Models stay within their device's budget. Room is made before a model is placed, for as many bytes as it has occupied
  at most while it worked, if the budget has them; and again after work that made it larger.
- The least recently used leaves first; of a model and its parts, the model. It goes one step at a time: from a GPU to
  the CPU, where still older models make room for it, and from the CPU out of memory. A model that is in use or pinned
  stays, and a part of a loaded model is not dropped.
- Models are put away for memory that other programs took, but nothing is refused because of it.

Locks are taken in the registry's order: models by name (`RegistryEntry.lock`), then the placement lock. Nothing here
waits for a model's lock: eviction, which holds the placement lock, tries the model's and passes over a model in use.
A model is moved, measured and dropped only by who holds its lock; others read what was last measured. Who waits for
room gives up the placement lock meanwhile, not the locks of its own models: two may so wait for each other, which ends
with `Busy` after the registry's patience.
"""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from gan_core import memory
from gan_core.errors import Busy, OutOfMemory
from gan_core.model_spec import RegistryEntry

logger = logging.getLogger(__name__)

_MARGIN = 256 << 20  # bytes to leave free on a device beside the models


class DevicePlacement:
    """See the module's docstring. The arguments are those of `ModelRegistry`.

    A closure is a model and all its parts, parts first (`RegistryEntry.closure`), which one request leases.
    """

    def __init__(
        self,
        devices: Sequence[str] | Callable[[], Sequence[str]],
        *,
        budgets: Mapping[str, int] | int | None,
        resident: bool,
        patience: float,
        free_bytes: Callable[[str], int | None],
    ) -> None:
        self._find_devices = devices if callable(devices) else lambda: devices
        self._budget_each = budgets if isinstance(budgets, int) else None
        self._budgets = dict(budgets) if isinstance(budgets, Mapping) else {}
        self._resident = resident
        self._patience = patience
        self._free_bytes = free_bytes
        self._entries: list[RegistryEntry] = []
        self._lock = threading.Condition()  # the placement lock; notified when models or memory may have become free

    @functools.cached_property
    def devices(self) -> tuple[str, ...]:
        """Where models run, best first."""
        return tuple(self._find_devices())

    def add(self, entry: RegistryEntry) -> None:
        """From now on this model has a place, or none."""
        self._entries.append(entry)

    def remove(self, entry: RegistryEntry) -> None:
        """Drop a model, whose lock is held, and forget that it ever had a place."""
        with self._lock:
            self._forget(entry)
            self._entries = [other for other in self._entries if other is not entry]
        memory.release_cached()

    # For a lease, which holds the locks of its closure

    def target(self, closure: Sequence[RegistryEntry]) -> str:
        """Where the closure runs: with a part that is on a device already, else on the device with most free budget."""
        for entry in closure:
            if entry.device in self.devices:
                return entry.device
        if len(self.devices) == 1:
            return self.devices[0]
        return max(self.devices, key=lambda device: self._budget(device) - self._taken(device))

    def take_in(self, entry: RegistryEntry, value: Any) -> None:
        """A model was built, on the CPU. It has no place yet; its parts keep theirs."""
        entry.value, entry.device = value, None
        for part in entry.parts:
            if part.device is not None:  # a constructor may have moved all that it was given to the CPU
                memory.move(memory.own_submodules(part.value, _shared(part)), part.device)
        self._count(entry)
        entry.size = sum(entry.held.values())

    def place(self, entry: RegistryEntry, device: str, closure: Sequence[RegistryEntry]) -> None:
        """Make room for a built model of the closure on `device` and move it there.

        Raises OutOfMemory when the budget is too small for it and its parts, Busy when others keep the room for too
        long, and what a failed allocation raises; `undo` is to follow then.
        """
        with self._lock:
            # Its old place already counts as free, because evicted models may be moved there.
            origin, entry.device = entry.device, None
            try:
                self._make_room(entry, device, closure)
                self._move(entry, device)
            except BaseException:
                entry.device = origin
                raise

    def undo(self, entry: RegistryEntry) -> None:
        """After a failed load: drop a model that was built but not placed, move one back that was moved in part."""
        if entry.value is None:
            return
        if entry.device is None:
            self._forget(entry)
        else:
            self._move(entry, entry.device)

    def look_at_growth(self, closure: Sequence[RegistryEntry]) -> None:
        """After work: move networks that became idle off the device, measure what the work added (copies, graphs), and
        evict other models if the budget is exceeded."""
        grown = [entry for entry in closure if entry.value is not None and entry.looked_at != _fingerprint(entry.value)]
        if not grown:
            return
        for entry in grown:
            idle = entry.value.idle_networks() if hasattr(entry.value, "idle_networks") and not entry.pins else []
            if idle and entry.device not in (None, "cpu") and not self._resident:
                for network in idle:
                    memory.move(memory.own_submodules(network, _shared(entry)), "cpu")
                memory.release_cached()
            self._count(entry)
        with self._lock:
            if not self._resident:
                for device in {entry.device for entry in grown if entry.device is not None}:
                    self._trim(device, closure)

    # With or without a lease

    def released(self) -> None:
        """A lease let its models go: who waits for room looks again."""
        with self._lock:
            self._lock.notify_all()

    @contextmanager
    def pinned(self, closure: Sequence[RegistryEntry]) -> Iterator[None]:
        """The closure's models stay where they are for the block, also while nobody leases them."""
        with self._lock:
            for entry in closure:
                entry.pins += 1
        try:
            yield
        finally:
            with self._lock:
                for entry in closure:
                    entry.pins -= 1
                self._lock.notify_all()

    def evict_idle(self, keep: Collection[RegistryEntry]) -> None:
        """Evict models that are not in use from the devices where they run, except those to keep."""
        with self._lock:
            for entry in self._least_recent():
                if entry not in keep and entry.device in self.devices:
                    self._evict(entry)
        memory.release_cached()

    # Making room: the placement lock is held

    def _make_room(self, entry: RegistryEntry, device: str, closure: Sequence[RegistryEntry]) -> None:
        """Evict models until `entry` fits on `device`; waits for busy ones."""
        if self._resident:
            return
        budget = self._budget(device)
        kept = sum(other.held.get(device, 0) for other in closure if other is not entry and other.device == device)
        if kept + entry.size > budget:
            wanted, allowed = (f"{size / 1e9:.2f} GB" for size in (kept + entry.size, budget))
            raise OutOfMemory(
                f"{closure[-1].title} needs {wanted}, more than the memory budget of "
                f"{allowed} on {device}. Start the app with a larger --memory."
            )
        needed = min(self._needed(entry, device), budget - kept)
        deadline = time.monotonic() + self._patience
        while True:
            for other in self._least_recent():
                if self._fits(entry, device, needed):
                    return
                if other not in closure and other.device == device:
                    self._evict(other)
            over_budget = self._taken(device, but=entry) + needed > budget
            # Memory of other programs does not become free by waiting; whether the rest suffices, loading will show.
            if not over_budget:
                return
            if not self._lock.wait(timeout=max(0.0, deadline - time.monotonic())):
                raise Busy("The memory is taken by other requests. Please try again in a moment.")

    def _trim(self, device: str, closure: Sequence[RegistryEntry]) -> None:
        """Evict other models that are not in use until the device is within its budget again."""
        for other in self._least_recent():
            if self._taken(device) <= self._budget(device):
                return
            if other not in closure and other.device == device:
                self._evict(other)

    def _evict(self, entry: RegistryEntry) -> None:
        """Move a model that is neither in use nor pinned one step away, GPU -> CPU -> dropped."""
        if entry.value is None or self._resident or entry.pins or not entry.lock.acquire(blocking=False):
            return
        try:
            if entry.device not in (None, "cpu") and self._room_on_cpu(entry):
                logger.info("moving %s from %s to the CPU", entry.spec.name, entry.device)
                self._move(entry, "cpu")
            elif not any(_depends(other, entry) for other in self._entries):
                logger.info("dropping %s", entry.spec.name)
                self._forget(entry)
            memory.release_cached()
        finally:
            entry.lock.release()

    def _room_on_cpu(self, entry: RegistryEntry) -> bool:
        for other in self._least_recent():
            if self._fits(entry, "cpu", entry.size):
                return True
            if other.device == "cpu" and other.last_used < entry.last_used:
                self._evict(other)
        return self._fits(entry, "cpu", entry.size)

    # Moving and measuring: the model's lock is held

    def _move(self, entry: RegistryEntry, device: str) -> None:
        memory.move(memory.own_submodules(entry.value, _shared(entry)), device)
        memory.move_attributes(entry.value, device)
        if hasattr(entry.value, "forget_device"):
            entry.value.forget_device()
        entry.device = device
        self._count(entry)

    def _count(self, entry: RegistryEntry) -> None:
        """Measure what the model occupies now."""
        entry.held = memory.held(entry.value, _shared(entry))
        entry.looked_at = _fingerprint(entry.value)
        if entry.device in self.devices:
            entry.grown = max(entry.grown, entry.held.get(entry.device, 0))

    def _forget(self, entry: RegistryEntry) -> None:
        entry.value, entry.device, entry.size, entry.held, entry.looked_at = None, None, 0, {}, ()
        # How large it grows is remembered for the next time.

    # Accounts

    def _budget(self, device: str) -> int:
        if device not in self._budgets:
            self._budgets[device] = self._budget_each or memory.default_budget(device)
        return self._budgets[device]

    def _taken(self, device: str, but: RegistryEntry | None = None) -> int:
        """Bytes on the device of all placed models, except `but`."""
        placed = (entry for entry in self._entries if entry is not but and entry.device is not None)
        return sum(entry.held.get(device, 0) for entry in placed)

    def _needed(self, entry: RegistryEntry, device: str) -> int:
        """Bytes to make room for; on a device where it runs, as many as it has occupied there before."""
        return max(entry.size, entry.grown) if device in self.devices else entry.size

    def _fits(self, entry: RegistryEntry, device: str, needed: int) -> bool:
        if self._taken(device, but=entry) + needed > self._budget(device):
            return False
        free = self._free_bytes(device)
        allocated = entry.size if device == "cpu" else 0  # on the CPU its weights have been allocated already
        return free is None or free >= needed - allocated + _MARGIN

    def _least_recent(self) -> list[RegistryEntry]:
        """Least recently used first; of a model and its parts, the model first."""
        return sorted(self._entries, key=lambda entry: (entry.last_used, -len(entry.closure())))


def _shared(entry: RegistryEntry) -> list[Any]:
    """The built parts, whose memory is theirs."""
    return [part.value for part in entry.parts]


def _depends(entry: RegistryEntry, part: RegistryEntry) -> bool:
    """Whether `entry` is loaded and holds `part`."""
    return entry is not part and entry.value is not None and part in entry.closure()


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
