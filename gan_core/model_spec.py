"""What the registry knows of a model before and after it is loaded."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
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
