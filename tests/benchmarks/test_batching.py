"""The benchmark of batching runs, without a page, and compares what it says."""

from __future__ import annotations

import json

import pytest

from demo import gpu, turns
from gan_core.benchmarks import batching as bench
from gan_core.benchmarks import sliders
from gan_core.registry import ModelSpec
from tests.demo import fakes
from tests.import_graph import ImportGraph


def test_it_needs_no_page() -> None:
    graph = ImportGraph()
    named = {target.split(".")[0] for name in graph.reached(bench.__name__) for target in graph.named(name)}
    assert {"torch", "PIL"} <= named and not named & {"gradio", "gradio_client", "fastapi", "ray"}


def test_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    def declare(registry, _folder):
        registry.declare(ModelSpec(bench.EMBEDDED, lambda load: fakes.FakePipeline(), 256, "CC0-1.0"))

    monkeypatch.setattr(bench, "declare_models", declare)
    for module in (bench, sliders):
        monkeypatch.setattr(module, "embedded_sliders", lambda: fakes.SLIDERS)
    monkeypatch.setattr(gpu, "_executor", None)
    monkeypatch.setattr(turns, "line", turns.line)
    flags = "--device cpu --visitors 4 --together 4 --seconds 0.3 --rounds 2 --threads 1"
    assert bench.main(flags.split()) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["one at a time"]["mean batch"] == 1 < found["together"]["mean batch"] <= 4
    assert found["largest difference, grey levels of 255"] == 0
    one, many = (found[side]["answers a second"] for side in ("one at a time", "together"))
    assert one > 0 and found["ratio"] == pytest.approx(many / one, rel=0.1)
