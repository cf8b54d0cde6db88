"""Run by two processes in test_gradients.py: what each has after an exchanged backward pass, as JSON."""

import json
import sys
from pathlib import Path

import torch
from torch import nn

from gan_core.training import distributed, gradients


def main() -> None:
    gradients.BUCKET = 40  # several buckets, of several parameters
    processes = distributed.init("cpu")
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 5), nn.Linear(5, 6), nn.Linear(6, 2))
    unused = nn.Linear(3, 3)
    flat = gradients.Flat(nn.ModuleList([net, unused]))
    x = torch.arange(8.0).view(2, 4) * (processes.rank + 1)
    with flat.exchanged(processes):
        net(x).square().sum().backward()
    Path(sys.argv[1], f"{processes.rank}.json").write_text(json.dumps(flat.buffer.tolist()))
    processes.destroy()


if __name__ == "__main__":
    main()
