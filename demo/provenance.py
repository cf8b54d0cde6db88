"""Which uploads a request has read, so that its results can name them as what they were made from.

Results that are kept in a session remember theirs, and a request that takes one up has read the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from weakref import WeakKeyDictionary

from demo import turns

_read: WeakKeyDictionary[turns.Request, dict[Path, None]] = WeakKeyDictionary()


def add(paths: Iterable[Path]) -> None:
    """The request that this thread computes for has read these uploads; nothing where there is none."""
    request = turns.request()
    if request is not None:
        _read.setdefault(request, {}).update(dict.fromkeys(paths))


def uploads() -> tuple[Path, ...]:
    """What that request has read so far, in order."""
    request = turns.request()
    return tuple(_read.get(request, ())) if request is not None else ()
