"""Placements against plain slices and pastes, and against turns done by hand."""

import math

import pytest
import torch

from gan_core.insetgan.losses import Paper, crop, paste
from gan_core.insetgan.objective import Geometry, Weights, composition_terms, outside_of
from gan_core.insetgan.placement import Placement, placed, put, resized, take
from gan_core.insetgan.regions import Region, outline_of
from tests.gan_core.insetgan import small

BOX = (12, 20, 44, 68)  # x0, y0, x1, y1


def test_taking_an_upright_box_is_slicing() -> None:
    canvas = torch.rand(1, 3, 96, 64)
    place = Placement.of_box(BOX)
    assert place.size == (48, 32)
    taken = take(canvas, place.to_canvas((96, 64)), place.size)
    assert torch.allclose(taken, crop(canvas, BOX), atol=1e-5)


def test_putting_into_an_upright_box_is_pasting() -> None:
    canvas, inset = torch.rand(1, 3, 96, 64), torch.rand(1, 3, 48, 32)
    place = Placement.of_box(BOX)
    pasted = put(canvas, inset, torch.ones(1, 1, 48, 32), place.from_canvas((96, 64)))
    assert torch.allclose(pasted, paste(canvas, inset, BOX), atol=1e-4)


def test_what_is_put_on_a_turned_place_is_taken_from_it_again() -> None:
    smooth = torch.nn.functional.interpolate(torch.rand(1, 3, 5, 5), (40, 30), mode="bicubic")
    place = Placement(31.3, 47.8, 30, 40, angle=0.4)
    canvas = put(torch.zeros(1, 3, 96, 64), smooth, torch.ones(1, 1, 40, 30), place.from_canvas((96, 64)))
    again = take(canvas, place.to_canvas((96, 64)), (40, 30))
    assert (again - smooth)[..., 3:-3, 3:-3].abs().max() < 0.08
    assert canvas[..., :4, :4].abs().max() == 0


def test_a_region_follows_the_points() -> None:
    source = [(30, 40), (60, 40), (45, 70)]
    angle, scale = 0.3, 0.5
    cos, sin = scale * math.cos(angle), scale * math.sin(angle)
    target = [(100 + cos * x - sin * y, 50 + sin * x + cos * y) for x, y in source]
    place = placed((20, 30, 70, 90), source, target)
    assert place.width == pytest.approx(25) and place.height == pytest.approx(30) and place.angle == pytest.approx(0.3)
    x0, y0 = place.corners()[0]
    assert (x0, y0) == pytest.approx((100 + cos * 20 - sin * 30, 50 + sin * 20 + cos * 30))
    assert placed((20, 30, 70, 90), source, target, upright=True).angle == 0


def test_points_on_top_of_each_other_are_refused() -> None:
    with pytest.raises(ValueError, match="on top of each other"):
        placed((0, 0, 1, 1), [(1, 1)] * 3, [(2, 2)] * 3)


def test_making_smaller_averages() -> None:
    fine = torch.zeros(1, 1, 64, 64)
    fine[..., ::2] = 1
    assert (resized(fine, (16, 16))[..., 1:-1] - 0.5).abs().max() < 0.02


@pytest.mark.parametrize("optimised", [(True, True), (False, True), (True, False)])
def test_the_terms_are_the_papers_for_an_upright_box(optimised) -> None:
    canvas, reference = torch.rand(1, 3, 96, 64), torch.rand(1, 3, 96, 64)
    inset, first = torch.rand(1, 3, 48, 32), torch.rand(1, 3, 48, 32)
    place = Placement.of_box(BOX)
    region = Region("part", "part", (0, 0, 1, 1))
    outline = outline_of(region, (48, 32), 8, inset)
    geometry = Geometry(place.to_canvas((96, 64)), place.from_canvas((96, 64)), outline.inside, outline.frame)
    outside = outside_of((96, 64), [geometry.from_canvas], torch.device("cpu"), 0.0)
    weights = Weights(1.0, 1.0, 0.0, 0.0, 1.0, 1.0)
    coarse, border, perceptual, body, face = composition_terms(
        [canvas, inset],
        [reference, first],
        [geometry],
        outside,
        [region],
        small.features(),
        weights,
        optimised=optimised,
    )
    torch.testing.assert_close(coarse, Paper.coarse(canvas, inset, BOX), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(border, Paper.border(canvas, inset, BOX), rtol=1e-4, atol=1e-4)
    assert perceptual == 0
    outer = 1 - torch.zeros(96, 64).index_fill(0, torch.arange(20, 68), 1) * torch.zeros(96, 64).index_fill(
        1, torch.arange(12, 44), 1
    )
    expected = Paper.BODY * ((canvas - reference).abs() * outer).mean() if optimised[0] else torch.tensor(0.0)
    torch.testing.assert_close(body, expected, rtol=1e-4, atol=1e-3)
    whole = Paper.face(inset, first, (0, 0, 32, 48)) if optimised[1] else torch.tensor(0.0)
    torch.testing.assert_close(face, whole)


def test_a_later_inset_is_compared_with_the_earlier_one() -> None:
    canvas, first = torch.zeros(1, 3, 64, 64), torch.ones(1, 3, 32, 32)
    place = Placement.of_box((16, 16, 48, 48))
    ones = torch.ones(1, 1, 32, 32)
    geometry = Geometry(place.to_canvas((64, 64)), place.from_canvas((64, 64)), ones, ones)
    regions = [small.WHOLE] * 2
    weights = Weights(coarse_perceptual=0, border_perceptual=0)
    arguments = ([geometry] * 2, ones, regions, small.features(), weights)
    alone = composition_terms(
        [canvas, first], [canvas, first], [geometry], ones, regions[:1], *arguments[3:], optimised=(False, False)
    )
    both = composition_terms([canvas, first, first], [canvas, first, first], *arguments, optimised=(False,) * 3)
    assert both[0] == pytest.approx(float(alone[0]), rel=1e-3)  # the second one agrees with the first, not the canvas
