"""The losses on cases whose value is known by hand."""

import pytest
import torch

from gan_core.insetgan.losses import Paper, crop, enlarge, inside, paste


def test_a_pasted_inset_has_no_coarse_and_no_border_loss() -> None:
    canvas, inset, box = torch.rand(1, 3, 128, 64), torch.rand(1, 3, 128, 128), (10, 20, 50, 60)
    pasted = paste(canvas, inset, box)
    assert Paper.coarse(pasted, inset, box) == 0 and Paper.border(pasted, inset, box) == 0
    assert Paper.coarse(canvas, inset, box) > 0 and Paper.border(canvas, inset, box) > 0
    assert Paper.body(pasted, canvas, box) == 0  # outside of the box nothing changed
    assert torch.equal(crop(pasted, (50, 0, 64, 128)), crop(canvas, (50, 0, 64, 128)))


def test_border_sees_the_frame_only() -> None:
    canvas, inset = torch.zeros(1, 3, 64, 64), torch.zeros(1, 3, 40, 40)
    inset[..., 8:-8, 8:-8] = 1
    assert Paper.border(canvas, inset, (0, 0, 40, 40)) == 0
    inset[..., 0, 0] = 1
    expected = 2500 / 40**2
    assert Paper.border(canvas, inset, (0, 0, 40, 40)).item() == pytest.approx(expected, rel=1e-5)


def test_face_and_body_masks() -> None:
    inset = torch.zeros(1, 3, 64, 64)
    changed = torch.ones(1, 3, 64, 64)
    share = 18 * 18 / 64**2  # the box and four pixels around
    assert Paper.face(inset, changed, (20, 20, 30, 30)).item() == pytest.approx(5000 * share, rel=1e-5)
    share = 1 - 44 * 44 / 64**2  # margin: 40 // 20
    assert Paper.body(inset, changed, (10, 10, 50, 50)).item() == pytest.approx(9000 * share, rel=1e-5)
    assert enlarge((1, 2, 30, 40), 4) == (0, 0, 34, 44)
    assert inside(inset, (60, 60, 90, 90)).sum() == 16


def test_regularisers() -> None:
    w, mean, offsets = torch.ones(1, 8), torch.zeros(1, 8), torch.full((1, 4, 8), 2.0)
    assert Paper.regulariser(w, mean) == 25000
    assert Paper.regulariser(w, mean, offsets, 10.0) == 25040


def test_losses_pull_on_both_pictures() -> None:
    canvas, inset = (torch.rand(1, 3, 256, 256, requires_grad=True) for _ in range(2))
    box = (20, 20, 180, 180)
    (Paper.coarse(canvas, inset, box) + Paper.border(canvas, inset, box)).backward()
    assert canvas.grad.abs().sum() > 0 and inset.grad.abs().sum() > 0
    assert canvas.grad[..., 200:].abs().sum() == 0
