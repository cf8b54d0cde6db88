"""A causal direction moves its measure, leaves the held ones, and stays within its layers and the codes' spread."""

import numpy as np
import torch

from gan_core.stylegan2 import Generator
from gan_core.training.hfgi.sensitivities import sensitivities, solve_direction


def test_mean_gradient_of_a_known_measure() -> None:
    net = Generator(16, z_dim=8, w_dim=8, mapping_layers=1, channel_base=64, channel_max=8).requires_grad_(False)
    codes = net.broadcast(net.mapping(torch.randn(3, 8))).contiguous()
    got = sensitivities(net, codes, lambda images: {"mean": images.mean((1, 2, 3))}, batch=2)["mean"]
    assert got.shape == codes.shape[1:]
    step = torch.zeros_like(codes)
    step[:, 2, 5] = 1e-2
    change = (net.synthesis(codes + step).mean() - net.synthesis(codes - step).mean()) / 2e-2
    np.testing.assert_allclose(got[2, 5], change.item(), rtol=0.05, atol=1e-5)


def test_solved_direction_moves_one_measure_and_not_the_other() -> None:
    random = np.random.RandomState(0)
    codes = random.standard_normal((500, 4, 6)) * np.array([3, 1, 1, 1, 1, 0.01])
    gradients = {"smile": random.standard_normal((4, 6)), "yaw": random.standard_normal((4, 6))}
    window = np.array([[0.0], [1], [1], [0]])
    direction = solve_direction(gradients, "smile", ("yaw", "unknown"), codes, window)
    assert abs((gradients["smile"] * direction).sum() - 1) < 0.05
    assert abs((gradients["yaw"] * direction).sum()) < 0.05
    assert (direction[[0, 3]] == 0).all()
    assert np.abs(direction[:, 5]).max() < 0.01 * np.abs(direction).max()  # codes hardly vary there
