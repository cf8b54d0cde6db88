import pytest

from demo import gpu
from demo.gpu import Done, Step


@pytest.fixture(autouse=True)
def _own_tasks(monkeypatch):
    monkeypatch.setattr(gpu, "_TASKS", {})


def test_steps_then_result():
    def work(number, progress):
        yield Step(0.5, "half")
        yield Done(number * 2)

    gpu.task("double", work)
    seen = []
    assert gpu.call("double", lambda *step: seen.append(step), number=4) == 8
    assert seen == [(0.5, "half")]
    assert list(gpu.stream("double", number=1)) == [Step(0.5, "half"), Done(2)]


def test_closing_the_stream_stops_the_task():
    stopped = []

    def work(progress):
        try:
            for index in range(1000):
                yield Step(index / 1000, "working")
        finally:
            stopped.append(True)

    gpu.task("long", work)
    steps = gpu.stream("long")
    next(steps)
    steps.close()
    assert stopped == [True]


def test_estimates():
    gpu.task("fixed", lambda progress: iter(()), seconds=7)
    gpu.task("by size", lambda size, progress: iter(()), seconds=lambda size, progress: size / 10)
    assert gpu._seconds("fixed", {"progress": None}) == 7
    assert gpu._seconds("by size", {"size": 90, "progress": None}) == 9


def test_lent_gpu_gets_no_functions(monkeypatch):
    """What crosses to a ZeroGPU worker is pickled."""
    got = []

    def work(progress):
        got.append(progress)
        yield Done(None)

    gpu.task("work", work)
    gpu.call("work", print)
    monkeypatch.setattr(gpu, "_lent", True)
    gpu.call("work", print)
    assert got == [print, None]


def test_devices():
    import torch

    assert gpu.devices("cpu") == ("cpu",)
    assert gpu.devices("cuda") == ("cuda:0",)
    assert gpu.devices("cuda:0, cuda:1") == ("cuda:0", "cuda:1")
    assert gpu.devices("auto")[0] == ("cuda:0" if torch.cuda.is_available() else "cpu")
    with pytest.raises(RuntimeError):
        gpu.devices("toaster")
