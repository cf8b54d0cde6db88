"""Frames on their way through stages of work: several at once in threads, or kept until later ones have come."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Threads:
    """Threads for `in_order`; made by `threads`."""

    def __init__(self, pool: ThreadPoolExecutor, count: int) -> None:
        self.pool, self.count = pool, count


@contextmanager
def threads(count: int) -> Iterator[Threads | None]:
    """So many threads for the block; None where one would gain nothing. What is not begun at its end is left undone."""
    if count < 2:
        yield None
        return
    pool = ThreadPoolExecutor(count, thread_name_prefix="frames")
    try:
        yield Threads(pool, count)
    finally:
        pool.shutdown(cancel_futures=True)


def in_order(several: Threads | None, work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """work(item) of each item, in their order, several at once in threads; None: here, one after another."""
    if several is None:
        yield from map(work, items)
        return
    begun: deque[Future[R]] = deque()
    for item in items:
        begun.append(several.pool.submit(work, item))
        if len(begun) > several.count:
            yield begun.popleft().result()
    while begun:
        yield begun.popleft().result()


def delayed(items: Iterable[T], ahead: float, time: Callable[[T], float], most: int) -> Iterator[T]:
    """The items, each once one has come that is `ahead` seconds or more after it, or `most` wait, or the last has come.

    time: when an item is shown, in seconds.
    """
    waiting: deque[T] = deque()
    for item in items:
        waiting.append(item)
        while waiting and (len(waiting) > most or time(item) - time(waiting[0]) >= ahead):
            yield waiting.popleft()
    yield from waiting
