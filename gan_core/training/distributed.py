"""Distributed training under torchrun; the same calls work in a single process."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor


@dataclass(frozen=True)
class ProcessGroup:
    """The processes that train together, and this process's rank."""

    rank: int
    size: int
    device: torch.device

    @property
    def is_main(self) -> bool:
        """Whether this process writes logs and files."""
        return self.rank == 0

    def all_reduce_mean_(self, tensor: Tensor) -> None:
        """Replace `tensor` by its mean over all processes."""
        self.begin_all_reduce_mean(tensor)()

    def begin_all_reduce_mean(self, tensor: Tensor) -> Callable[[], None]:
        """Start the same without waiting; `tensor` must not be used until the returned function was called."""
        if self.size == 1:
            return lambda: None
        if tensor.is_cuda:
            return dist.all_reduce(tensor, op=dist.ReduceOp.AVG, async_op=True).wait
        work = dist.all_reduce(tensor, async_op=True)

        def finish() -> None:
            work.wait()
            tensor.div_(self.size)  # gloo has no mean

        return finish

    def broadcast_(self, tensors: list[Tensor]) -> None:
        """Replace tensors by the main process's values."""
        if self.size > 1:
            for tensor in tensors:
                dist.broadcast(tensor, 0)

    def broadcast_value(self, value: float) -> float:
        """The main process's value, so that all of them leave a loop at the same step."""
        if self.size == 1:
            return value
        word = torch.tensor([value], device=self.device, dtype=torch.float64)
        dist.broadcast(word, 0)
        return float(word.item())

    def destroy(self) -> None:
        """End the process group."""
        if self.size > 1:
            dist.destroy_process_group()


def init(device: str = "auto") -> ProcessGroup:
    """Initialise the process group of torchrun, or one of this process alone.

    Args:
        device: "auto" for a GPU where there is one, else "cpu" or "cuda".
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    rank = int(os.environ.get("RANK", "0"))
    cuda = torch.cuda.is_available() if device == "auto" else device.startswith("cuda")
    chosen = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(chosen)
        torch.backends.cudnn.benchmark = True
        torch.backends.cuda.matmul.allow_tf32 = True
        torch.backends.cudnn.allow_tf32 = True
    if size > 1:
        dist.init_process_group("nccl" if cuda else "gloo", device_id=chosen if cuda else None)
    return ProcessGroup(rank, size, chosen)
