"""Files that a call reads and writes, when it computes on another machine: their contents travel with it.

A task names the parameters that are paths (`gpu.task(reads=..., writes=...)`); on this machine they are used as they
are. A task that writes files has the path of the first one as its result.
"""

from __future__ import annotations

import dataclasses
import inspect
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from demo.gpu import Call, Done

T = TypeVar("T")


def packed(call: Call[T]) -> tuple[Call[T], dict[str, bytes]]:
    """The call with its paths reduced to file names, and the contents of those that it reads, by parameter."""
    paths = _paths(call)
    names = {name: path.name for name, path in paths.items()}
    return _with(call, names), {name: paths[name].read_bytes() for name in call.task.reads}


def unpacked(call: Call[T], contents: Mapping[str, bytes], folder: Path) -> tuple[Call[T], dict[str, Path]]:
    """A packed call with files of its own below `folder`, and those that it will write, by parameter."""
    here = {name: folder / f"{name}{Path(path.name).suffix}" for name, path in _paths(call).items()}
    for name, content in contents.items():
        here[name].write_bytes(content)
    written = {name: here[name] for name in call.task.writes}
    return _with(call, {name: str(path) for name, path in here.items()}), written


def collected(call: Call[T], done: Done[T], contents: Mapping[str, bytes]) -> Done[T]:
    """The result of a call that was computed elsewhere, with what it wrote there in the files that it names here; each
    of them exists only once it is complete."""
    paths = _paths(call)
    for name, content in contents.items():
        half = paths[name].with_suffix(".part")
        half.write_bytes(content)
        os.replace(half, paths[name])
    value: Any = str(paths[call.task.writes[0]]) if call.task.writes else done.value
    return Done(value)


def _paths(call: Call[Any]) -> dict[str, Path]:
    given = _arguments(call).arguments
    return {name: Path(given[name]) for name in (*call.task.reads, *call.task.writes)}


def _with(call: Call[T], changes: Mapping[str, str]) -> Call[T]:
    if not changes:
        return call
    bound = _arguments(call)
    bound.arguments.update(changes)
    return dataclasses.replace(call, args=bound.args[1:], kwargs=bound.kwargs)


def _arguments(call: Call[Any]) -> inspect.BoundArguments:
    return inspect.signature(call.task.work).bind(None, *call.args, **call.kwargs)  # None: the worker
