"""Functions of tensors, recorded once as CUDA graphs and replayed: no launch of theirs waits for Python.

A network at batch 1 is a hundred small kernels, and starting them one by one takes longer than running them.
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

_enabled = True
_lock = threading.Lock()  # recordings share memory: one replay, and the copy of its results, at a time
_made = 0


def disable() -> None:
    """Run everything directly from now on (ZeroGPU: a worker lives for one request, recording would not pay)."""
    global _enabled
    _enabled = False


def recordings_made() -> int:
    """How many graphs this process has recorded: while it stays the same, no pool of one has grown."""
    return _made


class Captured:
    """`function`, recorded for every combination of shapes it is called with.

    The function takes tensors and returns a tensor or a tuple of tensors; what it does must depend on nothing else that
    changes, and it must not wait for the device. On the CPU, and where recording fails (said once), it is called as
    it is. Drop the object when the tensors that the function uses are moved or replaced.
    """

    def __init__(self, function: Callable[..., Any], *, keep: int = 4) -> None:
        self._function = function
        self._keep = keep  # recordings; the least recently used goes first
        self._recordings: OrderedDict[tuple, _Recording] = OrderedDict()
        self._pools: Counter[str] = Counter()  # bytes that recording took, by device
        self._failed = False

    def held_memory(self) -> tuple[list[Any], dict[str, int]]:
        """For `memory.held`: the function and the recordings' inputs, and the bytes of their pool (outputs are in it).

        All recordings share one pool, which gives nothing back while one of them lives.
        """
        inputs = [tensor for recording in self._recordings.values() for tensor in recording.inputs]
        return [self._function, *inputs], dict(self._pools)

    def __call__(self, *tensors: Tensor) -> Any:
        """`function(*tensors)`; the results are the caller's to keep."""
        if not (_enabled and not self._failed and tensors[0].is_cuda):
            return self._function(*tensors)
        # Buffers that outlive the call must be ordinary tensors, whatever mode the caller is in.
        with _lock, torch.inference_mode(False), torch.no_grad():
            key = tuple((t.shape, t.dtype, t.device) for t in tensors)
            recording = self._recordings.pop(key, None)
            if recording is None:
                try:
                    others = next(reversed(self._recordings.values()), None)
                    recording = _Recording(self._function, tensors, others and others.pool)
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


class _Recording:
    def __init__(self, function: Callable[..., Any], tensors: tuple[Tensor, ...], pool: Any) -> None:
        device = tensors[0].device
        self.inputs = [torch.empty_like(t).copy_(t) for t in tensors]
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
            mine.copy_(given)
        self._graph.replay()
        if isinstance(self._outputs, Tensor):
            return self._outputs.clone()
        return tuple(output.clone() for output in self._outputs)


@contextmanager
def _left_in_order(device: torch.device) -> Iterator[None]:
    """A recording that fails leaves its own stream current, and random numbers waiting for the recording's end."""
    stream, generator = torch.cuda.current_stream(device), torch.cuda.default_generators[device.index]
    try:
        yield
    except RuntimeError:
        torch.cuda.set_stream(stream)
        generator.graphsafe_set_state(generator.clone_state())
        raise
