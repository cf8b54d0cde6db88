"""Blur by discs: exact against the definition, nothing where it is sharp, brightness kept."""

import pytest
import torch

from gan_core.training.focus import RADII, defocus, random_radii


def test_sharp_pixels_stay_and_a_flat_picture_stays_flat() -> None:
    torch.manual_seed(0)
    pictures = torch.rand(2, 3, 64, 64) * 1.9 - 0.95
    torch.testing.assert_close(defocus(pictures, torch.zeros(2, 1, 64, 64)), pictures, atol=1e-4, rtol=0)
    flat = torch.full((1, 3, 64, 64), 0.3)
    torch.testing.assert_close(defocus(flat, torch.full((1, 1, 64, 64), 20.0)), flat, atol=1e-4, rtol=0)


@pytest.mark.parametrize("radius", RADII[1:])
def test_a_lamp_becomes_a_disc_of_the_radius(radius: float) -> None:
    picture = torch.full((1, 3, 256, 256), -1.0)
    picture[..., 128, 128] = 1
    light = (defocus(picture, torch.full((1, 1, 256, 256), radius))[0, 0] * 0.5 + 0.5) ** 2.2
    light = (light - light.min()).double()
    assert light.sum().item() == pytest.approx(1, rel=0.03)  # as much light as before
    away = torch.hypot(*torch.meshgrid(*[torch.arange(256.0) - 128] * 2, indexing="ij"))
    assert light[away > radius + 0.71].max() < 1e-6
    inside = light[away < radius - 0.71]
    assert inside.min() > 0.9 * inside.max()


def test_radii_of_one_picture_may_differ_and_stay_below_the_largest() -> None:
    torch.manual_seed(0)
    radii = random_radii(200, 16, 8.0, "cpu")
    assert radii.shape == (200, 1, 16, 16) and radii.min() >= 0 and radii.max() <= 8
    even = radii.flatten(1).std(1) == 0
    assert 0.3 < even.float().mean() < 0.5
    assert (radii.flatten(1).amin(1)[~even] < 1).float().mean() > 0.5  # a line of the tilted ones is in focus
