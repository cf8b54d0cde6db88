"""Constants scaled attribute by attribute."""

import pytest
import torch

from gan_core.errors import BadValue
from gan_core.training.self_conditioned.scale_constants import scaled


def test_constants_are_scaled_by_attribute() -> None:
    constants = torch.ones(9, 2, 1, 1)
    result = scaled(constants, [2.0, 1.0, 0.5])
    assert result[:, 0, 0, 0].tolist() == [2, 2, 2, 1, 1, 1, 0.5, 0.5, 0.5]
    for wrong in ([1.0, 2.0], [1.0, 0.0, 1.0]):
        with pytest.raises(BadValue, match="3 factors"):
            scaled(constants, wrong)
