"""What several visitors' tasks want of one model at the same time, computed as one batch.

A GPU draws eight small pictures in about the time of one. A task that says how its work is done for several
(`demo.gpu.Worker.run_together`) leaves a piece here. The first piece's thread leads: it takes the model as soon as that
is free, computes every piece that waits by then, and gives each thread its own result; the next one in the line leads
the next batch. So while the device is busy nobody waits for the sake of a batch. While it is free the leader waits for
others only if requests of its kind are in the line (`demo.turns`), until all of them are here, or none has come for a
moment, or its patience is over; a lone visitor never waits.

What goes wrong stays with the one it belongs to: a batch that fails is computed again one by one, one that does not fit
into memory in halves. Pieces of visitors who have left are dropped.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from demo import turns
from demo.lasting_threads import LastingThreads
from gan_core import memory
from gan_core.errors import Cancelled, OutOfMemory
from gan_core.model_spec import Progress
from gan_core.registry import ModelRegistry

MOST = 16
"""Pictures of a batch on a GPU; a model may say that it takes fewer (`pictures_at_once`)."""
_PATIENCE = 0.020  # seconds that a piece waits for others at most
_QUIET = 0.003  # seconds without a new piece after which no more are waited for


def batch_size(devices: Sequence[str], asked: int | None) -> int:
    """Pictures of several visitors that these devices compute in one batch at most: as many as were asked for; None:
    `MOST` on a GPU, and one on a CPU, which is no faster with more (docs/SPEED.md)."""
    if asked is not None:
        return asked
    return MOST if any(name.startswith("cuda") for name in devices) else 1


Work = Callable[[Any, Sequence[Any]], Sequence[Any]]
"""(model, what each wants) to what each gets."""
_Key = tuple[str, Work]


@dataclass(eq=False)
class _Piece:
    """What one visitor's task wants."""

    value: Any
    pictures: int
    request: turns.Request | None
    came: float
    woken: threading.Event = field(default_factory=threading.Event)
    """Set when it is done, or is to lead."""
    done: bool = False
    result: Any = None
    error: BaseException | None = None

    def finish(self, result: Any = None, error: BaseException | None = None) -> None:
        self.result, self.error, self.done = result, error, True
        self.woken.set()


class Collector:
    """See the module's docstring; of one device, whose models `registry` has, and which work in one of `threads`.
    most: pictures of a batch."""

    def __init__(self, registry: ModelRegistry, most: int = MOST, threads: LastingThreads | None = None) -> None:
        self.batches: Counter[int] = Counter()
        """How many batches of how many pieces were computed."""
        self._registry, self._most, self._threads = registry, most, threads or LastingThreads("compute")
        self._waiting: dict[_Key, list[_Piece]] = {}  # a key is here as long as a thread leads
        self._changed = threading.Condition()

    def run(self, model: str, work: Work, value: Any, pictures: int, progress: Progress | None) -> Any:
        """The result of `work` for `value`, which makes so many pictures. `work` is compared: a module-level function.

        progress: hears of the model being loaded, if this thread leads. Raises Cancelled when its visitor left, what
        `work` raises for this value, and what `ModelRegistry.run` raises.
        """
        key, piece = (model, work), _Piece(value, pictures, turns.request(), time.monotonic())
        with self._changed:
            leads = key not in self._waiting
            self._waiting.setdefault(key, []).append(piece)
            self._changed.notify_all()
        if not leads:
            piece.woken.wait()
        if not piece.done:
            try:
                self._gather(key, piece)
                self._lead(key, piece, progress)
            finally:
                self._hand_over(key, piece)
        if piece.error is not None:
            raise piece.error
        return piece.result

    def _gather(self, key: _Key, leader: _Piece) -> None:
        """Wait for others if it is worth while."""
        while True:
            others = leader.request.others() if leader.request else 0  # asks the line, so not within our lock
            with self._changed:
                pieces = self._waiting[key]
                until = min(leader.came + _PATIENCE, pieces[-1].came + _QUIET)
                rest = until - time.monotonic()
                full = sum(piece.pictures for piece in pieces) >= self._most
                if full or rest <= 0 or len(pieces) > others:
                    return
                self._changed.wait(rest)

    def _lead(self, key: _Key, leader: _Piece, progress: Progress | None) -> None:
        """Compute a batch: afterwards the leader and all that were taken with it are done."""
        model, work = key
        batch: list[_Piece] = []

        def compute(pipeline: Any) -> None:
            if not leader.done:  # else memory ran out, and this is the second try
                batch[:] = batch or self._take(key, pipeline)
            _fill(work, pipeline, [piece for piece in batch if not piece.done])

        while not leader.done or not all(piece.done for piece in batch):
            failed: Exception | None = None
            try:
                self._registry.run(model, self._threads.bound(compute), progress)
            except OutOfMemory as error:
                failed = OutOfMemory(str(error))  # without what the frames of the first one hold
            except Exception as error:  # the model's, not a piece's: it is not there, or busy
                failed = error
            except BaseException as error:
                for piece in (leader, *batch):
                    if not piece.done:
                        piece.finish(error=error)
                raise
            if failed is not None:
                next((piece for piece in batch if not piece.done), leader).finish(error=failed)
        self.batches[len(batch)] += bool(batch)

    def _take(self, key: _Key, pipeline: Any) -> list[_Piece]:
        """The pieces of a batch, first come first, at least one."""
        most = min(self._most, getattr(pipeline, "pictures_at_once", self._most))
        with self._changed:
            waiting = list(self._waiting[key])
        gone = [piece for piece in waiting if piece.request is not None and piece.request.unwanted]
        taken: list[_Piece] = []
        pictures = 0
        for piece in waiting:
            if piece not in gone:
                pictures += piece.pictures
                if taken and pictures > most:
                    break
                taken.append(piece)
        with self._changed:
            self._waiting[key] = [piece for piece in self._waiting[key] if piece not in (*taken, *gone)]
        for piece in gone:
            piece.finish(error=Cancelled("The page was closed."))
        return taken

    def _hand_over(self, key: _Key, leader: _Piece) -> None:
        with self._changed:
            pieces = [piece for piece in self._waiting[key] if piece is not leader]
            if pieces:
                self._waiting[key] = pieces
                pieces[0].woken.set()
            else:
                del self._waiting[key]


def _fill(work: Work, pipeline: Any, pieces: Sequence[_Piece]) -> None:
    """Finish every piece. Raises what says that memory ran out for a single one, which stays undone."""
    if not pieces:
        return
    try:
        results = work(pipeline, [piece.value for piece in pieces])
        for piece, result in zip(pieces, results, strict=True):
            piece.finish(result)
        return
    except Exception as error:
        too_large = memory.is_out_of_memory(error)
        if len(pieces) == 1:
            if too_large:
                raise
            pieces[0].finish(error=error)
            return
    # Out here, where the exception and the tensors of its frames are gone.
    step = (len(pieces) + 1) // 2 if too_large else 1
    for first in range(0, len(pieces), step):
        _fill(work, pipeline, [piece for piece in pieces[first : first + step] if not piece.done])
