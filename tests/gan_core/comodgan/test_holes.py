"""Holes that lie apart are taken apart, near ones are not, and every marked pixel is in exactly one."""

import numpy as np
import pytest

from gan_core.comodgan.holes import MOST_HOLES, separate_holes


def put_back(mask: np.ndarray, resolution: int = 32) -> tuple[np.ndarray, int]:
    holes = separate_holes(mask, resolution)
    counted = np.zeros(mask.shape, int)
    for hole in holes:
        left, top, right, bottom = hole.box
        assert hole.mask.any() and hole.mask.shape == (bottom - top, right - left)
        counted[top:bottom, left:right] += hole.mask
    return counted, len(holes)


def test_far_holes_are_apart_and_near_ones_together() -> None:
    mask = np.zeros((400, 600), bool)
    mask[10:40, 10:40] = mask[300:330, 500:530] = True
    counted, number = put_back(mask)
    assert number == 2 and np.array_equal(counted, mask)
    near = np.zeros((400, 600), bool)
    near[10:40, 10:40] = near[10:40, 45:70] = True
    assert put_back(near)[1] == 1
    small = np.zeros((400, 600), bool)
    small[10:12, 10:12] = small[14:16, 18:20] = True  # both in one square of the network's resolution
    assert put_back(small)[1] == 1


def test_a_hole_inside_another_ones_box_keeps_its_pixels() -> None:
    mask = np.zeros((300, 300), bool)
    mask[5, :] = mask[:, 5] = True  # an angle, whose box is the whole picture
    mask[250:260, 250:260] = True
    counted, _ = put_back(mask)
    assert np.array_equal(counted, mask)


@pytest.mark.parametrize("count", [300, 3000])
def test_hundreds_of_specks_become_a_few_holes(count: int) -> None:
    rng = np.random.default_rng(0)
    mask = np.zeros((900, 1200), bool)
    mask[rng.integers(0, 900, count), rng.integers(0, 1200, count)] = True
    counted, number = put_back(mask)
    assert 1 <= number <= MOST_HOLES and np.array_equal(counted, mask)


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (37, 41)])
def test_everything_and_odd_sizes(size: tuple[int, int]) -> None:
    counted, number = put_back(np.ones(size, bool))
    assert number == 1 and counted.all()
