"""Sessions: the files and results of each visitor, and when they are deleted.

They are kept while the page is open, at most `idle` seconds after its last use. When the results of all visitors
together exceed the memory limit, the least recently used one is dropped; it is computed again when it is needed.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any

from demo import provenance
from gan_core.errors import BadValue, Cancelled

logger = logging.getLogger(__name__)

_VISITOR = "visitor-"  # how the names of visitors' folders begin
Identity = tuple[int, int]  # of a file's content: another upload to the same path has another
_KEPT_FILES = 24  # of one purpose: with a slow connection a browser may still be loading one of the last previews


class Job:
    """One of a visitor's long jobs, which can be stopped while it runs or waits in the queue, independently of the
    visitor's other jobs."""

    def __init__(self, session: Session) -> None:
        self._session, self._stop = session, threading.Event()

    def ask(self) -> None:
        """Request a new run, which will wait in the queue. An earlier stop no longer counts."""
        self._stop.clear()

    def stop(self) -> None:
        """Stop the run that is running or waiting."""
        self._stop.set()

    @property
    def stopped(self) -> bool:
        """Whether the requested run is to end, because it was stopped or its visitor has left. A run checks this before
        its first step and between steps."""
        return self._stop.is_set() or self._session.closed

    @property
    def stopped_by_visitor(self) -> bool:
        """Whether it was stopped by a visitor who is still here and wants to read so."""
        return self._stop.is_set() and not self._session.closed


class Session:
    """One visitor's temporary folder and results. Made by `Sessions.get`, never directly."""

    def __init__(self, store: Sessions, name: str) -> None:
        self._store = store
        self.name = name
        self.folder = Path(tempfile.mkdtemp(prefix=_VISITOR, dir=store.root))
        self.used = time.monotonic()
        self.closed = False
        self.uploads: set[Path] = set()
        self._jobs: dict[str, Job] = {}
        self._drawings: Counter[str] = Counter()
        self._files: dict[str, list[Path]] = {}
        self._count = 0

    def job(self, name: str) -> Job:
        """The visitor's long job of that name ("hfgi.video"); each has one run at a time."""
        with self._store.lock:
            return self._jobs.setdefault(name, Job(self))

    def begin_drawing(self, place: str) -> Callable[[], bool]:
        """Count a request that will draw at a place on the page; its result tells whether that is the newest there."""
        with self._store.lock:
            self._drawings[place] += 1
            number = self._drawings[place]
        return lambda: self._drawings[place] == number

    def new_file(self, purpose: str, suffix: str) -> Path:
        """A path for a file to be written; only the last few of one purpose are kept.

        Raises Cancelled when the visitor has left in the meantime.
        """
        with self._store.lock:
            if self.closed:
                raise Cancelled("The page was closed.")
            self._count += 1
            path = self.folder / f"{purpose}-{self._count}{suffix}"
            files = self._files.setdefault(purpose, [])
            files.append(path)
            while len(files) > _KEPT_FILES:
                files.pop(0).unlink(missing_ok=True)
        return path

    def keep(self, key: Hashable, value: Any, size: int) -> None:
        """Keep a result of about `size` bytes under `key`, replacing what was there."""
        self._store._keep(self, key, value, size)

    def keep_some(self, key: tuple[Hashable, ...], value: Any, size: int, most: int) -> None:
        """`keep`, but results of this kind (the key's first part), of all visitors together, take `most` bytes: for
        large ones that are soon computed again. The least recently used go; the newest stays, however large."""
        self._store._keep(self, key, value, size)
        self._store._drop_beyond(most, lambda other: isinstance(other, tuple) and other[:1] == key[:1])

    def recall(self, key: Hashable) -> Any | None:
        """The result kept under `key`, or None if there never was one or it was dropped. The present request has then
        read the uploads that it was made from."""
        value, uploads = self._store._recall(self, key)
        provenance.add(uploads)
        return value

    def own_upload(self, path: str | Path) -> None:
        """Have an upload deleted with this session, unless another visitor uploaded the same file. The present request
        has read it.

        Raises BadValue if it is a file that was made for another visitor.
        """
        path = Path(path).resolve()
        with self._store.lock:
            if self._store.is_made_for_another(path, self):
                raise BadValue("This file is not there any more. Please upload it again.")
            provenance.add([path])
            inside = self._store.root in path.parents and path not in self._store.shared
            if inside and not self.closed:
                self._store.read[path] = _identity(path)
                if path not in self.uploads:
                    self.uploads.add(path)
                    self._store.owners[path] += 1


class Sessions:
    """All visitors of this server. Safe to use from several threads.

    root: the folder that Gradio keeps uploads in; nothing outside it is ever deleted.
    idle: seconds after which an unused session is deleted. max_bytes: of results kept, over all sessions.
    """

    def __init__(self, root: Path, *, idle: float = 1800.0, max_bytes: int = 192 << 20) -> None:
        self.root = Path(root).resolve()
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.lock = threading.RLock()
        self.owners: Counter[Path] = Counter()
        self.read: dict[Path, Identity | None] = {}
        """The owned files as they were when an owner last read them."""
        self.shared: set[Path] = set()
        """Files below root that are never deleted (cached example pictures)."""
        self._idle, self._max_bytes = idle, max_bytes
        self._strays: dict[Path, float] = {}
        """When files that no session owns were first seen, on the clock that does not jump."""
        self._sessions: dict[str, Session] = {}
        self._results: OrderedDict[tuple[str, Hashable], tuple[Any, int, tuple[Path, ...]]] = OrderedDict()

    def get(self, name: str | None) -> Session:
        """The session of that name, made if there is none. Also deletes idle sessions."""
        self.sweep()
        with self.lock:
            session = self._sessions.get(name or "")
            if session is None:
                session = self._sessions[name or ""] = Session(self, name or "")
            session.used = time.monotonic()
            return session

    def delete(self, name: str | None) -> None:
        """Delete a session's files and results now; nothing happens when there is none."""
        with self.lock:
            session = self._sessions.pop(name or "", None)
            if session is None:
                return
            session.closed = True
            for key in [key for key in self._results if key[0] == session.name]:
                del self._results[key]
            for path in session.uploads:
                self.owners[path] -= 1
                if self.owners[path] <= 0:
                    del self.owners[path]
                    # The same picture uploaded once more lies in the same place: whoever did that has not read it yet.
                    if _identity(path) != self.read.pop(path):
                        continue
                    path.unlink(missing_ok=True)
                    if path.parent.is_dir() and path.parent != self.root and not any(path.parent.iterdir()):
                        path.parent.rmdir()
            shutil.rmtree(session.folder, ignore_errors=True)
        logger.info("a visitor left; %d still here", len(self._sessions))

    def sweep(self) -> None:
        """Delete sessions that were not used for `idle` seconds."""
        limit = time.monotonic() - self._idle
        with self.lock:
            for name in [name for name, session in self._sessions.items() if session.used < limit]:
                self.delete(name)

    def is_made_for_another(self, path: Path, session: Session) -> bool:
        """Whether a resolved path lies in the folder of another visitor, of one who has left too."""
        folder = path.relative_to(self.root).parts[0] if self.root in path.parents else ""
        return folder.startswith(_VISITOR) and folder != session.folder.name

    def delete_orphans(self, older_than: float = 1800.0) -> None:
        """Delete uploads that no session owns, so many seconds after this first saw them: an image editor uploads its
        layers whether a handler reads them or not."""
        now = time.monotonic()
        with self.lock:
            strays, self._strays = self._strays, {}
            visitors = {session.folder for session in self._sessions.values()}
            for path in (*self.root.glob("*"), *self.root.glob("*/*")):  # in the folder itself: uploads broken off
                known = path.parent in visitors or path in self.owners or path in self.shared
                if known or not path.is_file():
                    continue
                self._strays[path] = strays.get(path, now)
                if now - self._strays[path] > older_than:
                    del self._strays[path]
                    path.unlink(missing_ok=True)
                    if path.parent != self.root and not any(path.parent.iterdir()):
                        path.parent.rmdir()

    def close(self) -> None:
        """Delete all sessions."""
        with self.lock:
            for name in list(self._sessions):
                self.delete(name)

    def kept_bytes(self) -> int:
        """Bytes of all results kept now."""
        with self.lock:
            return sum(size for _, size, _ in self._results.values())

    def __len__(self) -> int:
        return len(self._sessions)

    def _keep(self, session: Session, key: Hashable, value: Any, size: int) -> None:
        with self.lock:
            if session.closed:
                return
            self._results.pop((session.name, key), None)
            self._results[session.name, key] = (value, size, provenance.uploads())
            self._drop_beyond(self._max_bytes, lambda _: True)

    def _drop_beyond(self, most: int, counts: Callable[[Hashable], bool]) -> None:
        """Drop results whose keys count, least recently used first, until they take `most` bytes or one is left."""
        with self.lock:
            alike = [place for place in self._results if counts(place[1])]
            taken = sum(self._results[place][1] for place in alike)
            for place in alike[:-1]:
                if taken <= most:
                    return
                taken -= self._results.pop(place)[1]

    def _recall(self, session: Session, key: Hashable) -> tuple[Any | None, tuple[Path, ...]]:
        with self.lock:
            found = self._results.get((session.name, key))
            if found is None:
                return None, ()
            self._results.move_to_end((session.name, key))
            value, _, uploads = found
            return value, uploads


def _identity(path: Path) -> Identity | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns
