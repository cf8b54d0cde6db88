"""The page's side of a Ray cluster that goes away and comes back, without Ray: `fake_bridge` is its cluster."""

import os
import signal
import threading

import pytest

from demo import gpu, ray_executor
from demo.gpu import Done, Step, Steps, Worker
from demo.ray_bridge import Joining
from demo.ray_executor import AWAY, Link, RayExecutor
from demo.scale import Scale
from gan_core.errors import BadValue, Busy
from gan_core.registry import ModelRegistry
from tests.demo.test_turns import until

COMMAND = ("-m", "tests.demo.fake_bridge")


@gpu.task()
def draw(worker: Worker, model: str) -> Steps[str]:
    yield Done("never run here")


@gpu.task()
def die(worker: Worker, model: str) -> Steps[str]:
    yield Done("never run here")


@gpu.task()
def refuse(worker: Worker, model: str) -> Steps[str]:
    yield Done("never run here")


@gpu.task()
def stumble(worker: Worker, model: str) -> Steps[str]:
    yield Done("never run here")


@gpu.task()
def puzzle(worker: Worker, model: str) -> Steps[str]:
    yield Done("never run here")


@gpu.task()
def wait(worker: Worker, model: str, stopped: str) -> Steps[str]:
    yield Done("never run here")


@pytest.fixture
def cluster(tmp_path):
    """The file that stands for it."""
    path = tmp_path / "cluster"
    path.write_text("1")
    return path


@pytest.fixture
def executor(cluster, monkeypatch):
    monkeypatch.setattr(ray_executor, "_PAUSE", 0.05)
    joining = Joining(str(cluster), Scale(), {})
    executor = RayExecutor(lambda: Link.start(COMMAND, joining), ModelRegistry(), ("a replica",))
    yield executor
    executor.close()


def test_steps_words_and_a_result(executor) -> None:
    executor.connect()
    heard = []
    steps = list(executor.stream(draw("model"), lambda *step: heard.append(step)))
    assert steps == [Step(0.5, "life 1"), Done("life 1")] and heard == [(0.7, "loading")]


def test_mistakes(executor) -> None:
    executor.connect()
    with pytest.raises(BadValue, match="Choose a number from 1 to 5."):
        list(executor.stream(refuse("model"), None))
    with pytest.raises(RuntimeError, match="a mistake of ours"):
        list(executor.stream(stumble("model"), None))
    with pytest.raises(RuntimeError, match="not 1 but 2"):  # an error that cannot be pickled
        list(executor.stream(puzzle("model"), None))
    assert list(executor.stream(draw("model"), None))[-1] == Done("life 1")


def test_closing_stops_the_call(executor, tmp_path) -> None:
    executor.connect()
    steps = executor.stream(wait("model", str(tmp_path / "stopped")), None)
    next(steps)
    steps.close()
    until((tmp_path / "stopped").exists)
    assert list(executor.stream(draw("model"), None))[-1] == Done("life 1")


def test_a_call_under_which_everything_dies_is_begun_again(executor, cluster) -> None:
    executor.connect()
    heard = []
    steps = executor.stream(die("model"), lambda *step: heard.append(step))
    assert next(steps) == Step(0.5, "life 1")
    cluster.write_text("2")
    assert list(steps) == [Step(0.5, "life 2"), Done("life 2")]
    assert "being restarted" in heard[0][1]


def test_a_cluster_that_does_not_answer_is_left_and_joined_again_when_it_is_back(executor, cluster) -> None:
    """Its calls would wait for ever."""
    executor.connect()
    found, heard = [], []
    call = wait("model", str(cluster.parent / "stopped"))

    def visit():
        found.extend(executor.stream(call, lambda *step: heard.append(step)))

    visitor = threading.Thread(target=visit, daemon=True)
    visitor.start()
    cluster.unlink()
    until(lambda: heard, 20)
    assert "being restarted" in heard[0][1]
    with pytest.raises(Busy, match="Please try again in a minute"):  # who comes now reads it at once
        next(executor.stream(draw("model"), None))
    cluster.write_text("2")
    until(lambda: (link := executor._link) and not link.ended, 20)
    assert list(executor.stream(draw("model"), None))[-1] == Done("life 2")
    visitor.join(20)
    assert found[-1] == Done("life 2")


def test_a_cluster_that_does_not_come_back_is_not_waited_for_long(executor, cluster, monkeypatch) -> None:
    monkeypatch.setattr(ray_executor, "_PATIENCE", 0.05)
    executor.connect()
    steps = executor.stream(die("model"), None)
    next(steps)
    cluster.unlink()
    with pytest.raises(Busy, match=AWAY):
        list(steps)


def test_a_process_that_does_not_end_is_ended(executor, monkeypatch) -> None:
    """Otherwise the page would neither end nor join the cluster again."""
    monkeypatch.setattr(ray_executor, "_LEAVE", 0.1)
    executor.connect()
    process = executor._link._process
    process.send_signal(signal.SIGSTOP)
    executor.close()
    assert process.returncode == -signal.SIGKILL


def test_a_page_that_ends_while_it_joins_leaves_no_process(cluster, monkeypatch) -> None:
    """It is closed between the start of a process and its use."""
    monkeypatch.setattr(ray_executor, "_PAUSE", 0.05)
    links = []

    def start():
        if not cluster.exists():
            raise ConnectionError("nobody listens")
        links.append(Link.start(COMMAND, Joining(str(cluster), Scale(), {})))
        executor.close()
        return links[0]

    cluster.unlink()
    executor = RayExecutor(start, ModelRegistry(), ("a replica",))
    executor.connect()
    cluster.write_text("1")
    until(lambda: links and links[0]._process.returncode is not None, 20)
    assert executor._link is None


def test_a_page_that_is_started_first_waits_for_the_cluster(executor, cluster) -> None:
    cluster.unlink()
    executor.connect()
    with pytest.raises(Busy, match=AWAY):
        next(executor.stream(draw("model"), None))
    cluster.write_text("5")
    until(lambda: (link := executor._link) and not link.ended, 20)
    assert list(executor.stream(draw("model"), None))[-1] == Done("life 5")


def test_what_is_wrong_with_the_deployment_is_said_at_the_start(executor, cluster) -> None:
    cluster.write_text("broken")
    with pytest.raises(RuntimeError, match="deploying failed"):
        executor.connect()


def test_the_process_ends_with_the_page(executor) -> None:
    executor.connect()
    pid = executor._link._process.pid
    executor.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
