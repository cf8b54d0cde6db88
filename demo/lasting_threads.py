"""Threads that stay, for work with models: what PyTorch keeps for a thread is there at the next request, too.

A page answers each request in whichever thread is free, and PyTorch keeps the plans of cuDNN's convolutions for each
thread (since 2.1): the first drawing of every thread plans them all again, about a hundred times as long as the drawing
itself takes on a fast GPU. On a CPU each thread that computes has helper threads of OpenMP, and memory of its own.
"""

from __future__ import annotations

import contextvars
import functools
import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")
V = TypeVar("V")

_Jobs = SimpleQueue[tuple[Callable[[], Any], Future[Any]]]


class LastingThreads:
    """As many threads as there was work at the same time at most. Safe to use from several threads.

    The one that worked last works next, so one after another is all done by one thread.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._idle: list[_Jobs] = []  # of threads that wait for work, the one that worked last at the end

    def call(self, work: Callable[..., T], *given: Any) -> T:
        """work(*given) in one of these threads, with the caller's context variables. Raises what it raises."""
        done: Future[T] = Future()
        self._jobs().put((functools.partial(contextvars.copy_context().run, work, *given), done))
        try:
            return done.result()
        finally:
            del done  # an error would hold it, and it the error, and so the tensors of the frames that failed

    def bound(self, work: Callable[[V], T]) -> Callable[[V], T]:
        """A function that does `work` in one of these threads."""
        return functools.partial(self.call, work)

    def iterated(self, begin: Callable[[V], Iterator[T]]) -> Callable[[V], Generator[T, None, None]]:
        """`begin`, with every item of its iterator made in one of these threads. Closing the iterator closes that of
        `begin`."""

        def items(given: V) -> Generator[T, None, None]:
            own, end = self.call(begin, given), object()
            try:
                while (item := self.call(next, own, end)) is not end:
                    yield item
            finally:
                if isinstance(own, Generator):
                    self.call(own.close)

        return items

    def _jobs(self) -> _Jobs:
        try:
            return self._idle.pop()
        except IndexError:
            jobs: _Jobs = SimpleQueue()
            threading.Thread(target=self._serve, args=(jobs,), name=self._name, daemon=True).start()
            return jobs

    def _serve(self, jobs: _Jobs) -> None:
        while True:
            self._do(jobs)  # in a frame of its own, so that nothing of it is held while the next one is waited for

    def _do(self, jobs: _Jobs) -> None:
        work, done = jobs.get()
        try:
            result = work()
        except BaseException as error:  # raised again where it is waited for
            self._idle.append(jobs)  # before it is told, so that whoever hears of it finds this thread
            done.set_exception(error)
        else:
            self._idle.append(jobs)
            done.set_result(result)
        finally:
            del work, done
