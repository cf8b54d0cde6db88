"""Calls in real Ray Serve replicas on this machine: steps, errors, files, stopping, and one killed under a call."""

from __future__ import annotations

import errno
import os
import signal
import tempfile
import time
from pathlib import Path

import pytest

from demo import gpu, ray_executor
from demo.gpu import Done, Step, Steps, Worker
from demo.scale import Scale
from gan_core.errors import BadValue
from gan_core.models import declare_models
from gan_core.registry import ModelRegistry

MODEL = "portraits/face"


@gpu.task()
def count(worker: Worker, model: str, steps: int, seconds: float, log: str) -> Steps[int]:
    """Writes its process's number and each step into a file; the result is how many steps this run of it made."""
    for index in range(steps):
        with Path(log).open("a") as file:
            file.write(f"{os.getpid()} {index}\n")
        yield Step(index / steps, f"step {index}")
        time.sleep(seconds)
    yield Done(steps)


@gpu.task()
def refuse(worker: Worker, model: str, sentence: str) -> Steps[None]:
    yield Step(0.0, "looking")
    raise BadValue(sentence)


@gpu.task()
def stumble(worker: Worker, model: str) -> Steps[None]:
    yield Step(0.0, "looking")
    raise KeyError("a mistake of ours")


@gpu.task()
def fill_disk(worker: Worker, model: str) -> Steps[None]:
    yield Step(0.0, "writing")
    raise OSError(errno.ENOSPC, "No space left on device")


@gpu.task(reads=("source",), writes=("target",))
def copy(worker: Worker, model: str, source: str, target: str) -> Steps[str]:
    Path(target).write_bytes(Path(source).read_bytes()[::-1])
    yield Done(target)


@gpu.task()
def parameters(worker: Worker, model: str) -> Steps[int]:
    """Of a model of the replica's own registry."""
    yield Done(worker.run(model, lambda generator: sum(p.numel() for p in generator.parameters())))


@gpu.task(together=True)
def company(worker: Worker, model: str, number: int) -> Steps[tuple[int, int]]:
    """The number, and of how many calls the batch was in which it came back."""
    yield Step(0.0, "waiting")
    yield Done(worker.run_together(model, with_their_count, number))


def with_their_count(generator, numbers):
    time.sleep(0.5)
    return [(number, len(numbers)) for number in numbers]


@pytest.fixture(scope="module")
def executor(tmp_path_factory):
    folder, declared = tmp_path_factory.mktemp("weights"), ModelRegistry()
    declare_models(declared, folder)
    arguments = {"weights": str(folder), "device": "cpu", "together": 4}
    executor = ray_executor.connect(None, Scale(2, 2, cpus=0.5), declared, **arguments)
    yield executor
    executor.close()
    assert ray_processes() == [], "the cluster ends with the process that made it"


def lines(path: Path) -> list[list[str]]:
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


def wait_for(condition, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_steps_and_result(executor, tmp_path) -> None:
    steps = list(executor.stream(count(MODEL, 2, 0, str(tmp_path / "log")), None))
    assert steps == [Step(0.0, "step 0"), Step(0.5, "step 1"), Done(2)]
    assert int(lines(tmp_path / "log")[0][0]) != os.getpid()


def test_a_persons_mistake_arrives_as_it_was_said_and_ours_as_an_error(executor) -> None:
    with pytest.raises(BadValue) as caught:
        list(executor.stream(refuse(MODEL, "Choose a number from 1 to 5."), None))
    assert str(caught.value) == "Choose a number from 1 to 5."
    with pytest.raises(Exception, match="a mistake of ours"):
        list(executor.stream(stumble(MODEL), None))
    with pytest.raises(OSError, match="No space left") as full:
        list(executor.stream(fill_disk(MODEL), None))
    assert full.value.errno == errno.ENOSPC


def test_models_are_loaded_there_and_known_here(executor) -> None:
    heard = []
    (done,) = executor.stream(parameters(MODEL), lambda *step: heard.append(step))
    assert done.value > 1_000_000 and any("Loading" in text for _, text in heard)
    infos = {info.name: info for info in executor.models()}
    assert infos[MODEL].loaded and "cpu of " in infos[MODEL].device
    assert sum(info.loaded for info in infos.values()) == 1


def test_files_travel(executor, tmp_path) -> None:
    source, target = tmp_path / "in.bin", tmp_path / "out.bin"
    source.write_bytes(bytes(range(256)) * 1000)
    assert list(executor.stream(copy(MODEL, str(source), str(target)), None)) == [Done(str(target))]
    assert target.read_bytes() == source.read_bytes()[::-1]


def test_closing_stops_the_work(executor, tmp_path) -> None:
    steps = executor.stream(count(MODEL, 1000, 0.05, str(tmp_path / "log")), None)
    next(steps)
    steps.close()
    time.sleep(1)
    made = len(lines(tmp_path / "log"))
    time.sleep(1)
    assert len(lines(tmp_path / "log")) == made < 100


def test_two_calls_compute_at_the_same_time(executor, tmp_path) -> None:
    """Once both replicas have started."""

    def processes() -> int:
        folder = Path(tempfile.mkdtemp(dir=tmp_path))
        logs = [folder / name for name in ("a", "b", "c")]
        runs = [executor.stream(count(MODEL, 400, 0.02, str(log)), None) for log in logs]
        for run in runs:
            next(run)
        wait_for(lambda: all(len(lines(log)) > 3 for log in logs))
        for run in runs:
            run.close()
        return len({lines(log)[0][0] for log in logs})

    wait_for(lambda: processes() == 2)


def test_a_replica_computes_several_visitors_calls_in_one_batch(executor) -> None:
    runs = [executor.stream(company(MODEL, number), None) for number in range(8)]
    for run in runs:
        next(run)
    found = [next(run).value for run in runs]
    assert [number for number, _ in found] == list(range(8))
    assert 2 <= max(count for _, count in found) <= 4


def test_a_replica_killed_under_a_call_and_the_call_begins_again_elsewhere(executor, tmp_path) -> None:
    log = tmp_path / "log"
    steps = executor.stream(count(MODEL, 20, 0.1, str(log)), None)
    next(steps)
    next(steps)
    first = lines(log)[0][0]
    os.kill(int(first), signal.SIGKILL)
    *_, last = steps
    assert last == Done(20)
    assert len({pid for pid, _ in lines(log)}) == 2
    # The one that was killed is replaced, and everything still works.
    assert list(executor.stream(count(MODEL, 1, 0, str(log)), None))[-1] == Done(1)


def ray_processes() -> list[int]:
    """Those of the cluster that this process has made: its children and theirs."""
    parents, names = {}, {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            names[int(entry.name)] = (entry / "cmdline").read_text()
            parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has ended meanwhile
            continue

    def is_ours(pid: int) -> bool:
        return pid == os.getpid() or (pid in parents and is_ours(parents[pid]))

    wanted = ("gcs_server", "raylet", "ray::")
    return [pid for pid, name in names.items() if any(word in name for word in wanted) and is_ours(pid)]


def test_the_whole_cluster_dies_and_the_call_begins_again_when_there_is_another(executor, tmp_path) -> None:
    log, heard = tmp_path / "log", []
    steps = executor.stream(count(MODEL, 10, 0.1, str(log)), lambda *step: heard.append(step))
    next(steps)
    for pid in ray_processes():
        os.kill(pid, signal.SIGKILL)
    assert list(steps)[-1] == Done(10) and "being restarted" in heard[0][1]
    assert len({pid for pid, _ in lines(log)}) == 2
    assert list(executor.stream(count(MODEL, 1, 0, str(log)), None))[-1] == Done(1)
