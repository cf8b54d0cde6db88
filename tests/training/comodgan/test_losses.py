import pytest
import torch

from gan_core.training.comodgan.losses import (
    colour_loss,
    counted_pixels,
    drawn_lines_loss,
    known_nearby,
    reconstruction_loss,
    spread_loss,
    spread_of,
)


def half_hole(side: int = 64) -> torch.Tensor:
    hole = torch.zeros(1, 1, side, side)
    hole[..., side // 2 :] = 1
    return hole


def test_only_blocks_near_known_pixels_are_held_to_their_tone() -> None:
    hole = torch.zeros(1, 1, 96, 96)
    hole[..., 32:] = 1  # the left third is known
    near = known_nearby(hole)[0, 0]
    assert near.shape == (6, 6)
    assert (near[:, 0] == 1).all()
    assert torch.allclose(near[:, 2], torch.tensor(1 / 3))  # the first hidden column of blocks
    assert (near[:, 3:] == 0).all()


def test_hidden_pixels_count_in_small_holes_only() -> None:
    hole = torch.zeros(1, 1, 64, 64)
    hole[..., :8, :] = 1  # an eighth of the picture
    counted = counted_pixels(hole, small_hole=0.25)
    assert (counted[hole == 0] == 1).all() and (counted[hole == 1] == 0.5).all()
    assert (counted_pixels(half_hole(), small_hole=0.25) == 1 - half_hole()).all()
    off = torch.full((1, 3, 64, 64), -0.2)
    assert reconstruction_loss(off, 1 - half_hole()).item() == pytest.approx(0.1)


def test_only_the_mean_colour_of_hidden_blocks_near_known_pixels_counts() -> None:
    hole = half_hole(96)
    near = known_nearby(hole)
    checks = torch.ones(1, 3, 96, 96)
    checks[..., ::2] = -1  # no block's mean colour changes
    assert colour_loss(checks, hole, near) == 0
    shift = torch.ones(1, 3, 96, 96)
    assert colour_loss(shift, hole, near) > 0
    far = shift * (torch.arange(96) >= 64)  # blocks without a known pixel next to them
    assert colour_loss(far, hole, near) == 0
    assert colour_loss(shift * (1 - hole), hole, near) == 0


def test_a_missing_line_costs_more_than_one_that_was_not_drawn() -> None:
    picture = torch.ones(1, 3, 64, 64)
    picture[..., 31:33] = -1
    line = torch.zeros(1, 1, 64, 64)
    line[..., 30:34] = 1
    nothing = torch.zeros_like(line)
    blank = torch.ones(1, 3, 64, 64)
    missing, added = drawn_lines_loss(blank, line), drawn_lines_loss(picture, nothing)
    assert missing > 2 * added > 0
    assert drawn_lines_loss(blank, nothing) == 0 and drawn_lines_loss(picture, line) < missing


def test_large_holes_ask_for_different_completions() -> None:
    torch.manual_seed(0)
    hole = half_hole()
    first = torch.zeros(1, 3, 64, 64)
    second = first + 0.5 * hole
    spread = spread_of(first, second, hole)
    assert spread.item() == pytest.approx(0.5)
    assert spread_of(first, first + 0.5 * (1 - hole), hole) == 0  # what is known does not count
    assert spread_loss(spread, hole, 0.2) == 0  # 0.5 is more than 0.4
    assert spread_loss(spread, hole, 0.3).item() == pytest.approx(0.1)
    tiny = torch.zeros_like(hole)
    tiny[..., :4] = 1  # less than a tenth: one answer is enough
    assert spread_loss(torch.zeros(1, 1, 1, 1), tiny, 0.3) == 0
