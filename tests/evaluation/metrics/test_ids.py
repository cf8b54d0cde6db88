"""FID, P-IDS and U-IDS on sets whose scores are known, and what is refused."""

import numpy as np
import pytest
import torch
from scipy import linalg

from gan_core.errors import BadValue
from gan_core.evaluation.metrics.ids import Moments, discriminative_scores, frechet_distance, to_8_bits


def test_equal_sets_cannot_be_told_apart() -> None:
    rows = np.random.randn(200, 8)
    scores = discriminative_scores(rows, rows)
    assert scores.paired == 0 and scores.unpaired == pytest.approx(0.5)  # never strictly more real
    assert frechet_distance(rows, rows) == pytest.approx(0, abs=1e-9)


def test_far_sets_are_told_apart() -> None:
    rows = np.random.randn(200, 8)
    scores = discriminative_scores(rows, rows + 20)
    assert scores.paired == 0 and scores.unpaired == 0
    assert frechet_distance(rows, rows + 20) == pytest.approx(8 * 400)


def test_pairs_matter_to_p_ids_only() -> None:
    rng = np.random.default_rng(0)
    real, noise = 5 * rng.standard_normal((300, 4)), rng.standard_normal((300, 4))
    paired = real + 0.3 * noise + 0.2
    shuffled = paired[rng.permutation(300)]
    a, b = discriminative_scores(real, paired), discriminative_scores(real, shuffled)
    assert a.unpaired == b.unpaired and a.paired != b.paired
    assert frechet_distance(real, paired) == pytest.approx(frechet_distance(real, shuffled))


def test_frechet_distance_is_the_matrix_formula_and_takes_moments() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.standard_normal((50, 6)) @ rng.standard_normal((6, 6)), rng.standard_normal((80, 6)) + 1
    root = linalg.sqrtm(np.cov(a, rowvar=False) @ np.cov(b, rowvar=False)).real
    expected = np.square(a.mean(0) - b.mean(0)).sum() + np.trace(np.cov(a, rowvar=False) + np.cov(b, rowvar=False))
    assert frechet_distance(a, b) == pytest.approx(expected - 2 * np.trace(root))
    assert frechet_distance(Moments.of(a), torch.from_numpy(b)) == pytest.approx(frechet_distance(a, b))
    few = rng.standard_normal((4, 6))  # singular covariance
    assert np.isfinite(frechet_distance(few, b))


def test_rounding_to_8_bits() -> None:
    levels = torch.tensor([-2.0, -1.0, 0.0, 1.0, 1.5, 2 / 255])
    assert to_8_bits(levels).tolist() == [0, 0, 128, 255, 255, 129]
    assert torch.equal(to_8_bits(torch.arange(256) / 127.5 - 1), torch.arange(256, dtype=torch.uint8))


def test_what_is_refused() -> None:
    rows = np.zeros((3, 2))
    with pytest.raises(BadValue, match="pairs"):
        discriminative_scores(rows, rows[:2])
    with pytest.raises(BadValue, match="table"):
        frechet_distance(np.zeros(3), rows)
    with pytest.raises(BadValue, match="at least two"):
        frechet_distance(rows[:1], rows)
    with pytest.raises(BadValue, match="two networks"):
        frechet_distance(np.zeros((3, 4)), rows)
