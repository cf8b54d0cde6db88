"""Gradients are exchanged while the backward pass runs, and come out as their mean."""

import json
import os
import subprocess
import sys
from pathlib import Path

import torch
from torch import nn

ROOT = Path(__file__).resolve().parents[2]


def test_two_processes_get_the_mean(tmp_path: Path) -> None:
    script = Path(__file__).with_name("exchange.py")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
    environment = dict(os.environ, OMP_NUM_THREADS="1", PYTHONPATH=str(ROOT))
    result = subprocess.run(
        [*command, str(tmp_path)], capture_output=True, text=True, timeout=120, env=environment, check=False
    )
    assert result.returncode == 0, result.stderr[-2000:]
    got = [torch.tensor(json.loads((tmp_path / f"{rank}.json").read_text())) for rank in (0, 1)]

    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 5), nn.Linear(5, 6), nn.Linear(6, 2))
    x = torch.arange(8.0).view(2, 4)
    (sum(net(x * factor).square().sum() for factor in (1, 2)) / 2).backward()
    want = torch.cat([p.grad.flatten() for p in net.parameters()] + [torch.zeros(12)])
    for mine in got:
        torch.testing.assert_close(mine, want, rtol=1e-4, atol=1e-3)
