"""Functions of tensors, recorded once as CUDA graphs and replayed.

A network at batch 1 is about a hundred small kernels, and launching them one by one from Python takes longer than
running them; a recorded graph launches them all at once.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

log = logging.getLogger(__name__)

ROWS = (1, 2, 4, 8, 16)
"""Of batches that are recorded: one of another size is computed as part of the next larger one."""
_PIXELS = 4 << 20  # drawn in one batch: four pictures of 1024 x 1024

_enabled = True
_lock = threading.Lock()  # recordings share memory: one replay, and the copy of its results, at a time
_made = 0


def disable() -> None:
    """Record nothing from now on (on ZeroGPU a worker lives for one request, so a recording would not pay)."""
    global _enabled
    _enabled = False


def recordings_made() -> int:
    """How many graphs this process has recorded. While the number stays the same, their memory has not grown."""
    return _made


def pictures_at_once(height: int, width: int) -> int:
    """How many pictures of this size are worth drawing in one batch on a GPU: more of large ones cost as much memory as
    a model and gain nothing."""
    return max(1, min(ROWS[-1], _PIXELS // (height * width)))


class Captured:
    """`function`, recorded for every combination of shapes it is called with.

    The function takes tensors and returns a tensor or a tuple of tensors. Its result must depend on nothing else that
    changes, and it must not synchronise with the device. On the CPU, and where recording fails (logged once), it is
    called directly. Make a new object when the tensors that the function uses have been moved or replaced.

    keep: recordings; the least recently used goes first. rows: the first axis of the tensors and of the results is a
    batch, of as many rows as the first tensor has or of one that serves all; it is recorded for the sizes `ROWS` only.
    """

    def __init__(self, function: Callable[..., Any], *, keep: int = 4, rows: bool = False) -> None:
        self._function, self._rows = function, rows
        self._keep = keep + len(ROWS) if rows else keep
        self._recordings: OrderedDict[tuple, _Recording] = OrderedDict()
        self._pools: Counter[str] = Counter()  # bytes that recording took, by device
        self._failed = False

    def held_memory(self) -> tuple[list[Any], dict[str, int]]:
        """For `memory.held`: the function and the recordings' inputs, and the bytes of their memory pool, where the
        outputs are.

        All recordings share one pool, which is not freed before the last of them is dropped.
        """
        inputs = [tensor for recording in self._recordings.values() for tensor in recording.inputs]
        return [self._function, *inputs], dict(self._pools)

    def __call__(self, *tensors: Tensor) -> Any:
        """`function(*tensors)`. The results are copies: later calls do not overwrite them."""
        if not (_enabled and not self._failed and tensors[0].is_cuda):
            return self._function(*tensors)
        # Buffers that outlive the call must be ordinary tensors, whatever mode the caller is in.
        with _lock, torch.inference_mode(False), torch.no_grad():
            rows = rows_for(len(tensors[0])) if self._rows else None
            key = tuple((_shape(t, rows), t.dtype, t.device) for t in tensors)
            recording = self._recordings.pop(key, None)
            if recording is None:
                try:
                    others = next(reversed(self._recordings.values()), None)
                    recording = _Recording(self._function, tensors, others and others.pool, rows)
                except torch.OutOfMemoryError:
                    raise
                except RuntimeError as error:
                    self._failed = True
                    log.warning("not recorded as a CUDA graph, runs directly (slower): %s", error)
                    return self._function(*tensors)
                self._pools[str(tensors[0].device)] += recording.pool_bytes
            self._recordings[key] = recording
            while len(self._recordings) > self._keep:
                self._recordings.popitem(last=False)
            return recording.replay(tensors)


def rows_for(count: int) -> int:
    """The size of `ROWS` that a batch of `count` rows is computed in; a larger one is computed as it is."""
    return next((rows for rows in ROWS if rows >= count), count)


def _shape(tensor: Tensor, rows: int | None) -> tuple[int, ...]:
    """Of what is recorded for a tensor in a batch of so many rows; None: no batch."""
    if rows is None or len(tensor) == 1:
        return tuple(tensor.shape)
    return (rows, *tensor.shape[1:])


def with_rows(tensor: Tensor, rows: int | None) -> Tensor:
    """A copy of a tensor in a batch of so many rows: the last one is repeated. One that serves all stays one."""
    if _shape(tensor, rows) == tuple(tensor.shape):
        return torch.empty_like(tensor).copy_(tensor)
    last = tensor.ndim == 4 and tensor.is_contiguous(memory_format=torch.channels_last)
    form = torch.channels_last if last else torch.contiguous_format
    padded = torch.empty(_shape(tensor, rows), dtype=tensor.dtype, device=tensor.device, memory_format=form)
    padded[: len(tensor)] = tensor
    padded[len(tensor) :] = tensor[-1:]
    return padded


class _Recording:
    def __init__(self, function: Callable[..., Any], tensors: tuple[Tensor, ...], pool: Any, rows: int | None) -> None:
        device = tensors[0].device
        self._rows = rows
        self.inputs = [with_rows(t, rows) for t in tensors]
        side = torch.cuda.Stream(device)
        side.wait_stream(torch.cuda.current_stream(device))
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.stream(side):
            for _ in range(2):  # kernels are compiled and cuDNN chooses its algorithms
                function(*self.inputs)
        torch.cuda.current_stream(device).wait_stream(side)
        # Temporaries may share the memory of another living recording: results are copied before the next replay.
        with _left_in_order(device), torch.cuda.graph(self._graph, pool=pool, capture_error_mode="thread_local"):
            before = torch.cuda.memory_reserved(device)
            self._outputs = function(*self.inputs)
        self.pool_bytes = max(0, torch.cuda.memory_reserved(device) - before)
        self.pool = self._graph.pool()
        global _made
        _made += 1

    def replay(self, tensors: tuple[Tensor, ...]) -> Any:
        for mine, given in zip(self.inputs, tensors, strict=True):
            (mine if self._rows is None else mine[: len(given)]).copy_(given)  # rows beyond keep what they had
        self._graph.replay()
        single = isinstance(self._outputs, Tensor)
        outputs = [self._outputs] if single else self._outputs
        kept = outputs if self._rows is None else [output[: len(tensors[0])] for output in outputs]
        results = tuple(output.clone() for output in kept)
        return results[0] if single else results


@contextmanager
def _left_in_order(device: torch.device) -> Iterator[None]:
    """Restore the current stream and the random number generator when a recording fails, which leaves both in the
    state of the recording."""
    stream, generator = torch.cuda.current_stream(device), torch.cuda.default_generators[device.index]
    try:
        yield
    except RuntimeError:
        torch.cuda.set_stream(stream)
        generator.graphsafe_set_state(generator.clone_state())
        raise
