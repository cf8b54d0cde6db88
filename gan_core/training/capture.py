"""The pieces of a training step, recorded once as CUDA graphs: no step waits for Python or the host."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

import torch

log = logging.getLogger(__name__)

Pieces = dict[str, Callable[[], None]]


def capture(pieces: Mapping[str, Callable[[], None]], warm_up: int = 3) -> Pieces:
    """Record each piece, after warming all up on a side stream; replaying runs it again on the same memory.

    The pieces share one memory pool and must be replayed in the order given. Where only some of them are replayed in a
    step (a penalty every few steps), what one leaves for a later one must lie in memory of its own, allocated before:
    memory that a recording allocated may be used by a recording made earlier.

    Args:
        pieces: functions without arguments that neither wait for the device nor copy from the host.

    Returns:
        name -> function that replays; the pieces themselves where recording fails, which is said (slower is better
        than not at all). Either way their side effects of the warm-up (sums, strengths) have happened.
    """
    replays: Pieces = {}
    try:
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(warm_up):
                for piece in pieces.values():
                    piece()
        torch.cuda.current_stream().wait_stream(stream)
        pool = None
        for name, piece in pieces.items():
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, pool=pool):
                piece()
            pool = pool or graph.pool()
            replays[name] = graph.replay
    except RuntimeError as error:
        torch.cuda.synchronize()
        log.warning("The step could not be recorded as CUDA graphs and runs as it is (slower): %s", error)
        return dict(pieces)
    return replays
