"""What the bench times is a swap, and its command runs."""

from __future__ import annotations

import sys

import pytest
import torch

from gan_core.benchmarks import swapping_autoencoder as bench
from gan_core.swapping_autoencoder.pipeline import SwappingAutoencoderPipeline
from tests.gan_core.swapping_autoencoder.test_pipeline import networks, picture


def test_it_is_the_pipelines_swap() -> None:
    pipe = SwappingAutoencoderPipeline(*networks())
    first, second = picture(), picture(seed=1)
    with torch.inference_mode():
        timed = bench.swap(pipe, torch.cat([first, second]))
    expected = pipe.draw(pipe.encode(first), [pipe.encode(second)])
    assert torch.allclose(timed.clamp(-1, 1), expected, atol=1e-5)


def test_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr(bench, "published_architecture", lambda *_: SwappingAutoencoderPipeline(*networks()))
    monkeypatch.setattr(sys, "argv", ["bench", "--side", "32", "--repeats", "2", "--device", "cpu", "--threads", "1"])
    bench.main()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 and "32 px" in lines[0] and lines[1].startswith("swap: median")
