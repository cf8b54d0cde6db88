"""Constants scaled attribute by attribute."""

import pytest
import torch

from gan_core.errors import BadValue
from gan_core.self_conditioned.predictors import FacePredictor
from gan_core.training.self_conditioned.scale_constants import MOST, measured_reach, scale_to_reach, scaled
from tests.gan_core.self_conditioned.small import conditioned_generator, space


def test_constants_are_scaled_by_attribute() -> None:
    constants = torch.ones(9, 2, 1, 1)
    result = scaled(constants, [2.0, 1.0, 0.5])
    assert result[:, 0, 0, 0].tolist() == [2, 2, 2, 1, 1, 1, 0.5, 0.5, 0.5]
    for wrong in ([1.0, 2.0], [1.0, 0.0, 1.0]):
        with pytest.raises(BadValue, match="3 factors"):
            scaled(constants, wrong)


class Colours(FacePredictor):
    """Measures the colours of a picture."""

    def predict(self, images: torch.Tensor, batch: int = 32) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.zeros(len(images), 1), images.mean((2, 3))


def test_constants_are_scaled_to_a_measured_reach() -> None:
    net, colours = conditioned_generator(), Colours(widths=(4, 4, 4, 4, 4), neck=4, identity=8)
    start, before = net.constants.detach().clone(), measured_reach(net, space(), colours)
    further = [1.3 * before[0], 12 * before[1], -before[2]]  # further, much too far, the other way
    factors = scale_to_reach(net, space(), colours, further)
    after = measured_reach(net, space(), colours)
    assert 1 < factors[0] < MOST and abs(after[0] / further[0] - 1) < 0.15
    assert factors[1] == MOST and factors[2] == 1
    torch.testing.assert_close(net.constants, scaled(start, factors))
    with pytest.raises(BadValue, match="3 ranges"):
        scale_to_reach(net, space(), colours, [1.0])
