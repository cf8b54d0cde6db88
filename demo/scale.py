"""How many replicas a Ray Serve deployment has, and what each takes of its machine."""

from __future__ import annotations

import re
from dataclasses import dataclass

from demo.collector import batch_size


@dataclass(frozen=True)
class Scale:
    """Of `demo.ray_executor`."""

    least: int = 1
    most: int = 1
    """More than `least`: replicas come and go with the load."""
    cpus: float = 1.0
    """Cores of each; PyTorch uses as many threads."""
    gpus: float = 0.0
    """Of each; 0.5: two replicas share a GPU."""

    @classmethod
    def parse(cls, replicas: str, cpus: float = 1.0, gpus: float = 0.0) -> Scale:
        """replicas: "2", or "1-4" for as many as the load asks for. Raises ValueError with a sentence."""
        match = re.fullmatch(r"(\d+)(?:-(\d+))?", replicas.strip())
        least, most = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
        if not 1 <= least <= most:
            raise ValueError(f"{replicas!r} is no number of replicas; write 2, or 1-4")
        if cpus <= 0 or gpus < 0:
            raise ValueError("a replica needs more than no core, and not less than no GPU")
        return cls(least, most, cpus, gpus)

    def together(self, asked: int | None) -> int:
        """`demo.collector.batch_size` of a replica."""
        return batch_size(("cuda",) if self.gpus else ("cpu",), asked)
