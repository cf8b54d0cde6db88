"""The FFHQ square from points, the cut, and its geometry."""

import numpy as np
import pytest
from PIL import Image

from gan_core.errors import BadValue, FaceTooSmall
from gan_core.faces import align, face_from_points, ffhq_quad
from gan_core.faces.alignment import warp_affine
from gan_core.faces.geometry import (
    apply_affine,
    face_from_five,
    five_points,
    invert_affine,
    quad_side,
    similarity_between,
)

# Where the eyes, the nose and the mouth lie in an aligned 256-pixel FFHQ crop (means over many crops).
IN_CROP = np.array([[96.0, 121.6], [160.0, 121.6], [127.6, 163.7], [96.6, 185.5], [159.8, 185.5]])


def ramp(width, height):
    """A smooth picture whose colours tell the place: red grows with x, green with y."""
    y, x = np.mgrid[:height, :width] + 0.5
    return Image.fromarray(np.stack([255 * x / width, 255 * y / height, 0 * x + 90], -1).astype(np.uint8))


def place(scale, angle, shift):
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([[c, -s, shift[0]], [s, c, shift[1]]])


@pytest.mark.parametrize(
    ("scale", "angle", "shift"),
    [(1.0, 0.0, (0, 0)), (0.7, 0.3, (200, 40)), (2.3, -0.6, (100, 500)), (4.0, 1.2, (1300, 10))],
)
def test_square_moves_with_the_face(scale, angle, shift):
    """Any similarity of the points carries the square along; upright points give the crop itself."""
    matrix = place(scale, angle, shift)
    quad = ffhq_quad(face_from_five(apply_affine(matrix, IN_CROP), 1.0))
    corners = np.array([[0, 0], [0, 256], [256, 256], [256, 0]], float)
    assert np.abs(quad - apply_affine(matrix, corners)).max() < 0.6 * scale


def test_square_follows_the_published_definition():
    """Worked by hand: eyes 100 apart, mouth 130 below: 1.8 x 130 > 2 x 100."""
    face = face_from_points((100, 100), (200, 100), (150, 230))
    quad = ffhq_quad(face)
    assert np.allclose(quad.mean(0), [150, 113])
    assert np.isclose(quad_side(face), 2 * 1.8 * 130)
    wide = face_from_points((100, 100), (200, 100), (150, 190))
    assert np.isclose(quad_side(wide), 2 * 2 * 100)


def test_eye_centres_are_means_of_six_outline_points():
    mesh = np.zeros((478, 2))
    mesh[[33, 160, 158, 133, 153, 144]] = [[0, 0], [1, -1], [2, -1], [3, 0], [2, 1], [1, 1]]
    assert np.allclose(five_points(mesh)[0], [1.5, 0])


@pytest.mark.parametrize("scale", [0.4, 1.0, 1.7, 5.3])
@pytest.mark.parametrize("angle", [0.0, 0.5])
def test_crop_shows_what_lies_under_the_square(scale, angle):
    """Each crop pixel has the colour of the photo at the place the geometry names."""
    photo = ramp(1400, 1000)
    matrix = place(scale, angle, (700 - 128 * scale, 500 - 128 * scale))
    middle = apply_affine(matrix, np.array([128.0, 128.0]))
    matrix[:, 2] += np.array([700, 500]) - middle
    aligned = align(photo, face_from_five(apply_affine(matrix, IN_CROP), 1.0), 256)
    y, x = np.mgrid[:256, :256] + 0.5
    there = apply_affine(invert_affine(aligned.to_crop), np.stack([x, y], -1))
    inside = ((there > 6) & (there < np.array([1394, 994]))).all(-1)
    expected = np.stack([255 * there[..., 0] / 1400, 255 * there[..., 1] / 1000], -1)
    got = np.asarray(aligned.crop, float)[..., :2]
    assert inside.mean() > 0.5
    assert np.abs(got - expected)[inside].max() < 2.5


def test_half_pixel_convention_of_the_warp():
    """The identity map leaves a picture as it is."""
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (20, 30, 3), np.uint8))
    same = warp_affine(picture, np.array([[1.0, 0, 0], [0, 1.0, 0]]), (30, 20))
    assert np.array_equal(np.asarray(same)[2:-2, 2:-2], np.asarray(picture)[2:-2, 2:-2])


def test_beyond_the_photo_it_is_reflected_and_blurred():
    photo = ramp(300, 300)
    matrix = place(1.3, 0.1, (-120, -60))
    aligned = align(photo, face_from_five(apply_affine(matrix, IN_CROP), 1.0), 256)
    crop = np.asarray(aligned.crop, int)
    assert crop.min() >= 0
    assert (crop.sum(-1) > 60).all()  # nothing black
    steps = np.abs(np.diff(crop, axis=1)).max()
    assert steps < 30  # and no hard edge


def test_large_faces_do_not_alias():
    """Stripes finer than a crop's pixel come out as their mean."""
    stripes = np.zeros((2400, 2400, 3), np.uint8)
    stripes[:, ::2] = 255
    aligned = align(Image.fromarray(stripes), face_from_points((1000, 1000), (1400, 1010), (1190, 1420)), 256)
    assert np.asarray(aligned.crop, float)[20:-20, 20:-20].std() < 6


def test_by_hand_in_any_order():
    first, second = (
        face_from_points((200, 100), (100, 110), (155, 200)),
        face_from_points((100, 110), (200, 100), (155, 200)),
    )
    assert np.allclose(first.points, second.points)
    assert first.points[0, 0] < first.points[1, 0]


def test_upside_down_marks_are_kept_upright_to_the_face():
    face = face_from_points((100, 200), (200, 200), (150, 100))
    aligned = align(ramp(400, 400), face, 128)
    eyes = apply_affine(aligned.to_crop, face.points)
    assert eyes[0, 0] < eyes[1, 0]
    assert eyes[3, 1] > eyes[0, 1]


@pytest.mark.parametrize(
    "points",
    [
        ((10, 10), (10, 10), (10, 60)),
        ((0, 0), (100, 0), (50, 1)),
        ((0, 0), (float("nan"), 0), (50, 50)),
        ((0, 0), (50, 50), (100, 100)),
        ((1, 2, 3), (4, 5), (6, 7)),
    ],
)
def test_marks_that_make_no_face(points):
    with pytest.raises(BadValue):
        face_from_points(*points)


def test_too_small_and_far_away():
    with pytest.raises(FaceTooSmall):
        align(ramp(300, 300), face_from_points((100, 100), (107, 100), (103, 107)))
    with pytest.raises(BadValue):
        align(ramp(300, 300), face_from_points((2100, 2100), (2200, 2100), (2150, 2200)))
    with pytest.raises(BadValue):
        align(ramp(40, 40), face_from_points((-3000, -3000), (3000, -3000), (0, 3000)))


def test_similarity_between_recovers_a_similarity():
    matrix = place(1.7, 0.8, (30, -20))
    assert np.allclose(similarity_between(IN_CROP, apply_affine(matrix, IN_CROP)), matrix)
