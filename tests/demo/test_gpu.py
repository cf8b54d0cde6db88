import importlib
import inspect
import pickle

import pytest

from demo import executors, gpu
from demo.executors import LocalExecutor
from demo.gpu import Done, Step, Steps, Worker
from gan_core.errors import UnknownName
from gan_core.registry import ModelRegistry, ModelSpec
from tests.demo import fakes

PAPERS = ("hfgi", "self_conditioned", "comodgan", "insetgan", "swapping_autoencoder")
TASKS = [
    value
    for paper in PAPERS
    for value in vars(importlib.import_module(f"demo.{paper}.tasks")).values()
    if isinstance(value, gpu.Task)
]


@gpu.task(seconds=7)
def double(worker: Worker, number: int) -> Steps[int]:
    yield Step(0.5, "half")
    yield Done(number * 2)


@gpu.task(seconds=lambda model, size: size / 10)
def length(worker: Worker, model: str, size: int) -> Steps[int]:
    yield Done(worker.run(model, lambda value: len(value) + size))


STOPPED: list[int] = []  # steps made by each `long` that has ended


@gpu.task()
def long(worker: Worker) -> Steps[None]:
    index = 0
    try:
        for index in range(1000):
            yield Step(index / 1000, "working")
    finally:
        STOPPED.append(index)


@gpu.task()
def nothing(worker: Worker) -> Steps[None]:
    yield Step(0.5, "half")


@pytest.fixture
def registry(monkeypatch):
    registry = ModelRegistry(lambda: ("cpu",))
    registry.declare(ModelSpec("word", lambda load: "four", 1, "CC0-1.0", title="the word"))
    fakes.run_here(monkeypatch, registry)
    return registry


def test_steps_then_result(registry):
    seen = []
    assert gpu.run(double(4), lambda *step: seen.append(step)) == 8
    assert seen == [(0.5, "half")]
    assert list(gpu.stream(double(number=1))) == [Step(0.5, "half"), Done(2)]


def test_models_are_the_executors_own_and_loading_is_heard_of(registry):
    seen = []
    assert gpu.run(length("word", 10), lambda *step: seen.append(step)) == 14
    assert any("the word" in text for _, text in seen)
    other = LocalExecutor(ModelRegistry(lambda: ("cpu",)))
    with pytest.raises(Exception, match="word"):
        list(other.stream(length("word", 10), None))


def test_closing_the_stream_stops_the_task(registry):
    STOPPED.clear()
    steps = gpu.stream(long())
    next(steps)
    next(steps)
    steps.close()
    assert STOPPED == [1]


def test_the_time_that_a_task_took_is_logged(registry, caplog):
    with caplog.at_level("INFO", logger="demo.gpu"):
        gpu.run(double(1))
        steps = gpu.stream(long())
        next(steps)
        steps.close()
    assert [record.args[0].split(".")[-1] for record in caplog.records] == ["double", "long"]


def test_a_task_without_a_result_and_no_executor_are_errors(registry, monkeypatch):
    with pytest.raises(RuntimeError, match="without a result"):
        gpu.run(nothing())
    monkeypatch.setattr(gpu, "_executor", None)
    with pytest.raises(RuntimeError, match="no executor"):
        gpu.run(double(1))


def test_estimates():
    assert double(1).seconds == 7
    assert length("word", size=90).seconds == 9


def test_a_call_can_be_sent_to_another_process(registry):
    call = pickle.loads(pickle.dumps(length("word", size=3)))
    assert call.task is length and gpu.run(call) == 7


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_tasks_of_the_tabs_can_be_sent_and_are_typed(task):
    """By qualified name, and with a type for everything they take and give; the worker comes first."""
    assert pickle.loads(pickle.dumps(task)) is task
    signature = inspect.signature(task.work)
    first, *others = signature.parameters.values()
    assert first.annotation == "Worker" and signature.return_annotation.startswith("Steps[")
    for parameter in others:
        assert parameter.annotation not in (inspect.Parameter.empty, "Any"), parameter
        assert parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    if callable(task.seconds):
        wanted = list(inspect.signature(task.seconds).parameters)
        assert wanted in ([p.name for p in others], ["_args", "_kwargs"]), "it takes what the task takes"


@pytest.fixture
def lent(monkeypatch):
    """An executor over a stand-in for `spaces`, which pickles calls and sends back no more than the name of an
    exception's class; the times it is asked for."""
    asked = []

    class Spaces:
        @staticmethod
        def GPU(duration):  # noqa: N802
            def decorate(work):
                def run(call):
                    asked.append(duration(call))
                    try:
                        yield from work(pickle.loads(pickle.dumps(call)))
                    except Exception as error:
                        raise RuntimeError(type(error).__name__) from None

                return run

            return decorate

    monkeypatch.setitem(__import__("sys").modules, "spaces", Spaces)
    executor = executors.ZeroGPUExecutor()
    executor.registry = ModelRegistry(lambda: ("cpu",))
    monkeypatch.setattr(gpu, "_executor", executor)
    return asked


def test_a_lent_gpu_gets_no_functions(lent):
    """What crosses to a ZeroGPU worker is pickled; and its time is asked for."""
    assert gpu.run(double(4), print) == 8 and lent == [7]


def test_mistakes_come_back_from_a_lent_gpu_and_times_are_learned(lent):
    with pytest.raises(UnknownName, match="no model named 'word'"):
        gpu.run(length("word", 1))
    for _ in range(4):
        gpu.run(double(4))
    assert lent[1:] == [7, 7, 7, 1]


def test_devices():
    import torch

    assert executors.devices("cpu") == ("cpu",)
    assert executors.devices("cuda") == ("cuda:0",)
    assert executors.devices("cuda:0, cuda:1") == ("cuda:0", "cuda:1")
    assert executors.devices("auto")[0] == ("cuda:0" if torch.cuda.is_available() else "cpu")
    with pytest.raises(RuntimeError):
        executors.devices("toaster")


@gpu.task()
def where(worker: Worker, model: str) -> Steps[str]:
    yield Step(0.5, "looking")
    yield Done(worker.run(model, lambda value: value))


def _devices(*names: str) -> LocalExecutor:
    """An executor over registries whose one model says which of them it is in."""

    def registry(name: str) -> ModelRegistry:
        made = ModelRegistry(lambda: ("cpu",))
        made.declare(ModelSpec("place", lambda load: name, 1, "CC0-1.0"))
        made.declare(ModelSpec("other", lambda load: name, 1, "CC0-1.0"))
        return made

    return LocalExecutor(registry(names[0]), lambda: [registry(name) for name in names[1:]])


def test_a_second_device_takes_what_comes_while_the_first_computes(monkeypatch):
    executor = _devices("first", "second")
    assert list(executor.stream(where("place"), None))[-1] == Done("first")
    with executor._lock:
        executor._computing[0] += 1
    assert list(executor.stream(where("place"), None))[-1] == Done("second")
    with executor._lock:
        executor._computing[0] -= 1
    assert executor._computing == [0, 0]


def test_a_call_goes_where_its_model_is(monkeypatch):
    executor = _devices("first", "second")
    registries = executor.registries()
    with registries[1].use("other"):
        pass
    assert list(executor.stream(where("other"), None))[-1] == Done("second")
    assert list(executor.stream(where("place"), None))[-1] == Done("first")


def test_work_for_each_device_is_computed_on_each() -> None:
    executor = _devices("first", "second")
    assert len(executor.registries()) == 2
    executor._computing[1] = 5  # no call would go there of itself
    seen = []
    executor.on_each_device(lambda: seen.append(list(executor.stream(where("place"), None))[-1].value))
    assert seen == ["first", "second"] and all(r.models()[0].loaded for r in executor.registries())

    def fail() -> None:
        raise UnknownName("no such model")

    with pytest.raises(UnknownName):
        executor.on_each_device(fail)
    assert list(executor.stream(where("place"), None))[-1] == Done("first")  # bound no more


def test_a_paused_call_does_not_count_as_computing():
    executor = _devices("first")
    steps = executor.stream(where("place"), None)
    next(steps)
    assert executor._computing == [0]
    steps.close()
    assert executor._computing == [0]


def test_models_of_several_devices_are_one_row_each():
    executor = _devices("first", "second")
    for registry in executor.registries():
        with registry.use("place"):
            pass
    place, other = executor.models()
    assert (place.name, place.loaded, place.device) == ("place", True, "cpu")
    assert (other.name, other.loaded, other.device) == ("other", False, None)
    assert executor.devices() == ("cpu", "cpu")


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_the_first_thing_a_task_takes_is_its_model(task):
    assert list(inspect.signature(task.work).parameters)[1] in ("model", "encoder")
