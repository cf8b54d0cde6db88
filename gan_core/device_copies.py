"""Copies on a pipeline's device of what its callers keep on the CPU, made once however often they are used.

A visitor who moves a slider sends the same inversion again and again; copying it takes longer than drawing a small
picture.
"""

from __future__ import annotations

import weakref
from typing import Any, Protocol, TypeVar

import torch


class _Movable(Protocol):
    @property
    def size(self) -> int:
        """Bytes."""

    def to(self, device: torch.device | str) -> Any:
        """The same on another device."""


T = TypeVar("T", bound=_Movable)


class DeviceCopies(dict[int, tuple[Any, Any]]):
    """By the original's id: a weak reference to it, and its copy, which is dropped with it. Those used least recently
    are dropped beyond `most` bytes.

    A dictionary, so that the registry sees what a pipeline holds here (`gan_core.memory`, `gan_core.placement`). It is
    to be used by one thread at a time; originals may be dropped in any.
    """

    def __init__(self, most: int = 1 << 30) -> None:
        super().__init__()
        self._most = most

    def of(self, original: T, device: torch.device) -> T:
        """The copy of `original` on this device, on which all copies are."""
        key = id(original)
        found = self.pop(key, None)
        if found is None or found[0]() is not original:
            found = weakref.ref(original, lambda gone: self._forget(key, gone)), original.to(device)
            self._make_room(found[1].size)
        self[key] = found  # the one used last is at the end
        return found[1]

    def _make_room(self, size: int) -> None:
        sizes = {key: copy.size for key, (_, copy) in list(self.items())}
        beyond = sum(sizes.values()) + size - self._most
        for key, each in sizes.items():
            if beyond <= 0:
                return
            self.pop(key, None)
            beyond -= each

    def _forget(self, key: int, gone: weakref.ref[Any]) -> None:
        if key in self and self[key][0] is gone:
            del self[key]
