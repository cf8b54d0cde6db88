"""Outlines, feathers and finders."""

import pytest
import torch

from gan_core.checkpoints.embedded import load_face_generator
from gan_core.errors import BadValue
from gan_core.insetgan.models import BUST
from gan_core.insetgan.regions import (
    FFHQ_POINTS,
    REGIONS,
    SQUARE,
    Outline,
    Region,
    at_box,
    feathered,
    find_by_face,
    outline_of,
)
from gan_core.insetgan.sources import LatentSource, codes_of
from weights import catalogue

PART = Region("part", "part", (0.25, 0.25, 0.75, 0.75))


def test_the_frame_of_a_box_is_its_outer_pixels() -> None:
    outline = outline_of(PART, (40, 30), 4, torch.zeros(1, 3, 64, 64))
    expected = torch.ones(40, 30)
    expected[4:-4, 4:-4] = 0
    assert torch.equal(outline.frame[0, 0], expected) and outline.inside.min() == 1


def test_an_outline_is_where_the_head_is() -> None:
    picture = torch.zeros(1, 3, 64, 64)
    head = torch.zeros(1, 2, 64, 64)
    head[:, 0, 24:40, 24:40] = 1
    region = Region("part", "part", (0.25, 0.25, 0.75, 0.75), outline="head")
    outline = outline_of(region, (32, 32), 4, picture, lambda image: head)
    assert outline.inside[0, 0, 16, 16] == 1 and outline.inside[0, 0, 0, 0] == 0
    assert outline.frame[0, 0, 16, 16] == 0  # deep inside
    assert outline.frame.sum() > 0 and ((outline.frame == 1) <= (outline.inside == 1)).all()
    with pytest.raises(BadValue, match="head finder"):
        outline_of(region, (32, 32), 4, picture)


def test_an_ellipse_leaves_the_corners_out() -> None:
    region = Region("oval", "oval", (0, 0, 1, 1), outline="ellipse")
    inside = outline_of(region, (40, 20), 3, torch.zeros(1, 3, 40, 20)).inside[0, 0]
    assert inside[0, 0] == 0 and inside[20, 10] == 1 and inside.mean() == pytest.approx(torch.pi / 4, abs=0.03)


@pytest.mark.parametrize("width", [0, 1, 4, 8, 13])
def test_a_feather_runs_from_the_edge_inwards(width) -> None:
    ones = torch.ones(1, 1, 60, 60)
    line = feathered(Outline(ones, ones), width)[0, 0, 30, :30]
    assert (line.diff() >= -1e-6).all() and line[-1] == pytest.approx(1)
    if width >= 4:
        assert line[0] < 0.35 and line[width + 1] > 0.9


def test_no_face_means_no_place() -> None:
    grey = torch.zeros(1, 3, 128, 128)
    assert find_by_face(grey, grey, REGIONS["face"]) is None


@torch.no_grad()
def test_faces_of_both_framings_are_found_on_the_embedded_busts() -> None:
    canvas = load_face_generator(catalogue.FOLDER, BUST)
    for seed, low, high in ((3, 0.5, 0.66), (8, 0.88, 1.06)):  # one as the London Set frames people, and a portrait
        picture = canvas.synthesis(codes_of(canvas, LatentSource(seed), {}), noise="const").clamp(-1, 1)
        place = find_by_face(picture, torch.zeros(1, 3, 256, 256), SQUARE)
        assert low < place.width / 256 < high and abs(place.angle) < 0.15
        assert (place.x, place.y) == pytest.approx((127, 124), abs=25)


def test_the_face_of_one_generator_lies_on_itself(monkeypatch) -> None:
    pictures = {id(p): p for p in (torch.zeros(1, 3, 100, 100), torch.ones(1, 3, 100, 100))}
    canvas, inset = pictures.values()
    points = tuple((100 * x, 100 * y) for x, y in FFHQ_POINTS)
    monkeypatch.setattr("gan_core.insetgan.regions.face_points", lambda image: points if image is canvas else None)
    place = find_by_face(canvas, inset, REGIONS["face"])  # the inset's points are FFHQ's where none are found
    x0, y0, x1, y1 = REGIONS["face"].pixels(100, 100)
    assert place.corners()[0] == pytest.approx((x0, y0)) and place.corners()[2] == pytest.approx((x1, y1))


def test_a_fixed_box_scales_with_the_canvas() -> None:
    place = at_box((0.25, 0.1, 0.75, 0.3))(torch.zeros(1, 3, 200, 100), torch.zeros(1, 3, 8, 8), PART)
    assert (place.x, place.y, place.width, place.height) == pytest.approx((50, 40, 50, 40))


def test_every_region_lies_in_the_picture() -> None:
    for region in REGIONS.values():
        x0, y0, x1, y1 = region.box
        assert 0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1 and region.label
