"""Records the pieces of a training step as CUDA graphs, so that no step waits for Python or the host."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

import torch

log = logging.getLogger(__name__)

Pieces = dict[str, Callable[[], None]]


def capture(pieces: Mapping[str, Callable[[], None]], warm_up: int = 3) -> Pieces:
    """Record each piece, after warming all up on a side stream; replaying runs it again on the same memory.

    The pieces share one memory pool and must be replayed in the order given. If some pieces are not replayed in every
    step (such as a penalty), tensors that a piece leaves for later ones must have been allocated before the capture:
    memory that a recording allocated may be reused by another recording.

    Args:
        pieces: functions without arguments that neither wait for the device nor copy from the host.

    Returns:
        name -> function that replays; if recording fails, the pieces themselves, with a warning in the log. In both
        cases the side effects of the warm-up (sums, strengths) have happened.
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
