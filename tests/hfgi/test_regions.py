"""Regions of edits, and a new head before the old backdrop."""

from __future__ import annotations

import torch

from gan_core.hfgi.regions import REGIONS, before_backdrop, region_mask

SIDE = 128


def disc(x: float, y: float, radius: float) -> torch.Tensor:
    """(1, 1, SIDE, SIDE): 1 in a disc."""
    at = (torch.arange(SIDE) + 0.5) / SIDE
    return (((at - x)[None] ** 2 + (at - y)[:, None] ** 2) < radius**2).float()[None, None]


def test_regions_lie_inside_one_another() -> None:
    masks = [region_mask(region, 64) for region in REGIONS]
    for narrow, wide in zip(masks, masks[1:], strict=False):
        assert (narrow <= wide + 1e-6).all()
        assert narrow.sum() < wide.sum()
    assert masks[0][35, 32] == masks[1][35, 32] == 1 and masks[2][0, 0] == 0 and (masks[3] == 1).all()


def test_a_moved_head_leaves_no_trace() -> None:
    at = (torch.arange(SIDE) + 0.5) / SIDE
    backdrop = torch.stack([at.expand(SIDE, SIDE), at[:, None].expand(SIDE, SIDE), torch.zeros(SIDE, SIDE)])[None] / 2
    old, new = disc(0.45, 0.5, 0.25), disc(0.55, 0.5, 0.25)
    unedited = backdrop + old * (1 - backdrop)  # a white head before a ramp of colours
    # the generator sees another backdrop, 0.3 darker, and a grey head further right; with consultation the old head
    # shines through
    plain = (backdrop - 0.3) * (1 - new) + 0.5 * new
    edited = plain + 0.2 * old
    result = before_backdrop(unedited, edited, plain, old.expand(1, 2, -1, -1), new.expand(1, 2, -1, -1))
    seen = torch.nn.functional.max_pool2d(new, 9, 1, 4) == 0
    error = (result - backdrop).abs().amax(1, keepdim=True)
    assert error[seen].max() < 0.06  # the backdrop, also where the old head was
    assert torch.allclose((result * new), (edited * new), atol=1e-5)
    still = torch.nn.functional.max_pool2d(torch.maximum(old, new), 17, 1, 8) == 0
    assert torch.equal((result * still), (unedited * still))


def test_clothes_continue_clothes_and_backdrop_continues_backdrop() -> None:
    clothes = torch.zeros(1, 1, SIDE, SIDE)
    clothes[:, :, SIDE * 3 // 4 :] = 1
    scene = 0.6 - 1.2 * clothes.expand(1, 3, -1, -1)  # light backdrop, dark clothes
    old, new = disc(0.5, 0.6, 0.3), disc(0.5, 0.5, 0.1)  # long hair over both becomes short
    unedited = torch.where(old > 0, torch.tensor(0.1), scene)
    plain = torch.where(new > 0, torch.tensor(0.1), scene - 0.2)
    persons = [torch.cat([head, torch.maximum(head, clothes)], 1) for head in (old, new)]
    edited = plain + 0.2 * (1 - new)  # with consultation the colours are right, and the collar is taken from it
    result = before_backdrop(unedited, edited, plain, *persons)
    for row in (SIDE // 2, SIDE * 13 // 16):
        assert (result[0, :, row, SIDE // 2 - 30 : SIDE // 2 - 16] - scene[0, :, row, :14]).abs().max() < 0.08
