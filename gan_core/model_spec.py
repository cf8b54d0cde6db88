"""What the registry knows of a model before and after it is loaded."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from weights import catalogue

logger = logging.getLogger(__name__)

T = TypeVar("T")
Progress = Callable[[float, str], None]  # fraction done in [0, 1], what is being done


@dataclass(frozen=True)
class ModelSpec(Generic[T]):
    """What is known about a model before it is loaded."""

    name: str
    """Family and paper, as in "people/hfgi"."""
    build: Callable[[Load], T]
    """Makes the model on the CPU, in evaluation mode. May be called again after the model was evicted."""
    resolution: int
    """Pixels a side of what it makes."""
    licence: str
    title: str = ""
    """Shown to a person while it loads."""
    weights: tuple[str, ...] = ()
    """Names in the weights catalogue."""
    parts: tuple[str, ...] = ()
    """Names of declared models that the builder asks for through `Load.part`."""


@dataclass(frozen=True)
class ModelInfo:
    """One row of the `models` endpoint."""

    name: str
    title: str
    loaded: bool
    busy: bool
    device: str | None
    memory_bytes: int
    """Memory of this model on all devices: its networks and what was made of them (copies in half precision, graphs).
    Shared parts have rows of their own. 0 when not loaded."""
    licence: str
    resolution: int
    parts: tuple[str, ...]
    weights: tuple[str, ...]


@dataclass(eq=False)
class RegistryEntry:
    """A declared model in the registry: its lease, and the account of where it is (see `gan_core.placement`)."""

    spec: ModelSpec[Any]
    parts: tuple[RegistryEntry, ...] = ()
    """Those that the spec names, in its order."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    """Held by the request that leases the model, and while it is evicted."""
    value: Any = None
    """The built model; None while it is not in memory."""
    device: str | None = None
    """None also while it is built or on its way."""
    size: int = 0
    """Bytes of the model as built."""
    grown: int = 0
    """Most bytes that it has occupied on a device where it runs, copies and graphs included."""
    held: dict[str, int] = field(default_factory=dict)
    """Bytes by device, as last measured."""
    looked_at: tuple[int, ...] = ()
    """`gan_core.placement` knows by it whether the model may have grown since."""
    last_used: int = 0
    """The larger, the more recently."""
    pins: int = 0
    """Iterations under way that will come back to it: it stays where it is until then."""

    @property
    def title(self) -> str:
        """What a person is told that it is."""
        return self.spec.title or self.spec.name

    def closure(self) -> list[RegistryEntry]:
        """The model and all its parts, parts first, each once."""
        entries: dict[RegistryEntry, None] = {}
        for part in self.parts:
            entries.update(dict.fromkeys(part.closure()))
        entries[self] = None
        return list(entries)


@dataclass
class Load:
    """What a builder is called with: its shared parts, and how to report progress."""

    parts: Mapping[str, Any]
    progress: Progress

    def part(self, name: str) -> Any:
        """The shared model declared under `name` in the spec's `parts`."""
        return self.parts[name]

    def report(self, fraction: float, text: str) -> None:
        """Report progress to a person: fraction in [0, 1] of this model's loading, and what is being done."""
        self.progress(fraction, text)


def files_are_here(folder: Path, names: Iterable[str]) -> bool:
    """Whether a folder has all these weights files (names without their ending)."""
    return all((folder / f"{name}.safetensors").is_file() for name in names)


def read_entries(path: Path, key: str, make: Callable[..., T]) -> tuple[T, ...]:
    """make(**entry) of each entry that the header of a weights file lists in its config under `key`, as the sliders of
    a directions file; none while the file is missing or damaged, which is logged. Reads no tensors."""
    try:
        return tuple(make(**entry) for entry in catalogue.read_config(path).get(key, ()))
    except (OSError, ValueError, TypeError, AttributeError) as error:
        logger.warning("no %s in %s: %s", key, path.name, error)
        return ()
