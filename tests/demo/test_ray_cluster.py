"""A Ray cluster that goes away and comes back, without Ray: what is told to whom, and that nothing waits for ever."""

import threading

import pytest

from demo import gpu, ray_cluster, ray_executor
from demo.gpu import Done, Step, Steps, Worker
from demo.ray_cluster import AWAY, Cluster
from demo.ray_executor import RayExecutor
from demo.replica import Message
from gan_core.errors import Busy
from gan_core.registry import ModelRegistry
from tests.demo.test_turns import until


@gpu.task()
def draw(worker: Worker, model: str) -> Steps[str]:
    yield Done("never run here")


class Head:
    """Stands for the cluster: each life has a handle of its own."""

    def __init__(self):
        self.up, self.lives, self.left, self.misses = True, 0, 0, 0
        self.hangs = threading.Event()

    def join(self):
        if not self.up:
            raise ConnectionError("nobody listens")
        self.lives += 1
        return Handle(self.lives, self)

    def answers(self):
        if self.misses:
            self.misses -= 1
            raise TimeoutError("no answer")
        return self.up

    def leave(self):
        self.left += 1


class Handle:
    """Of the deployment in one life: the first one's calls stop in the middle, and wait for ever."""

    def __init__(self, life, head):
        self.life, self.head = life, head
        self.run = self

    def options(self, **_options):
        return self

    def remote(self, call, files):
        yield Message("replica", step=Step(0.5, "half"))
        if self.life == 1:
            self.head.hangs.set()
            threading.Event().wait()
        yield Message("replica", step=Done(f"life {self.life}"))


@pytest.fixture
def head(monkeypatch):
    monkeypatch.setattr(ray_cluster, "_EVERY", 0.01)
    monkeypatch.setattr(ray_cluster, "_AGAIN", 0.01)
    return Head()


@pytest.fixture
def cluster(head):
    cluster = Cluster(head.join, head.answers, head.leave)
    yield cluster
    cluster.close()


def test_a_cluster_that_is_lost_is_joined_again_when_it_is_back(head, cluster) -> None:
    cluster.connect()
    first = cluster.connection()
    head.up = False
    until(lambda: first.lost)
    with pytest.raises(Busy, match="being restarted. Please try again"):
        cluster.connection()
    assert not cluster.wait(0.05)
    head.up = True
    assert cluster.wait(10) and cluster.connection().handle.life == 2
    assert not cluster.connection().lost and head.left == 1


def test_one_answer_that_does_not_come_changes_nothing(head, cluster) -> None:
    cluster.connect()
    connection = cluster.connection()
    head.misses = 2
    until(lambda: not head.misses)
    assert cluster.doubt(connection) is False
    assert cluster.connection() is connection and head.left == 0


def test_who_doubts_hears_whether_it_is_lost(head, cluster) -> None:
    cluster.connect()
    connection = cluster.connection()
    head.up = False
    assert cluster.doubt(connection) is True


def test_a_page_that_is_started_first_waits_for_the_cluster(head, cluster) -> None:
    head.up = False
    cluster.connect()
    with pytest.raises(Busy):
        cluster.connection()
    head.up = True
    assert cluster.wait(10)


def test_what_is_wrong_with_the_deployment_is_said_at_the_start(head) -> None:
    def join():
        raise RuntimeError("deploying failed")

    with pytest.raises(RuntimeError, match="deploying failed"):
        Cluster(join, head.answers, head.leave).connect()


def test_a_call_under_which_the_cluster_goes_away_is_begun_again(head, cluster) -> None:
    cluster.connect()
    heard, found = [], []
    executor = RayExecutor(cluster, ModelRegistry(), ("a replica",))

    def visit():
        found.extend(executor.stream(draw("model"), lambda *step: heard.append(step)))

    visitor = threading.Thread(target=visit, daemon=True)
    visitor.start()
    assert head.hangs.wait(10)
    head.up = False
    until(lambda: heard)
    assert "being restarted" in heard[0][1]
    head.up = True
    visitor.join(10)
    assert found[-1] == Done("life 2")


def test_a_cluster_that_does_not_come_back_is_not_waited_for_long(head, cluster, monkeypatch) -> None:
    monkeypatch.setattr(ray_executor, "_PATIENCE", 0.05)
    cluster.connect()
    executor = RayExecutor(cluster, ModelRegistry(), ("a replica",))
    steps = executor.stream(draw("model"), None)
    assert next(steps) == Step(0.5, "half")
    head.up = False
    with pytest.raises(Busy, match=AWAY):
        next(steps)
    with pytest.raises(Busy, match=AWAY):  # who comes now reads it at once
        next(executor.stream(draw("model"), None))
