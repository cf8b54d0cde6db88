"""Regions of edits, and a new head before the old backdrop."""

from __future__ import annotations

import torch

from gan_core.hfgi import regions
from gan_core.hfgi.models import embedded_sliders, one_of_each_region
from gan_core.hfgi.regions import HAIR_SHARE, PARTS, REGIONS, before_backdrop, put_in_place, region_mask, widest

SIDE = 128


def disc(x: float, y: float, radius: float) -> torch.Tensor:
    """(1, 1, SIDE, SIDE): 1 in a disc."""
    at = (torch.arange(SIDE) + 0.5) / SIDE
    return (((at - x)[None] ** 2 + (at - y)[:, None] ** 2) < radius**2).float()[None, None]


def test_regions_lie_inside_one_another() -> None:
    masks = {region: region_mask(region, 64) for region in REGIONS}
    for narrow, wide in (
        ("mouth", "lower_face"),
        ("mouth", "face"),
        ("face", "face_and_hair"),
        ("face_and_hair", "head"),
        ("face", "around_face"),
        ("head", "crop"),
    ):
        assert (masks[narrow] <= masks[wide] + 0.05).all()
        assert masks[narrow].sum() < masks[wide].sum()
    assert all(mask[35, 32] == 1 for region, mask in masks.items() if region not in PARTS)
    assert masks["eyes"][31, 24] == masks["mouth"][47, 32] == masks["lower_face"][53, 32] == 1
    assert masks["head"][0, 0] == 0 and (masks["crop"] == 1).all()
    assert masks["face_and_hair"][8, 32] == HAIR_SHARE


def test_edits_together_apply_in_the_widest_region_and_eyes_with_mouth_in_the_face() -> None:
    assert widest([]) == "" and widest(["eyes", "eyes"]) == "eyes"
    assert widest(["mouth", "lower_face"]) == "lower_face"
    assert widest(["eyes", "mouth"]) == widest(["lower_face", "eyes", "mouth"]) == "face"
    assert widest(["eyes", "mouth", "head"]) == "head" and widest(["eyes", "face"]) == "face"


def test_a_beard_does_not_spill_over_what_is_beside_the_head() -> None:
    before, after = torch.zeros(1, 3, SIDE, SIDE), torch.ones(1, 3, SIDE, SIDE)
    head, narrower = (disc(0.45, 0.7, radius).expand(1, 2, -1, -1) for radius in (0.2, 0.15))
    got = put_in_place("lower_face", before, after, after, (head, narrower))
    assert torch.equal(got[0, 0], region_mask("lower_face", SIDE) * narrower[0, 0]) and got.max() == 1
    assert torch.equal(got, put_in_place("lower_face", before, after, after, (narrower, head)))
    without = put_in_place("lower_face", before, after, after, None)
    assert torch.equal(without[0, 0], region_mask("lower_face", SIDE)) and without.sum() > got.sum()


def test_a_mask_is_made_once_for_many_edits(monkeypatch) -> None:
    made = []
    monkeypatch.setattr(regions, "region_mask", lambda *size: made.append(size) or region_mask(*size))
    regions._kept_mask.cache_clear()
    before, after = torch.zeros(2, 3, 64, 64), torch.ones(2, 3, 64, 64)
    first, again = (put_in_place("face", before, after, after, None) for _ in range(2))
    assert torch.equal(first, again) and torch.equal(first[0, 0], region_mask("face", 64)) and len(made) == 1


def test_what_is_prepared_uses_every_region_of_the_sliders() -> None:
    by_name = {slider.name: slider.region for slider in embedded_sliders()}
    found = [by_name[name] for name in one_of_each_region(embedded_sliders())]
    assert sorted(found) == sorted(set(by_name.values())) and len(found) > 2


def test_a_turned_face_takes_its_ears_along_and_leaves_no_second_outline() -> None:
    side, shift = 256, 6
    at = torch.arange(side) + 0.5
    stripes = torch.sin(at / 6)[None, :] * torch.cos(at / 9)[:, None]
    wide = ((at - 128) / 90)[None] ** 2 + ((at - 135) / 110)[:, None] ** 2 < 1
    first = torch.where(wide, 0.5 + 0.4 * stripes, -0.8).expand(1, 3, -1, -1)
    second = first.roll(shift, 3)
    outlines = tuple(p[:, :1].gt(-0.5).float() for p in (first, second))
    heads = tuple(p.expand(-1, 2, -1, -1) for p in outlines)
    got = put_in_place("around_face", first, second, second, heads)
    mask = region_mask("around_face", side)
    assert torch.equal(got[..., mask == 0], first[..., mask == 0])
    assert torch.allclose(got[..., mask == 1], second[..., mask == 1], atol=0.05)
    faded = first + mask * (second - first)
    # along the row of the ears each picture crosses from dark to light once; a fade does it in two steps
    steps = [(p[0, 0, 135, 20:60].diff().abs() > 0.25).sum() for p in (first, got, faded)]
    assert steps[0] == 1 and steps[1] <= 3
    level = [((p[0, 0, 135, 20:70] > -0.6) & (p[0, 0, 135, 20:70] < -0.1)).sum() for p in (got, faded)]
    assert level[0] <= 2 < level[1]


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
