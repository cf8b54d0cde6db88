"""Smoothing over time: what moves evenly or turns round is not changed, what trembles is."""

import numpy as np
import pytest

from gan_core.faces.smoothing import fitted
from gan_core.faces.tracking import Track, smooth

TIMES = np.arange(30) / 25
SQUARE = np.array([[0.0, 0], [60, 0], [30, 36], [3, 61], [57, 61]])


@pytest.mark.parametrize("at", [0, 1, 13, 29])
def test_a_parabola_stays_one_in_the_middle_and_at_the_ends(at):
    values = np.stack([3 + 2 * TIMES - 5 * TIMES**2, TIMES], 1)
    assert np.allclose(fitted(TIMES, values, TIMES[at], 0.15), values[at], atol=1e-6)


def test_noise_is_averaged_and_one_value_is_left_alone():
    noise = np.random.default_rng(0).normal(0, 1, (30, 14, 8))
    smooth_ones = np.stack([fitted(TIMES, noise, at, 0.2) for at in TIMES])
    assert smooth_ones.shape == noise.shape
    assert np.diff(smooth_ones, axis=0).std() < 0.15 * np.diff(noise, axis=0).std()
    assert np.allclose(fitted(np.array([2.0]), np.array([[7.0, 8.0]]), 2.0, 0.2), [7, 8])


@pytest.mark.parametrize("hertz", [0.5, 1, 3])
def test_a_swinging_face_is_followed_to_the_ends_of_its_way(hertz):
    """Points of a shaken head: no further from the truth than the finder's own."""
    random, raw, truth = np.random.default_rng(0), Track(), []
    for i in range(60):
        time = i / 25
        truth.append(SQUARE + [70 * np.sin(2 * np.pi * hertz * time), 20 * np.sin(3 * hertz * time)])
        raw.add(i, time, truth[-1] + random.normal(0, 0.3, (5, 2)))
    steadied = smooth(raw)
    lag = np.stack([steadied.points[i] - truth[i] for i in range(60)])
    own = np.stack([raw.points[i] - truth[i] for i in range(60)])
    assert np.sqrt((lag**2).mean()) <= 1.01 * np.sqrt((own**2).mean())
    assert np.sqrt((np.diff(lag, axis=0) ** 2).mean()) <= 1.01 * np.sqrt((np.diff(own, axis=0) ** 2).mean())
