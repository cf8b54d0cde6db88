"""Both published variants on cases whose value is known by hand."""

import pytest
import torch

from gan_core.insetgan.losses import Authors, Paper, crop, enlarge, inside, paste, reduce


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
    assert Authors.mean_latent(w, mean) == 1 / 64


def test_edge_weight_of_the_release_is_a_step() -> None:
    assert [Authors.edge_weight(step, 6.0) for step in (0, 150, 300, 301)] == [0, 0, 0, 6]
    assert [Authors.edge_weight(step, 6.0, gradual=True) for step in (0, 150, 300, 301)] == [0, 3, 6, 6]


def test_edge_weighs_every_side_by_its_pixels() -> None:
    a, b = torch.zeros(1, 3, 256, 256), torch.ones(1, 3, 256, 256)
    assert Authors.edge(a, b).item() == pytest.approx(2 / (8 * 256) + 2 / (8 * 240))


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_reduction_keeps_flat_pictures_and_centres(factor: int) -> None:
    flat = torch.full((1, 3, 64, 96), 0.7)
    torch.testing.assert_close(reduce(flat, factor), torch.full((1, 3, 64 // factor, 96 // factor), 0.7))
    ramp = torch.arange(96.0).expand(1, 1, 64, 96)
    centres = (torch.arange(96 // factor) + 0.5) * factor - 0.5
    inner = slice(2, -2)
    torch.testing.assert_close(reduce(ramp, factor)[0, 0, 5][inner], centres[inner])


def test_boxes_stay_on_the_canvas() -> None:
    x0, y0, x1, y1 = Authors.box((900, 10, 1020, 140), (64, 64, 192, 192))
    assert y0 == 0 and x1 == 1024 and y1 - y0 == 240 and x0 > 0
    region = Authors.region(torch.rand(1, 3, 1024, 1024), (x0, y0, x1, y1))
    assert region.shape == (1, 3, 256, 256)
    assert Authors.inset(torch.rand(1, 3, 512, 512)).shape == (1, 3, 256, 256)


def test_losses_pull_on_both_pictures() -> None:
    canvas, inset = (torch.rand(1, 3, 256, 256, requires_grad=True) for _ in range(2))
    box = (20, 20, 180, 180)
    region = Authors.region(canvas, box)
    loss = Paper.coarse(canvas, inset, box) + Paper.border(canvas, inset, box) + Authors.edge(region, inset)
    (loss + Authors.l1(reduce(region, 4), reduce(inset, 4))).backward()
    assert canvas.grad.abs().sum() > 0 and inset.grad.abs().sum() > 0
    assert canvas.grad[..., 200:].abs().sum() == 0
