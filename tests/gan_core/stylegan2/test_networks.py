"""What the parity fixtures do not cover: shapes, labels, noise modes, injection, statistics of a batch."""

import pytest
import torch

from gan_core.stylegan2 import Discriminator, Generator
from gan_core.stylegan2.discriminator import minibatch_stddev

SMALL = {"channel_base": 256, "channel_max": 16}


def generator(**changes: object) -> Generator:
    arguments = {"resolution": 32, "z_dim": 8, "w_dim": 12, "mapping_layers": 2, **SMALL, **changes}
    return Generator(**arguments).eval()


def test_non_square_and_conditional_shapes() -> None:
    net = generator(start_shape=(4, 2), c_dim=3)
    assert net.num_ws == 8
    z, c = torch.randn(2, 8), torch.eye(3)[:2]
    assert net(z, c).shape == (2, 3, 32, 16)
    assert not torch.allclose(net.mapping(z, c), net.mapping(z, c.flip(0)))
    with pytest.raises(ValueError, match="label"):
        net(z)
    discriminator = Discriminator(32, c_dim=3, start_shape=(4, 2), **SMALL)
    assert discriminator(net(z, c), c).shape == (2, 1)


def test_config_rebuilds_the_same_network() -> None:
    net = generator(start_shape=(4, 2), c_dim=3)
    again = Generator(**net.config)
    again.load_state_dict(net.state_dict())  # strict
    z, c = torch.randn(1, 8), torch.eye(3)[:1]
    torch.testing.assert_close(again(z, c, noise="const"), net(z, c, noise="const"))


def test_noise_modes() -> None:
    net = generator()
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if "noise_strength" in name:
                parameter.fill_(0.5)
    w_plus = net.broadcast(net.mapping(torch.randn(2, 8)))
    const, none = (net.synthesis(w_plus, noise=mode) for mode in ("const", "none"))
    assert torch.equal(const, net.synthesis(w_plus, noise="const"))
    assert not torch.allclose(const, none)
    assert not torch.equal(net.synthesis(w_plus, noise="random"), net.synthesis(w_plus, noise="random"))
    with pytest.raises(ValueError, match="noise"):
        net.synthesis(w_plus, noise="loud")


def test_injection_acts_on_the_layer_of_its_index_only() -> None:
    net = generator()
    w_plus = net.broadcast(net.mapping(torch.randn(1, 8)))
    sizes = {}
    for index in range(net.num_ws):
        net.synthesis(w_plus, inject={index: lambda x, i=index: sizes.setdefault(i, x.shape[2]) and x})
    assert sizes == {0: 4, 1: 8, 2: 8, 3: 16, 4: 16, 5: 32, 6: 32}  # the last index is a ToRGB
    plain = net.synthesis(w_plus)
    torch.testing.assert_close(net.synthesis(w_plus, inject={3: lambda x: x}), plain)
    assert not torch.allclose(net.synthesis(w_plus, inject={3: lambda x: x * 1.5}), plain)


def test_each_latent_moves_the_picture_and_the_wrong_shape_is_refused() -> None:
    net = generator()
    w_plus = net.broadcast(net.mapping(torch.randn(1, 8))).clone()
    plain = net.synthesis(w_plus)
    for index in range(net.num_ws):
        moved = w_plus.clone()
        moved[:, index] += 1
        assert not torch.allclose(net.synthesis(moved), plain)
    with pytest.raises(ValueError, match="w_plus"):
        net.synthesis(w_plus[:, :-1])


def test_truncation() -> None:
    net = generator()
    net.mapping.estimate_average(500)
    w = net.mapping(torch.randn(3, 8))
    assert torch.equal(net.mapping.truncate(w, 1), w)
    torch.testing.assert_close(net.mapping.truncate(w, 0), net.mapping.w_avg.expand_as(w))
    half = net.mapping.truncate(w, 0.5)
    torch.testing.assert_close(half - net.mapping.w_avg, (w - net.mapping.w_avg) / 2)


def test_half_precision_convolutions_stay_close() -> None:
    net = generator()
    w_plus = net.broadcast(net.mapping(torch.randn(2, 8)))
    exact = net.synthesis(w_plus)
    rough = net.synthesis(w_plus, dtype=torch.bfloat16)
    assert rough.dtype == torch.float32
    assert (rough - exact).norm() / exact.norm() < 0.02


def test_minibatch_statistics_group_with_a_stride() -> None:
    x = torch.zeros(8, 1, 2, 2)
    x[[0, 2, 4, 6]] = torch.tensor([0.0, 1, 2, 3]).view(4, 1, 1, 1)  # one group varies, the other does not
    spread = minibatch_stddev(x)[:, 1, 0, 0]
    assert spread[[0, 2, 4, 6]].allclose(torch.tensor(1.25).sqrt())
    assert (spread[[1, 3, 5, 7]] < 1e-3).all()
    assert minibatch_stddev(torch.randn(3, 2, 2, 2)).shape == (3, 3, 2, 2)  # smaller than a group
    assert minibatch_stddev(torch.randn(6, 2, 2, 2)).shape == (6, 3, 2, 2)  # no multiple of a group


def test_learning_a_latent_takes_another_path_to_the_same_picture_and_gradient() -> None:
    net = Generator(16, z_dim=8, w_dim=8, mapping_layers=1, channel_base=128, channel_max=16).double()
    codes = torch.randn(1, net.num_ws, 8, dtype=torch.float64)
    for parameter in net.parameters():
        parameter.requires_grad_(False)
    with torch.no_grad():
        want = net.synthesis(codes)
    torch.testing.assert_close(net.synthesis(codes.clone().requires_grad_()), want)

    def summed(codes: torch.Tensor) -> torch.Tensor:
        return net.synthesis(codes).square().sum()

    assert torch.autograd.gradcheck(summed, codes.requires_grad_())
