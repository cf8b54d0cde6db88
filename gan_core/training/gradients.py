"""Keeps a network's gradients in one buffer, and averages them over processes while the backward pass runs."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from gan_core.errors import TrainingDiverged
from gan_core.training.distributed import ProcessGroup

BUCKET = 4 << 20  # numbers averaged at once: large enough for the link, small enough to start early


def check_finite(gradients: Collection[Flat], steps: int) -> int:
    """Number of gradients dropped since the last call; waits for the device.

    Raises:
        TrainingDiverged: more than half of a network's gradients of the last `steps` steps were dropped.
    """
    counts = [int(gradient.dropped.item()) for gradient in gradients]
    for gradient in gradients:
        gradient.dropped.zero_()
    if counts and max(counts) > steps / 2:
        raise TrainingDiverged(
            f"{max(counts)} gradients of the last {steps} steps were not finite. The last checkpoint is kept; go on "
            "from it with a lower learning rate or stronger gradient penalties."
        )
    return sum(counts)


class Flat:
    """Gradients as views of one buffer, so that one call zeroes them all and few calls exchange them."""

    def __init__(self, *modules: nn.Module) -> None:
        self.parameters = [p for module in modules for p in module.parameters() if p.requires_grad]
        self.buffer = torch.zeros(sum(p.numel() for p in self.parameters), device=self.parameters[0].device)
        # Number of gradients that were not finite, since the last check.
        self.dropped = torch.zeros((), device=self.buffer.device)
        self._buckets: list[tuple[int, int]] = []  # ends of each bucket in the buffer
        self._members: list[int] = []  # parameters in each
        self._missing: list[int] | None = None  # gradients not yet computed, during a backward pass
        self._begun: list = []
        self._processes: ProcessGroup | None = None
        offset = start = members = 0
        for p in self.parameters:
            p.grad = self.buffer.as_strided(p.shape, p.stride(), offset)
            p.register_post_accumulate_grad_hook(self._hook(len(self._buckets)))
            offset += p.numel()
            members += 1
            if offset - start >= BUCKET:
                self._buckets.append((start, offset))
                self._members.append(members)
                start, members = offset, 0
        if members:
            self._buckets.append((start, offset))
            self._members.append(members)

    def _hook(self, bucket: int):  # noqa: ANN202
        def filled(_: Tensor) -> None:
            if self._missing is None:
                return
            self._missing[bucket] -= 1
            if self._missing[bucket] == 0:
                self._begin(bucket)

        return filled

    def _begin(self, bucket: int) -> None:
        start, end = self._buckets[bucket]
        assert self._processes is not None
        self._begun.append(self._processes.begin_all_reduce_mean(self.buffer[start:end]))

    def drop_non_finite(self) -> None:
        """Set a gradient that is not finite to zero and count it, without waiting for the device."""
        broken = ~torch.isfinite(self.buffer).all()
        self.buffer.masked_fill_(broken, 0.0)
        self.dropped += broken

    @contextmanager
    def exchanged(self, processes: ProcessGroup) -> Iterator[None]:
        """Context of one backward pass, after which the gradients are averaged over all processes.

        Each part of the buffer is sent as soon as it is complete; all processes must run the same backward pass.
        """
        if processes.size == 1:
            yield
            return
        self._processes, self._missing, self._begun = processes, list(self._members), []
        try:
            yield
            for bucket, missing in enumerate(self._missing):
                if missing:  # some of its parameters take no part in this pass
                    self._begin(bucket)
            for finish in self._begun:
                finish()
        finally:
            self._missing, self._begun = None, []
