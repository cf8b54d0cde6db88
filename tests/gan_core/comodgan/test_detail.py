"""Large squares get the photograph's own detail: exact where known, as sharp and grainy in the hole as around it."""

import pytest
import torch

from gan_core.comodgan.blending import resample, shrink_known
from gan_core.comodgan.detail import restore_detail, steps_to
from gan_core.comodgan.patches import SIDE, PatchGrid, improve, nearest


def with_hole(side: int, part: float = 0.3) -> torch.Tensor:
    known = torch.ones(1, 1, side, side)
    low, high = round(side * (0.5 - part / 2)), round(side * (0.5 + part / 2))
    known[..., low:high, low:high] = 0
    return known


def started(image: torch.Tensor, known: torch.Tensor, resolution: int) -> torch.Tensor:
    """The right colours at the network's resolution."""
    small, small_known = shrink_known(image, known, resolution)
    return torch.where(small_known == 1, small, resample(image, resolution))


def test_the_number_of_steps() -> None:
    assert [steps_to(side, 256) for side in (1, 256, 330, 340, 670, 680, 2400)] == [0, 0, 0, 1, 1, 2, 3]


@pytest.mark.parametrize("side", [45, 64, 101, 230])
@pytest.mark.parametrize("part", [0.05, 0.5, 1.0])
def test_known_pixels_are_exact_at_any_size(side: int, part: float) -> None:
    torch.manual_seed(0)
    image, known = torch.rand(1, 3, side, side) * 2 - 1, with_hole(side, part)
    done = restore_detail(torch.rand(1, 3, 32, 32) * 2 - 1, image, known)
    where = known.expand_as(image) == 1
    assert done.shape == image.shape and torch.isfinite(done).all() and done.abs().max() <= 1
    assert torch.equal(done[where], image[where]) and not torch.equal(done, image)


def test_grain_in_the_hole_is_that_around_it() -> None:
    torch.manual_seed(0)
    image = (torch.zeros(1, 3, 240, 240) + torch.randn(1, 1, 240, 240) * 0.1).clamp(-1, 1)
    known = with_hole(240)
    done = restore_detail(started(image, known, 64), image, known)
    hole = known.expand_as(image) == 0
    assert 0.75 < (done[hole].std() / image[~hole].std()).item() < 1.15
    smooth = resample(started(image, known, 64), 240)
    assert smooth[hole].std() < 0.5 * image[~hole].std(), "an enlargement alone has no grain"


def test_texture_comes_back_sharp() -> None:
    """Stripes too fine for the network, in the hole as beside it."""
    side = 256
    across = torch.arange(side)
    coarse = ((across // 32) % 2).float() - 0.5  # bands that the network can see
    fine = torch.where(coarse > 0, ((across // 2) % 2).float() - 0.5, torch.zeros(side))  # stripes in every other one
    image = (coarse * 0.8 + fine * 0.6).expand(1, 3, side, side).clone()
    known = with_hole(side, 0.4)
    done = restore_detail(started(image, known, 64), image, known)
    hole = known.expand_as(image) == 0
    enlarged = resample(started(image, known, 64), side)
    off, off_enlarged = ((x - image)[hole].abs().mean().item() for x in (done, enlarged))
    assert off < 0.5 * off_enlarged


def test_no_seam_on_a_smooth_picture() -> None:
    ramp = torch.linspace(-0.8, 0.8, 200).expand(1, 3, 200, 200)
    known = with_hole(200)
    done = restore_detail(started(ramp, known, 64), ramp, known)
    assert (done - ramp).abs().max() < 0.03


def test_what_is_in_the_hole_has_no_influence_and_outside_nothing_is_copied() -> None:
    torch.manual_seed(0)
    image, known = torch.rand(1, 3, 150, 150) * 2 - 1, with_hole(150)
    known[..., :30] = 0  # beyond the photograph's border
    start = started(image, known, 32)
    other = torch.where(known == 1, image, -image)
    inside = (30, 0, 150, 150)
    first, second = (restore_detail(start, x, known, inside) for x in (image, other))
    assert torch.equal(first[..., 30:], second[..., 30:])


def test_nearest_patches_are_found() -> None:
    torch.manual_seed(0)
    picture = torch.rand(1, 3, 40, 40)
    known = torch.ones(1, 1, 40, 40)
    known[..., 20:28, 4:12] = 0
    picture[..., 20:28, 4:12] = picture[..., 6:14, 26:34]  # a copy from 14 rows up and 22 columns to the right
    grid = PatchGrid.of(picture, known, 1 - known)
    inner = ((grid.corners >= torch.tensor([20, 4])) & (grid.corners <= torch.tensor([28, 12]) - SIDE)).all(1)
    found = nearest(grid)
    assert inner.any() and (found[inner] == torch.tensor([-14, 22])).all()
    assert grid.may_copy(grid.corners + found).all()
    # From random places, the neighbours pass on what one of them knows.
    begun = torch.zeros_like(found)
    begun[inner.nonzero()[0]] = torch.tensor([-14, 22])
    better, cost = improve(grid, begun, rounds=6)
    assert (better[inner] == torch.tensor([-14, 22])).all() and cost[inner].max() < 1e-6
    assert grid.may_copy(grid.corners + better).all()
