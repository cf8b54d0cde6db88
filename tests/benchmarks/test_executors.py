"""The benchmark of the executors runs, without a page and without Ray, and compares what it says."""

from __future__ import annotations

import json
import sys
import time

import pytest

from demo import computing, gpu, turns
from demo.gpu import Step
from demo.ray_executor import RayExecutor
from gan_core.benchmarks import executors as bench
from gan_core.benchmarks import replicas, sliders
from gan_core.registry import ModelRegistry, ModelSpec
from tests.demo import fakes
from tests.import_graph import ImportGraph


class Machine(RayExecutor):
    """Stands for a cluster: edits take a time, as many at once as it has replicas, and one fails after a kill."""

    def __init__(self, registry, replicas):
        super().__init__(lambda: None, registry, tuple(f"replica {i}" for i in range(replicas)))
        self.executor = computing.executors.LocalExecutor(registry)
        self.killed = self.closed = False

    def stream(self, call, progress):
        self.killed, killed = False, self.killed
        if killed:
            raise ValueError("lost")
        yield Step(0.5, "drawing")
        time.sleep(0.02)
        yield from self.executor.stream(call, progress)

    def models(self):
        places = ", ".join(f"cpu of {name}" for name in self.devices())
        return [bench.dataclasses.replace(info, device=places) for info in self.executor.models()]

    def close(self):
        self.closed = True


@pytest.fixture
def machines(monkeypatch: pytest.MonkeyPatch) -> list[Machine]:
    """Those that were made."""
    made: list[Machine] = []

    def declare(registry, _folder):
        registry.declare(ModelSpec(bench.EMBEDDED, lambda load: fakes.FakePipeline(), 256, "CC0-1.0"))

    def connect(address, scale, declared, **arguments):
        registry = ModelRegistry(("cpu",))
        declare(registry, None)
        made.append(Machine(registry, scale.most))
        return made[-1]

    monkeypatch.setattr(computing, "declare_models", declare)
    monkeypatch.setattr(computing.ray_executor, "connect", connect)
    for module in (bench, sliders):
        monkeypatch.setattr(module, "embedded_sliders", lambda: fakes.SLIDERS)
    monkeypatch.setattr(gpu, "_executor", None)
    monkeypatch.setattr(turns, "line", turns.line)
    return made


def test_it_needs_no_page() -> None:
    graph = ImportGraph()
    named = {target.split(".")[0] for name in graph.reached(bench.__name__) for target in graph.named(name)}
    assert {"torch", "PIL"} <= named and not named & {"gradio", "gradio_client", "fastapi"}


def test_command(machines, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    def kill() -> None:
        machines[-1].killed = True

    monkeypatch.setattr(replicas, "kill_a_replica", kill)
    flags = "--no-page --people 3 --seconds 0.3 --rounds 1 --kill"
    monkeypatch.setattr(sys, "argv", ["replicas", *flags.split()])
    replicas.main()
    *found, killed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(one["executor"], one["devices"]) for one in found] == [("local", 1), ("local", 2), ("ray", 1), ("ray", 2)]
    for one, two in (found[:2], found[2:]):
        assert one["times the first"] == 1 and one["failed"] == two["failed"] == 0
        ratio = two["answers a second"] / one["answers a second"]
        assert two["times the first"] == pytest.approx(ratio, abs=0.01)
    assert found[0]["mean batch"] == 1 and "mean batch" not in found[2]
    assert killed["a replica killed"]["failed"] == 1
    assert killed["a replica killed"]["what was said"] == ["ValueError: lost"]
    assert len(machines) == 2 and all(machine.closed for machine in machines)
