"""Values, distances and logits to soft labels, and what is refused."""

import pytest
import torch

from gan_core.errors import BadValue
from gan_core.self_conditioned import labels


def test_a_value_is_spread_over_its_two_neighbouring_knots() -> None:
    values = torch.tensor([0.0, 0.25, 0.5, 0.9, 1.0, 1.5, -1.0])
    expected = [[1, 0, 0], [0.5, 0.5, 0], [0, 1, 0], [0, 0.2, 0.8], [0, 0, 1], [0, 0, 1], [1, 0, 0]]
    torch.testing.assert_close(labels.soft_labels(values), torch.tensor(expected))


def test_generator_drops_the_middle_and_the_target_keeps_it() -> None:
    weights = labels.weights_for_values(torch.tensor([[0.5, 0.9], [0.1, 1.0]]))
    torch.testing.assert_close(weights, torch.tensor([[1, 0, 0, 0, 0, 0, 0.8], [1, 0.8, 0, 0, 0, 0, 1]]))
    target = labels.label_vector(labels.soft_labels(torch.tensor([[0.5, 0.9]])))
    torch.testing.assert_close(target, torch.tensor([[1, 0, 1, 0, 0, 0.2, 0.8]]))


def test_range_of_distances_leaves_out_both_tails() -> None:
    distances = torch.stack([torch.linspace(0, 1000, 1001), torch.linspace(-10, 10, 1001)], 1)
    low, high = labels.range_of(distances)
    torch.testing.assert_close(low, torch.tensor([5.0, -9.9]))
    torch.testing.assert_close(high, torch.tensor([995.0, 9.9]))
    values = labels.values_of(torch.tensor([[500.0, 0.0], [0.0, 20.0]]), low, high)
    torch.testing.assert_close(values, torch.tensor([[0.5, 0.5], [0.0, 1.0]]))
    knots = labels.knots_between(low, high)  # several attributes, each with knots of its own
    torch.testing.assert_close(labels.soft_labels(torch.tensor([[500.0, 20.0]]), knots)[0, 1], torch.eye(3)[2])


def test_weights_read_off_a_picture() -> None:
    logits = torch.zeros(1, 7)
    logits[0, 3] = 50.0
    torch.testing.assert_close(
        labels.weights_from_logits(logits), torch.tensor([[1, 0, 0, 1, 1 / 3, 0, 1 / 3]]), atol=1e-6, rtol=0
    )


def test_what_is_refused() -> None:
    with pytest.raises(BadValue, match="between 0 and 1"):
        labels.weights_for_values(torch.tensor([[0.5, 1.2]]))
    with pytest.raises(BadValue, match="between 0 and 1"):
        labels.weights_for_values(torch.tensor([[float("nan")]]))
    with pytest.raises(BadValue, match="low end"):
        labels.knots_between(1.0, 1.0)
    with pytest.raises(BadValue, match="entries an attribute"):
        labels.blocks(torch.zeros(2, 9))
