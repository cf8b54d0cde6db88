"""The benchmark's plumbing: its lines, and the authors' code run in a process of its own."""

import json
import sys
from pathlib import Path

import pytest
import torch

from gan_core.benchmarks import overview as bench
from gan_core.benchmarks.authors import time_authors
from gan_core.errors import BadValue

NETWORKS = """
import torch
class Generator(torch.nn.Module):
    def __init__(self, z, c, w, side, channels, mapping_kwargs, synthesis_kwargs):
        super().__init__()
        assert side == 1024 and synthesis_kwargs["channel_base"] == 32768
    def mapping(self, z, c):
        return z[:, None].repeat(1, 18, 1)
    def synthesis(self, codes, noise_mode):
        return codes.mean((1, 2))[:, None, None, None] + torch.zeros(1, 3, 8, 8)
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "training").mkdir()
    (tmp_path / "training" / "networks.py").write_text(NETWORKS)
    return tmp_path


def test_authors_code_is_timed(checkout: Path) -> None:
    times = time_authors("synthesis", {"stylegan2": checkout}, torch.device("cpu"), 3)
    assert len(times) == 3 and all(t > 0 for t in times)
    assert time_authors("hfgi", {"stylegan2": checkout}, torch.device("cpu"), 3) is None


def test_broken_checkout_says_why(tmp_path: Path) -> None:
    with pytest.raises(BadValue, match="training"):
        time_authors("synthesis", {"stylegan2": tmp_path}, torch.device("cpu"), 1)


def test_a_line_and_numbers(monkeypatch, capsys, checkout: Path, tmp_path: Path) -> None:
    def make(device: torch.device) -> bench.Work:
        return lambda: torch.ones(10, device=device).sum()

    monkeypatch.setitem(bench.BENCHMARKS, "synthesis", bench.Benchmark("a sum", make, cpu_goal=10_000))
    out = tmp_path / "numbers.json"
    flags = ["--device", "cpu", "--only", "synthesis", "--stylegan2", str(checkout), "--json", str(out), "--threads"]
    monkeypatch.setattr(sys, "argv", ["bench", *flags, str(torch.get_num_threads())])
    bench.main()
    printed = capsys.readouterr().out
    assert "a sum" in printed and "reached" in printed and "times as long" in printed
    assert json.loads(out.read_text())["a sum"]["authors"] > 0
