"""The registry under races, small budgets and failing allocations. "cuda:0" here is only a name: what is
moved there stays in main memory, and the tests read the registry's own account of it."""

import threading
import time
import types
from contextlib import ExitStack

import pytest
import torch
from torch import nn

from gan_core import memory
from gan_core.errors import Busy, OutOfMemory, UnknownName, WeightsMissing
from gan_core.registry import ModelRegistry, ModelSpec

KB = 1024


class Network(nn.Module):
    """Exactly `kilobytes` of parameters and buffers."""

    def __init__(self, kilobytes):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(kilobytes * KB // 8))
        self.register_buffer("average", torch.zeros(kilobytes * KB // 8))


class Half(nn.Module):
    """A copy of a network in half precision: half of its kilobytes."""

    def __init__(self, network):
        super().__init__()
        self.register_buffer("weight", network.weight.detach().half())
        self.register_buffer("average", network.average.half())


class Lazy:
    """A pipeline that makes copies in half precision when it is first used on a device, as the papers' do."""

    def __init__(self, network):
        self.network, self.device, self.hidden = network, torch.device("cpu"), None

    def work(self):
        self.hidden = types.SimpleNamespace(copies={"encoder": Half(self.network)})

    def idle_networks(self):
        return [self.network] if self.hidden else []

    def forget_device(self):
        self.hidden = None


class Pipeline:
    """A plain object that holds a shared network and one of its own, as the papers' pipelines do."""

    def __init__(self, shared, own):
        self.generator, self.encoder, self.device = shared, own, torch.device("cpu")
        self.average, self.directions = torch.zeros(2), {"smile": torch.zeros(2)}


@pytest.fixture
def moves(monkeypatch):
    """Records (kilobytes, device) instead of moving, and accounts for each network where it was moved last."""
    record, places, held = [], {}, memory.held

    def move(modules, device):
        own = [m for m in modules if isinstance(m, (Network, Half))]
        places.update((id(module), device) for module in own)
        record.append((sum(sum(held(module).values()) for module in own) // KB, device))

    def held_where_moved(value, shared=()):
        total = {}
        for module in memory.own_submodules(value, shared):
            device = places.get(id(module), "cpu")
            total[device] = total.get(device, 0) + sum(held(module).values())
        return total

    monkeypatch.setattr(memory, "move_attributes", lambda value, device: setattr(value, "device", device))
    monkeypatch.setattr(memory, "move", move)
    monkeypatch.setattr(memory, "held", held_where_moved)
    return record


def make(devices=("cpu",), budgets=None, **options):
    options.setdefault("free_bytes", lambda device: None)
    options.setdefault("patience", 5.0)
    return ModelRegistry(devices, budgets=budgets, **options)


def declare(registry, name, kilobytes=8, built=None, **fields):
    def build(load):
        if built is not None:
            built.append(name)
        return Network(kilobytes)

    registry.declare(ModelSpec(**{"name": name, "build": build, "resolution": 256, "licence": "CC0", **fields}))


def where(registry):
    return {info.name: info.device for info in registry.models()}


def use(registry, *names):
    for name in names:
        with registry.use(name):
            pass


def test_nothing_is_built_before_first_use_and_once_after():
    registry, built = make(), []
    declare(registry, "a", built=built)
    assert built == [] and not registry.models()[0].loaded
    use(registry, "a", "a")
    assert built == ["a"]
    info = registry.models()[0]
    assert (info.name, info.loaded, info.device, info.memory_bytes) == ("a", True, "cpu", 8 * KB)
    assert (info.licence, info.resolution, info.busy) == ("CC0", 256, False)


def test_parts_that_a_constructor_moves_away_come_back(moves):
    registry = make(("gpu",), {"gpu": 64 * KB, "cpu": 64 * KB})
    declare(registry, "part", 16)

    def build(load):
        memory.move([load.part("part")], "cpu")  # as a pipeline does with all that it is given
        return Network(8)

    registry.declare(ModelSpec(name="whole", build=build, resolution=256, licence="CC0", parts=("part",)))
    use(registry, "whole")
    assert moves == [(16, "gpu"), (16, "cpu"), (16, "gpu"), (8, "gpu")]


def test_unknown_and_double_names():
    registry = make()
    declare(registry, "a")
    with pytest.raises(UnknownName, match="Known models: a"):
        use(registry, "b")
    with pytest.raises(ValueError, match="twice"):
        declare(registry, "a")
    with pytest.raises(ValueError, match="undeclared parts: z"):
        declare(registry, "c", parts=("z",))


def test_progress_reaches_the_one_who_waits():
    registry, seen = make(), []

    def build(load):
        load.report(0.5, "half way")
        return Network(8)

    registry.declare(ModelSpec("a", build, 256, "CC0", title="The A"))
    with registry.use("a", lambda fraction, text: seen.append((fraction, text))):
        pass
    assert seen == [(0.0, "Loading The A"), (0.5, "half way")]


def test_many_threads_load_once_and_never_share():
    registry, built, inside, overlaps = make(), [], [], []

    def build(load):
        time.sleep(0.05)
        built.append("a")
        return Network(8)

    registry.declare(ModelSpec("a", build, 256, "CC0"))

    def request():
        with registry.use("a"):
            inside.append(1)
            overlaps.append(len(inside))
            time.sleep(0.005)
            inside.pop()

    threads = [threading.Thread(target=request) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert built == ["a"] and overlaps == [1] * 12


def test_shared_part_is_built_once_counted_once_and_never_used_twice_at_once():
    registry, built = make(), []
    declare(registry, "face", 8, built)
    for name in ("x", "y"):
        registry.declare(
            ModelSpec(name, lambda load: Pipeline(load.part("face"), Network(4)), 256, "CC0", parts=("face",))
        )
    with registry.use("x") as x:
        first = x.generator
        assert next(info for info in registry.models() if info.name == "face").busy
    with registry.use("y") as y:
        assert y.generator is first
    assert built == ["face"]
    assert [info.memory_bytes // KB for info in registry.models()] == [8, 4, 4]

    active, worst = [], []

    def request(name):
        for _ in range(10):
            with registry.use(name):
                active.append(1)
                worst.append(len(active))
                time.sleep(0.001)
                active.pop()

    threads = [threading.Thread(target=request, args=(name,)) for name in ("x", "y", "face")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert max(worst) == 1 and len(worst) == 30


def test_cpu_eviction_is_least_recently_used_first():
    registry = make(budgets={"cpu": 24 * KB})
    for name in "abcd":
        declare(registry, name, 8)
    use(registry, "a", "b", "c", "a", "d")
    assert where(registry) == {"a": "cpu", "b": None, "c": "cpu", "d": "cpu"}
    use(registry, "b")
    assert where(registry) == {"a": "cpu", "b": "cpu", "c": None, "d": "cpu"}


def test_gpu_evicts_to_cpu_then_out_and_moves_back(moves):
    registry, built = make(("cuda:0",), {"cuda:0": 16 * KB, "cpu": 8 * KB}), []
    for name in "abcd":
        declare(registry, name, 8, built)
    use(registry, "a", "b")
    assert where(registry) == {"a": "cuda:0", "b": "cuda:0", "c": None, "d": None}
    use(registry, "c")
    assert where(registry) == {"a": "cpu", "b": "cuda:0", "c": "cuda:0", "d": None}
    use(registry, "d")
    assert where(registry) == {"a": None, "b": "cpu", "c": "cuda:0", "d": "cuda:0"}
    use(registry, "b")
    assert built == ["a", "b", "c", "d"], "b came back from the CPU, it was not built again"
    assert where(registry)["b"] == "cuda:0" and where(registry)["c"] == "cpu"
    assert moves[0] == (8, "cuda:0")


def test_evicting_a_model_leaves_its_shared_part_in_place(moves):
    registry = make(("cuda:0",), {"cuda:0": 20 * KB, "cpu": 100 * KB})
    declare(registry, "face", 8)

    def build(load):
        return Pipeline(load.part("face"), Network(8))

    for name in ("x", "y"):
        registry.declare(ModelSpec(name, build, 256, "CC0", parts=("face",)))
    use(registry, "x")
    with registry.use("y") as y:
        assert y.device == "cuda:0"
    assert where(registry) == {"face": "cuda:0", "x": "cpu", "y": "cuda:0"}
    assert (8, "cpu") in moves and (16, "cpu") not in moves


def test_a_part_is_not_dropped_under_a_loaded_model():
    registry, built = make(budgets={"cpu": 21 * KB}), []
    declare(registry, "face", 8, built)
    registry.declare(ModelSpec("x", lambda load: Pipeline(load.part("face"), Network(4)), 256, "CC0", parts=("face",)))
    declare(registry, "big", 8)
    use(registry, "x", "face", "big")
    assert where(registry) == {"face": "cpu", "x": "cpu", "big": "cpu"}
    declare(registry, "other", 12)
    use(registry, "other")
    assert where(registry)["x"] is None
    use(registry, "x")
    assert built.count("face") <= 2


def test_models_in_use_are_never_evicted():
    registry = make(budgets={"cpu": 16 * KB}, patience=0.2)
    for name in "abc":
        declare(registry, name, 8)
    with registry.use("a"), registry.use("b"):
        with pytest.raises(Busy, match="memory"):
            use(registry, "c")
        assert where(registry) == {"a": "cpu", "b": "cpu", "c": None}
    use(registry, "c")
    assert where(registry)["c"] == "cpu"


def test_waits_for_memory_held_by_a_running_request():
    registry = make(budgets={"cpu": 8 * KB})
    declare(registry, "a", 8)
    declare(registry, "b", 8)
    with ExitStack() as stack:
        stack.enter_context(registry.use("a"))
        thread = threading.Thread(target=use, args=(registry, "b"))
        thread.start()
        time.sleep(0.1)
        assert thread.is_alive()
    thread.join(5)
    assert where(registry) == {"a": None, "b": "cpu"}


def test_busy_model_gives_up_with_a_sentence_and_leaves_locks_free():
    registry = make(patience=0.1)
    declare(registry, "face")
    registry.declare(ModelSpec("x", lambda load: Pipeline(load.part("face"), Network(4)), 256, "CC0", parts=("face",)))
    with registry.use("face"), pytest.raises(Busy, match="busy"):
        use(registry, "x")
    use(registry, "x")
    assert not any(info.busy for info in registry.models())


def test_failing_build_leaves_the_registry_healthy():
    registry, attempts = make(), []

    def build(load):
        attempts.append(1)
        if len(attempts) == 1:
            raise WeightsMissing("The weights are not there.")
        return Network(8)

    registry.declare(ModelSpec("a", build, 256, "CC0"))
    with pytest.raises(WeightsMissing):
        use(registry, "a")
    info = registry.models()[0]
    assert (info.loaded, info.busy, info.memory_bytes) == (False, False, 0)
    use(registry, "a")
    assert registry.models()[0].loaded


def test_larger_than_the_budget_is_refused_and_forgotten():
    registry = make(budgets={"cpu": 10 * KB})
    declare(registry, "a", 8)
    declare(registry, "huge", 16)
    use(registry, "a")
    with pytest.raises(OutOfMemory, match="--memory"):
        use(registry, "huge")
    assert where(registry) == {"a": "cpu", "huge": None}, "nothing else was thrown out for it"
    use(registry, "a")


def test_out_of_memory_in_the_work_evicts_others_and_retries_once():
    registry = make()
    declare(registry, "a")
    declare(registry, "b")
    use(registry, "b")
    seen = []

    def work(model):
        seen.append(where(registry)["b"])
        if len(seen) == 1:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return "done"

    assert registry.run("a", work) == "done"
    assert seen == ["cpu", None]


def test_out_of_memory_twice_is_a_sentence_and_the_registry_goes_on():
    registry, tries = make(), []
    declare(registry, "a", title="The A")

    def work(model):
        tries.append(1)
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried 9 bytes")

    with pytest.raises(OutOfMemory, match="The A"):
        registry.run("a", work)
    assert len(tries) == 2
    with pytest.raises(OutOfMemory), registry.use("a"):
        raise MemoryError
    assert registry.run("a", lambda model: "fine") == "fine"


def test_other_errors_are_neither_retried_nor_renamed():
    registry, tries = make(), []
    declare(registry, "a")

    def work(model):
        tries.append(1)
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes"):
        registry.run("a", work)
    with pytest.raises(RuntimeError, match="shapes"), registry.use("a"):
        raise RuntimeError("shapes do not match")
    assert len(tries) == 1 and not registry.models()[0].busy


def test_out_of_memory_while_moving_evicts_and_tries_again(monkeypatch):
    registry = make(("cuda:0",), {"cuda:0": 100 * KB, "cpu": 100 * KB})
    declare(registry, "a")
    declare(registry, "b")
    fail = []

    def move(modules, device):
        if device == "cuda:0" and fail:
            fail.pop()
            raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(memory, "move", move)
    monkeypatch.setattr(memory, "move_attributes", lambda value, device: None)
    use(registry, "a")
    fail.append(1)
    use(registry, "b")
    assert where(registry) == {"a": "cpu", "b": "cuda:0"}
    fail.extend([1, 1])
    with pytest.raises(OutOfMemory):
        use(registry, "a")
    assert where(registry) == {"a": "cpu", "b": "cpu"}
    assert not any(info.busy for info in registry.models())
    use(registry, "a")
    assert where(registry)["a"] == "cuda:0"


def test_memory_taken_by_other_programs_puts_models_away_but_refuses_nothing(moves):
    free = {"cuda:0": 10 << 30}
    registry = make(("cuda:0",), {"cuda:0": 100 * KB, "cpu": 100 * KB}, free_bytes=lambda d: free.get(d))
    declare(registry, "a")
    declare(registry, "b")
    use(registry, "a")
    free["cuda:0"] = 1
    use(registry, "b")
    assert where(registry) == {"a": "cpu", "b": "cuda:0"}


def test_several_gpus_fill_the_emptiest_and_follow_shared_parts(moves):
    registry = make(("cuda:0", "cuda:1"), {"cuda:0": 20 * KB, "cuda:1": 16 * KB, "cpu": 100 * KB})
    declare(registry, "face", 8)
    declare(registry, "other", 4)
    registry.declare(ModelSpec("x", lambda load: Pipeline(load.part("face"), Network(4)), 256, "CC0", parts=("face",)))
    use(registry, "face", "other", "x")
    assert where(registry) == {"face": "cuda:0", "other": "cuda:1", "x": "cuda:0"}


def test_resident_registry_puts_nothing_away():
    registry = make(budgets={"cpu": 8 * KB}, resident=True)
    declare(registry, "a")
    declare(registry, "b")
    registry.load_all()
    registry.evict_idle()
    assert where(registry) == {"a": "cpu", "b": "cpu"}


def test_dropped_models_free_their_memory():
    import weakref

    registry = make(budgets={"cpu": 8 * KB})
    declare(registry, "a")
    declare(registry, "b")
    with registry.use("a") as model:
        alive = weakref.ref(model)
    del model
    use(registry, "b")
    assert alive() is None


def test_move_leaves_shared_parts_alone_and_keeps_values():
    shared, own = Network(1), Network(1)
    pipeline = Pipeline(shared, nn.Sequential(own))
    own.weight.data.uniform_()
    before, identity = own.weight.detach().clone(), own.weight
    modules = memory.own_submodules(pipeline, [shared])
    memory.move(modules, "cpu")
    assert own.weight is identity and torch.equal(own.weight, before)
    own.weight = shared.weight = None  # a parameter cannot become a meta tensor in place
    memory.move(modules, "meta")
    assert own.average.device.type == "meta" and shared.average.device.type == "cpu"


def test_plain_tensors_of_a_pipeline_move_with_it():
    pipeline = Pipeline(Network(1), Network(1))
    memory.move_attributes(pipeline, "meta")
    places = [pipeline.device, pipeline.average.device, pipeline.directions["smile"].device]
    assert {place.type for place in places} == {"meta"}
    assert pipeline.encoder.weight.device.type == "cpu"


@pytest.mark.gpu
def test_real_gpu_round_trip():
    registry = ModelRegistry(("cuda:0",), budgets={"cuda:0": 1 << 20, "cpu": 8 << 20})
    declare(registry, "a", 700)
    declare(registry, "b", 700)
    for name in ("a", "b", "a"):
        with registry.use(name) as model:
            assert model.weight.is_cuda and model.average.is_cuda
    assert where(registry) == {"a": "cuda:0", "b": "cpu"}


# What a model comes to hold while it works


def test_what_a_model_makes_while_it_works_is_counted_and_others_make_room():
    registry = make(budgets={"cpu": 20 * KB})
    declare(registry, "other", 8)
    registry.declare(ModelSpec("lazy", lambda load: Lazy(Network(8)), 256, "CC0"))
    use(registry, "other", "lazy")
    assert where(registry) == {"other": "cpu", "lazy": "cpu"}
    registry.run("lazy", Lazy.work)
    sizes = {info.name: info.memory_bytes for info in registry.models()}
    assert sizes == {"other": 8 * KB, "lazy": 12 * KB}, "8 and its copy of 4, which fit exactly"
    declare(registry, "small", 1)
    use(registry, "small")
    assert where(registry) == {"other": None, "lazy": "cpu", "small": "cpu"}
    use(registry, "other")
    assert where(registry)["lazy"] is None, "12 and 1 and 8 are more than 20"
    registry.run("lazy", lambda lazy: None)
    assert where(registry) == {"other": "cpu", "lazy": "cpu", "small": None}, "it is known by now what it grows to"


def test_growth_beyond_the_budget_puts_others_away_at_once():
    registry = make(budgets={"cpu": 18 * KB})
    declare(registry, "other", 8)
    registry.declare(ModelSpec("lazy", lambda load: Lazy(Network(8)), 256, "CC0"))
    use(registry, "other")
    registry.run("lazy", Lazy.work)
    assert where(registry) == {"other": None, "lazy": "cpu"}


def test_networks_that_a_copy_replaces_leave_the_device(moves):
    registry = make(("cuda:0",), {"cuda:0": 100 * KB, "cpu": 100 * KB})
    registry.declare(ModelSpec("lazy", lambda load: Lazy(Network(8)), 256, "CC0"))
    use(registry, "lazy")
    assert moves == [(8, "cuda:0")]
    registry.run("lazy", Lazy.work)
    assert moves[1:] == [(8, "cpu")]
    use(registry, "lazy")
    assert moves[2:] == [], "nothing new, so nothing is looked at or moved"
    registry.evict_idle()
    use(registry, "lazy")
    assert moves[-1] == (8, "cuda:0"), "back with the model"


def test_idle_networks_of_others_stay_where_their_owner_has_them(moves):
    registry = make(("cuda:0",), {"cuda:0": 100 * KB, "cpu": 100 * KB})
    declare(registry, "face", 8)
    registry.declare(ModelSpec("lazy", lambda load: Lazy(load.part("face")), 256, "CC0", parts=("face",)))
    registry.run("lazy", Lazy.work)
    assert (8, "cpu") not in moves and where(registry)["face"] == "cuda:0"


def registry_of(name: str) -> ModelRegistry:
    registry = ModelRegistry()
    registry.declare(ModelSpec(name, lambda load: Network(1), 1, "CC0-1.0"))
    return registry


def test_others_use_a_model_between_two_items_of_an_iteration() -> None:
    registry = registry_of("a")
    items = registry.iterate("a", lambda model: iter([model, model]))
    first = next(items)
    with registry.use("a") as model:
        assert model is first
    assert next(items) is first
    assert list(items) == []


def test_a_model_stays_while_an_iteration_will_go_on_with_it() -> None:
    registry = registry_of("a")
    items = registry.iterate("a", lambda model: iter([model, model]))
    first = next(items)
    registry.evict_idle()
    assert next(items) is first and {info.loaded for info in registry.models() if info.name == "a"} == {True}
    items.close()
    registry.evict_idle()
    assert {info.loaded for info in registry.models() if info.name == "a"} == {False}


def test_closing_an_iteration_closes_what_it_came_from() -> None:
    registry, closed = registry_of("a"), []

    def begin(model):
        try:
            yield 1
            yield 2
        finally:
            closed.append(True)

    items = registry.iterate("a", begin)
    next(items)
    items.close()
    assert closed == [True]


def test_an_iteration_that_fails_lets_go() -> None:
    registry = registry_of("a")

    def begin(model):
        yield 1
        raise ZeroDivisionError

    items = registry.iterate("a", begin)
    next(items)
    with pytest.raises(ZeroDivisionError):
        next(items)
    registry.evict_idle()
    assert {info.loaded for info in registry.models() if info.name == "a"} == {False}


def test_a_withdrawn_model_leaves_memory_and_its_name_is_free_again():
    registry, built = make(), []
    declare(registry, "a", built=built)
    declare(registry, "b")
    use(registry, "a", "b")
    registry.withdraw("a")
    assert registry.names() == ["b"] and sum(info.memory_bytes for info in registry.models()) == 8 * KB
    with pytest.raises(UnknownName, match="Known models: b"):
        use(registry, "a")
    declare(registry, "a", built=built)
    use(registry, "a")
    assert len(built) == 2, "what was withdrawn is not given out again"


def test_a_model_in_use_is_withdrawn_when_it_is_free_and_a_part_never():
    registry = make(patience=0.2)
    declare(registry, "face")
    declare(registry, "a", parts=("face",))
    with pytest.raises(ValueError, match="part"):
        registry.withdraw("face")
    with registry.use("a"), pytest.raises(Busy):
        registry.withdraw("a")
    assert "a" in registry.names()
    registry.withdraw("a")
    registry.withdraw("face")
    assert registry.names() == []


def test_redeclaring_knows_what_came_changed_and_went():
    def spec(name, entry, value):
        return ModelSpec(name, lambda load: value, 8, "", weights=(entry,))

    here = [spec("old", "first", "old"), spec("kept", "second", "kept"), spec("changed", "first", "before")]
    registry = ModelRegistry()
    for one in here:
        registry.declare(one)
    with registry.use("kept"), registry.use("changed") as value:
        assert value == "before"
    now = [spec("changed", "first", "after"), spec("new", "first", "new"), spec("kept", "second", "another")]
    registry.redeclare("first", lambda empty: [empty.declare(one) for one in now])
    assert registry.names() == ["kept", "changed", "new"]
    with registry.use("changed") as changed, registry.use("new") as new, registry.use("kept") as kept:
        assert (changed, new, kept) == ("after", "new", "kept"), "other weights' models stay as they are"
