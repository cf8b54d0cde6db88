"""The measuring network: what it sees of pictures and of their mirror images."""

from __future__ import annotations

import torch

from tests.gan_core.self_conditioned.small import predictor


def test_a_mirrored_picture_has_the_opposite_yaw_and_is_the_same_person() -> None:
    net = predictor()
    images = torch.rand(3, 3, 64, 64) * 2 - 1
    (identity, values), (other, turned) = net.predict(images), net.predict(images.flip(3))
    torch.testing.assert_close(identity, other, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(identity.norm(dim=1), torch.ones(3))
    sign = torch.tensor([1.0, -1.0, 1.0])
    torch.testing.assert_close(values * sign, turned, atol=1e-4, rtol=1e-4)
