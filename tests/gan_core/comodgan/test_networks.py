"""Co-modulation, the named choices, and both published formats at sizes that the fixture does not have."""

import pickle
import sys
import types

import pytest
import torch

from gan_core.checkpoints.formats import build
from gan_core.checkpoints.reader import read_tensors
from gan_core.comodgan.networks import CoModGenerator, hole_condition, keep_known
from gan_core.errors import BadCheckpoint
from tests.gan_core.comodgan import published_names

SMALL = {"z_dim": 8, "w_dim": 6, "global_dim": 10, "mapping_layers": 2, "channel_base": 256, "channel_max": 16}


def generator(resolution: int = 32, **changes: object) -> CoModGenerator:
    net = CoModGenerator(resolution, **(SMALL | changes))
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
        net.mapping.w_avg.normal_()
    return net.eval().requires_grad_(False)


def inputs(net: CoModGenerator, count: int = 2) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    side = net.resolution
    known = torch.ones(1, 1, side, side)
    known[..., side // 4 : side // 2, :] = 0
    return torch.rand(1, 3, side, side) * 2 - 1, known, torch.randn(count, net.config["z_dim"])


SHAPES = [{}, {"resolution": 64, "global_dim": 24}, {"resolution": 16, "in_channels": 1}, {"mapping_layers": 1}]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("names", ["tensorflow", "port", "migan"])
def test_round_trip(shape: dict, names: str) -> None:
    net = generator(**shape)
    built = build(getattr(published_names, names)(net))
    again = built.modules["generator"]
    assert built.format == "comodgan" and again.start_skip and not again.dropout_always
    condition, z = torch.randn(1, net.config["in_channels"], net.resolution, net.resolution), torch.randn(2, 8)
    torch.testing.assert_close(again(condition, z, noise="none"), net(condition, z, noise="none"))
    if names != "port":  # the port's file holds neither the mean latent nor the fixed noise
        ours, theirs = (one(condition, z, psi=0.5, noise="const") for one in (net, again))
        torch.testing.assert_close(theirs, ours)
        assert not built.notes
        assert names == "migan" or {"G", "D", "lod"} <= set(built.dropped)
    else:
        assert len(built.notes) == 2 and all("kernel" in name for name in built.dropped)


def test_a_pickle_of_the_authors_kind_is_read_without_their_code(tmp_path, monkeypatch) -> None:
    for name in ("dnnlib", "dnnlib.tflib", "dnnlib.tflib.network"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))

    class Network:
        def __init__(self, tree: dict) -> None:
            variables = [(name, tensor.numpy()) for name, tensor in tree.get("variables", {}).items()]
            parts = {name: Network(part) for name, part in tree.get("components", {}).items()}
            self.__dict__.update(version=4, name=tree.get("name", ""), static_kwargs={}, components=parts)
            self.__dict__.update(build_module_src="raise SystemExit", build_func_name="G_main", variables=variables)

    Network.__module__, Network.__qualname__ = "dnnlib.tflib.network", "Network"
    sys.modules["dnnlib.tflib.network"].Network = Network
    net = generator()
    tree = published_names.tensorflow(net)
    path = tmp_path / "co-mod-gan.pkl"
    path.write_bytes(pickle.dumps(tuple(Network(tree[name]) for name in ("G", "D", "Gs"))))
    again = build(read_tensors(path)).modules["generator"]
    image, known, z = inputs(net)
    ours, theirs = (one.complete(image, known, z, noise="const") for one in (net, again))
    torch.testing.assert_close(theirs, ours)


def test_known_pixels_come_back_to_the_last_bit() -> None:
    net = generator()
    image, known, z = inputs(net, 3)
    done = net.complete(image, known, z)
    assert done.shape == (3, 3, 32, 32)
    assert torch.equal(done * known, (image * known).expand(3, -1, -1, -1))
    assert not torch.allclose(done[0], done[1])  # another z, another completion
    raw, soft = torch.rand(1, 3, 32, 32), torch.full((1, 1, 32, 32), 0.25)
    torch.testing.assert_close(keep_known(raw, image, soft), 0.75 * raw + 0.25 * image)


def test_what_is_in_the_hole_is_not_seen() -> None:
    image, known, _ = inputs(generator())
    other = torch.where(known == 1, image, torch.rand_like(image))
    assert torch.equal(hole_condition(image, known), hole_condition(other, known))
    assert hole_condition(image, known)[:, 0].unique().tolist() == [-0.5, 0.5]


def test_one_encoding_serves_several_completions() -> None:
    net = generator()
    image, known, z = inputs(net, 3)
    encoding, w = net.encode(hole_condition(image, known)), net.mapping(z)
    together = net.decode(encoding, w, noise="const")
    alone = torch.cat([net.decode(encoding, row[None], noise="const") for row in w])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)
    per_layer = w[:, None].expand(-1, net.num_ws, -1)
    assert torch.equal(net.decode(encoding, per_layer, noise="const"), together)


def test_named_choices() -> None:
    net = generator()
    image, known, z = inputs(net)
    condition = hole_condition(image, known)
    official = net(condition, z, noise="const")
    net.start_skip = False
    port = net(condition, z, noise="const")
    assert not torch.allclose(official, port)
    assert torch.equal(net.encode(condition).code, net.encode(condition).code)
    plain = net.encode(condition).code
    net.dropout_always = True
    dropped = net.encode(condition.expand(200, -1, -1, -1)).code
    kept = dropped != 0
    assert 0.4 < kept.float().mean() < 0.6
    torch.testing.assert_close(dropped[kept], (2 * plain).expand_as(dropped)[kept])


def test_both_sources_modulate_and_learn() -> None:
    net = generator().requires_grad_(True).train()
    assert "synthesis.start" not in net.state_dict()
    image, known, z = inputs(net)
    net(hole_condition(image, known), z).square().mean().backward()
    idle = [name for name, parameter in net.named_parameters() if parameter.grad is None]
    assert idle == []
    again = CoModGenerator(**net.config)
    again.load_state_dict(net.state_dict())


def test_what_does_not_fit_is_refused() -> None:
    net = generator()
    with pytest.raises(ValueError, match="condition"):
        net.encode(torch.zeros(1, 4, 16, 16))
    for names in (published_names.port, published_names.tensorflow):
        whole = names(net)
        part = whole if "Gs" not in whole else whole["Gs"]["components"]["synthesis"]["variables"]
        lacking = next(name for name in part if "8x8" in name and name.endswith("bias"))
        kept = part.pop(lacking)
        with pytest.raises(BadCheckpoint, match="lacks"):
            build(whole)
        part[lacking] = kept
        part["G_synthesis.surprise"] = torch.ones(1)
        with pytest.raises(BadCheckpoint, match="no place"):
            build(whole)
