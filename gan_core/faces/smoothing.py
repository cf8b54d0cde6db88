"""Smoothing of values that change over time: a curve is fitted to the neighbours of each moment.

A weighted mean of the neighbours would cut corners: a swinging head, and a face that turns, would not reach the ends of
their way. A line follows a steady movement, a parabola one that turns round as well (local regression, Cleveland 1979;
with even times and weights it is the filter of Savitzky & Golay 1964).
"""

from __future__ import annotations

import numpy as np

REACH = 3.0  # times `width`: neighbours further away count nothing
_RIDGE = 1e-9  # so that one or two neighbours are enough


def fitted(
    times: np.ndarray, values: np.ndarray, at: float, width: float, weights: np.ndarray | None = None
) -> np.ndarray:
    """The value at the time `at` of a parabola fitted to its neighbours, of the shape of one value.

    times: (N,) seconds. values: (N, ...). width: standard deviation, in seconds, of a Gaussian by which neighbours
    count. weights: (N,), by which they count as well.
    """
    apart = (np.asarray(times, np.float64) - at) / width
    near = np.abs(apart) <= REACH
    share = np.exp(-(apart[near] ** 2) / 2) * (1.0 if weights is None else np.asarray(weights)[near])
    powers = np.stack([np.ones_like(apart[near]), apart[near], apart[near] ** 2], 1)
    normal = powers.T @ (powers * share[:, None]) / max(share.sum(), 1e-12)
    # The curve's value at `at` is its first coefficient: one weight for each neighbour.
    row = np.linalg.solve(normal + _RIDGE * np.eye(3), powers.T * share / max(share.sum(), 1e-12))[0]
    return np.tensordot(row / row.sum(), np.asarray(values)[near], 1)
