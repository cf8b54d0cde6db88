"""Holes of any wanted size, of the paper's shapes, the same for a seed; ready-made ones where they belong."""

import numpy as np
import pytest

from gan_core.comodgan import masks
from gan_core.errors import BadValue, UnknownName


@pytest.mark.parametrize("low", [0.0, 0.02, 0.3, 0.5, 0.9, 0.98])
def test_hole_ratio_is_the_wanted_one(low: float) -> None:
    for seed in range(8):
        mask = masks.with_ratio(np.random.default_rng(seed), low, low + 0.02, 96)
        assert mask.shape == (96, 96) and mask.dtype == bool and mask.any()
        assert low - 1e-3 <= mask.mean() <= low + 0.02 + 1e-3


def test_free_form_covers_many_ratios_and_never_nothing() -> None:
    rng = np.random.default_rng(1)
    ratios = np.array([masks.free_form(rng, 64).mean() for _ in range(200)])
    assert ratios.min() > 0 and len(np.unique((ratios * 5).astype(int))) >= 4
    assert np.array_equal(masks.free_form(np.random.default_rng(5)), masks.free_form(np.random.default_rng(5)))


def test_bank_is_even_and_the_same_for_a_seed() -> None:
    bank = masks.bank(400, 48, seed=3)
    assert bank.shape == (400, 48, 48) and set(np.unique(bank)) == {0, 1}
    drawn = np.delete(bank, np.arange(7, 400, 8), 0).mean((1, 2))
    counts, _ = np.histogram(drawn, 10, (0, 1))
    assert counts.min() >= 0.8 * counts.mean()
    assert np.array_equal(bank[:20], masks.bank(20, 48, seed=3))
    assert not np.array_equal(bank[:20], masks.bank(20, 48, seed=4))


@pytest.mark.parametrize("name", masks.READY_MADE)
@pytest.mark.parametrize("size", [(256, 256), (301, 97), (1, 1), (40, 900)])
def test_ready_made_has_the_pictures_shape(name: str, size: tuple[int, int]) -> None:
    mask = masks.ready_made(name, size, seed=2)
    assert mask.shape == size[::-1] and mask.dtype == bool
    if min(size) > 90:
        assert 0 < mask.mean() < 1


def test_ready_made_follows_the_eyes() -> None:
    eyes = ((60.0, 50.0), (100.0, 70.0))
    band, rest, face = (masks.ready_made(name, (200, 160), eyes=eyes) for name in ("eyes", "all_but_eyes", "face"))
    for x, y in eyes:
        assert band[int(y), int(x)] and face[int(y), int(x)] and not rest[int(y), int(x)]
    assert np.array_equal(band, ~rest) and not band[150, 10]
    halves = [masks.ready_made(name, (101, 60)) for name in ("left", "right", "top", "bottom")]
    assert all(abs(half.mean() - 0.5) < 0.01 for half in halves)


def test_bad_wishes() -> None:
    with pytest.raises(UnknownName, match="nose"):
        masks.ready_made("nose", (9, 9))
    for low, high in ((0.5, 0.5), (-0.1, 0.5), (0.9, 1.1)):
        with pytest.raises(BadValue, match="hole ratios"):
            masks.with_ratio(np.random.default_rng(0), low, high)
