"""What a canvas's own head shows beside an inset: taken away, and counted by the objective."""

import torch

from gan_core.faces.head import HEAD_SIZE
from gan_core.insetgan.objective import stray_head
from gan_core.insetgan.placement import Placement
from gan_core.insetgan.stray import without_stray_head

PLACE = Placement.of_box((32, 16, 96, 80))
RED, BLUE = torch.full((2, 1, 3, 64, 64), -1.0)
RED[:, 0], BLUE[:, 2] = 1.0, 1.0


def masks(pictures):
    """Head and person are what is red."""
    red = (pictures[:, :1] > 0.5).float()
    return torch.cat([red, red], 1)


def canvas_with_head(x0=44, x1=84, y0=24, y1=100) -> torch.Tensor:
    """A red head and neck in front of a grey ramp."""
    picture = torch.linspace(-0.5, 0.1, 128).expand(1, 3, 256, 128).clone()
    picture[:, 0, y0:y1, x0:x1] = 1.0
    return picture


def inset(x0=20, x1=44) -> torch.Tensor:
    """Covers columns of the place, which has 64, but for its lowest part."""
    inside = torch.zeros(1, 1, 64, 64)
    inside[..., 8:58, x0:x1] = 1
    return inside


def test_hair_beside_the_inset_becomes_what_is_behind() -> None:
    before = canvas_with_head()
    after = without_stray_head(before, PLACE, BLUE, inset(), masks)
    beside = (slice(None), 0, slice(30, 60), slice(44, 49))
    assert before[beside].min() == 1 and after[beside].max() < 0.2
    assert (after[..., 30:60, 44:49] - after[:, 1:2, 30:60, 44:49]).abs().max() < 0.2, "the ramp goes on"
    covered = (slice(None), 0, slice(30, 60), slice(56, 72))
    assert after[covered].min() == 1, "what the inset covers stays"
    assert after[:, 0, 75:100, 56:72].min() == 1, "so does the neck"
    outside = torch.ones(1, 3, 256, 128, dtype=torch.bool)
    outside[..., 16:80, 32:96] = False
    assert torch.equal(after[outside], before[outside])


def test_what_goes_on_as_the_inset_stays() -> None:
    """A neck below the jaw, and hair in the inset's own colour."""
    before = canvas_with_head()
    before[:, 1:, 24:100, 44:84] = -1.0
    assert (without_stray_head(before, PLACE, RED, inset(), masks) - before).abs().max() < 0.1
    assert (without_stray_head(before, PLACE, BLUE, inset(), masks) - before).abs().max() > 0.5


def test_nothing_is_taken_away_without_anything_behind() -> None:
    red = torch.ones(1, 3, 256, 128)
    assert torch.equal(without_stray_head(red, PLACE, BLUE, inset(), masks), red)
    plain = canvas_with_head(x0=60, x1=68)
    assert (without_stray_head(plain, PLACE, BLUE, inset(), masks) - plain).abs().max() < 1e-5


def test_the_objective_counts_only_what_is_beside() -> None:
    def red(pictures):
        assert pictures.shape[-2:] == (HEAD_SIZE, HEAD_SIZE)
        return torch.sigmoid(20 * (pictures[:, :1] - 0.5))

    below = canvas_with_head()[..., 16:80, 32:96].requires_grad_()
    some, none = stray_head(below, inset(), red), stray_head(below, torch.ones(1, 1, 64, 64), red)
    assert none == 0 < some < 0.5
    some.backward()
    assert below.grad[0, 0, 40, 14] > 0 and below.grad[0, 0, 40, 32] == 0 and below.grad[0, 0, 60, 14] == 0
