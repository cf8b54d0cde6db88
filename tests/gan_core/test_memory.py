"""What a model is counted to hold, down to copies that nobody sees: of made-up objects and of the papers' pipelines."""

import copy
import functools
import types

import pytest
import torch
from torch import nn

from gan_core import memory
from gan_core.hfgi.pipeline import HFGIPipeline
from gan_core.registry import ModelRegistry, ModelSpec
from tests.gan_core.comodgan.test_networks import generator as completion_generator
from tests.gan_core.hfgi.test_fast import small_networks as hfgi_networks
from tests.gan_core.swapping_autoencoder.test_pipeline import networks as swapping_networks

KB = 1024


class Network(nn.Module):
    """Exactly `kilobytes` of parameters."""

    def __init__(self, kilobytes):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(kilobytes * KB // 4))


def half_of(network):
    return copy.deepcopy(network).half()


def bytes_of(*modules):
    return sum(t.numel() * t.element_size() for m in modules for t in (*m.parameters(), *m.buffers()))


def test_copies_count_wherever_they_are_kept():
    own = Network(8)
    assert memory.held(own) == {"cpu": 8 * KB}
    half = half_of(own)
    kept = {
        "attribute of an attribute": types.SimpleNamespace(fast=types.SimpleNamespace(copy=half)),
        "list": types.SimpleNamespace(fast=[(half,)]),
        "closure": types.SimpleNamespace(fast=lambda x: half(x)),
        "bound method": types.SimpleNamespace(fast=half.forward),
        "partial": types.SimpleNamespace(fast=functools.partial(print, half)),
        "module attribute that is no child": nn.Identity(),
    }
    object.__setattr__(kept["module attribute that is no child"], "fast", [half])
    for where_kept, value in kept.items():
        value.network = own
        assert memory.held(value) == {"cpu": 12 * KB}, where_kept


def test_a_storage_counts_once_and_shared_parts_not_at_all():
    own, shared = Network(8), Network(4)
    value = types.SimpleNamespace(a=own, b=own.weight[:10], c=[shared, half_of(shared)])
    assert memory.held(value) == {"cpu": 14 * KB}
    assert memory.held(value, [shared]) == {"cpu": 10 * KB}


def test_pools_of_graphs_are_asked_for():
    class Graphs:
        def held_memory(self):
            return [Network(2)], {"cuda:0": 7}

    assert memory.held(types.SimpleNamespace(graphs=[Graphs()])) == {"cpu": 2 * KB, "cuda:0": 7}


# The papers' pipelines


def hfgi(dtype=None):
    networks = [network.cpu() for network in hfgi_networks()]
    return HFGIPipeline(*networks, torch.zeros(networks[0].num_ws, 32), {}, dtype=dtype)


def run_hfgi(pipeline):
    pipeline.invert(torch.zeros(1, 3, 64, 64))


def comodgan(dtype=None):
    from gan_core.comodgan.pipeline import CoModGANPipeline

    return CoModGANPipeline(completion_generator(32, skip_gain=True), dtype=dtype)


def run_comodgan(pipeline):
    hole = torch.zeros(1, 32, 32)
    hole[:, :16] = 1
    list(pipeline.complete(pipeline.prepare(torch.zeros(3, 32, 32), hole), [1, 2]))


def swapping(dtype=None):
    from gan_core.swapping_autoencoder.pipeline import SwappingAutoencoderPipeline

    return SwappingAutoencoderPipeline(*swapping_networks(noise=0.1), resolution=32, dtype=dtype)


def run_swapping(pipeline):
    codes = pipeline.encode(torch.zeros(1, 3, 32, 32))
    pipeline.draw(codes, [codes])


def test_hidden_copies_in_bfloat16_are_in_the_registrys_account():
    registry = ModelRegistry(("cpu",))
    registry.declare(ModelSpec("hfgi", lambda load: hfgi(torch.bfloat16), 64, "CC0"))
    with registry.use("hfgi") as pipeline:
        before = registry.models()[0].memory_bytes
    registry.run("hfgi", run_hfgi)
    copies = bytes_of(half_of(pipeline.encoder), half_of(pipeline.consultation))
    assert registry.models()[0].memory_bytes == before + copies


def test_hidden_copies_in_float16_are_in_the_registrys_account():
    registry = ModelRegistry(("cpu",))
    registry.declare(ModelSpec("comodgan", lambda load: comodgan(torch.float16), 32, "CC0"))
    with registry.use("comodgan") as pipeline:
        before = registry.models()[0].memory_bytes
    registry.run("comodgan", lambda pipeline: pipeline._fast)
    # The copy of the synthesis has its upsampling kernels folded: four times as large as they are read from the file.
    kernels = pipeline._fast._synthesis.kernels
    assert registry.models()[0].memory_bytes > before + bytes_of(kernels)


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("build", "work"), [(hfgi, run_hfgi), (comodgan, run_comodgan), (swapping, run_swapping)], ids=lambda f: f.__name__
)
class TestOnGpu:
    def test_the_account_is_what_the_allocator_gave(self, build, work):
        torch.zeros(1, device="cuda")
        memory.release_cached()
        allocated, reserved = torch.cuda.memory_allocated(), torch.cuda.memory_reserved()
        registry = ModelRegistry(("cuda:0",))
        registry.declare(ModelSpec("model", lambda load: build(), 64, "CC0"))
        registry.run("model", work)
        registry.run("model", work)
        memory.release_cached()
        counted = registry._entries["model"].held["cuda:0"]
        # cuBLAS keeps a workspace of its own for each stream; the rest is this model's.
        assert torch.cuda.memory_allocated() - allocated <= counted + (64 << 20)
        assert counted <= torch.cuda.memory_reserved() - reserved

    def test_originals_leave_and_the_results_stay(self, build, work):
        registry = ModelRegistry(("cuda:0",))
        registry.declare(ModelSpec("model", lambda load: build(), 64, "CC0"))
        registry.run("model", work)
        with registry.use("model") as pipeline:
            idle = pipeline.idle_networks()
            assert idle and all(p.device.type == "cpu" for network in idle for p in network.parameters())
        registry.run("model", work)
        registry.evict_idle()
        registry.run("model", work)


@pytest.mark.gpu
def test_region_mixing_brings_the_readable_generator_back():
    from gan_core.swapping_autoencoder.pipeline import Mixture

    registry = ModelRegistry(("cuda:0",))
    registry.declare(ModelSpec("model", lambda load: swapping(), 32, "CC0"))
    registry.run("model", run_swapping)

    def work(pipeline):
        first, other = (pipeline.encode(torch.full((1, 3, 32, 32), x)) for x in (0.0, 0.5))
        return pipeline.draw(first, [other], Mixture(mask=torch.eye(32)))

    assert registry.run("model", work).isfinite().all()
    assert registry.run("model", work).isfinite().all()
