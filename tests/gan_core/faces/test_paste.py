"""Pasting an edited crop back: identity, untouched surroundings, no seam, kept detail."""

import numpy as np
import pytest
from PIL import Image, ImageFilter

from gan_core.errors import BadValue
from gan_core.faces import align, face_from_points, paste_back
from gan_core.faces.paste import feather, quad_mask

RANDOM = np.random.default_rng(3)


def photo(width=700, height=500):
    """Something like a photo: smooth areas, edges, fine grain."""
    base = Image.fromarray(RANDOM.integers(0, 255, (9, 13, 3), np.uint8)).resize(
        (width, height), Image.Resampling.BICUBIC
    )
    grain = RANDOM.normal(0, 6, (height, width, 1))
    return Image.fromarray(np.clip(np.asarray(base, float) + grain, 0, 255).astype(np.uint8))


FACES = {
    "middle": face_from_points((300, 200), (380, 210), (335, 290)),
    "turned": face_from_points((300, 260), (360, 200), (380, 280)),
    "border": face_from_points((40, 60), (120, 50), (85, 140)),
    "small": face_from_points((300, 200), (330, 200), (315, 231)),
    "huge": face_from_points((230, 180), (450, 180), (340, 400)),
}


@pytest.mark.parametrize("name", FACES)
@pytest.mark.parametrize("size", [64, 256])
def test_nothing_edited_gives_the_photo_back(name, size):
    picture = photo()
    aligned = align(picture, FACES[name], size)
    assert np.array_equal(np.asarray(paste_back(picture, aligned, aligned.crop)), np.asarray(picture))


@pytest.mark.parametrize("name", FACES)
@pytest.mark.parametrize("size", [64, 256])
def test_outside_the_square_every_pixel_stays(name, size):
    picture = photo()
    aligned = align(picture, FACES[name], size)
    edited = Image.fromarray(RANDOM.integers(0, 255, (size, size, 3), np.uint8))
    result = np.asarray(paste_back(picture, aligned, edited))
    outside = ~quad_mask(aligned)
    assert np.array_equal(result[outside], np.asarray(picture)[outside])
    assert not np.array_equal(result, np.asarray(picture))


@pytest.mark.parametrize("name", ["middle", "turned", "huge"])
def test_a_change_of_tone_leaves_no_seam(name):
    """A brighter crop: neighbouring pixels of the photo never part by more than a gentle slope."""
    picture = Image.new("RGB", (700, 500), (90, 110, 130))
    aligned = align(picture, FACES[name], 256)
    edited = Image.new("RGB", (256, 256), (150, 110, 70))
    result = np.asarray(paste_back(picture, aligned, edited), int)
    assert max(np.abs(np.diff(result, axis=0)).max(), np.abs(np.diff(result, axis=1)).max()) <= 6
    centre = aligned.quad.mean(0).astype(int)
    assert np.abs(result[centre[1], centre[0]] - [150, 110, 70]).max() <= 1


def test_a_change_in_the_middle_arrives_whole():
    picture = photo().filter(ImageFilter.GaussianBlur(3))
    aligned = align(picture, FACES["huge"], 256)
    edited = np.asarray(aligned.crop, int).copy()
    edited[100:150, 90:170] = np.clip(edited[100:150, 90:170] + 40, 0, 255)
    result = paste_back(picture, aligned, Image.fromarray(edited.astype(np.uint8)))
    again = np.asarray(align(result, FACES["huge"], 256).crop, int)
    assert np.abs(again - edited)[103:147, 93:167].mean() < 2


def test_detail_finer_than_the_crop_is_kept_where_little_changed():
    """A tint of the whole face keeps the photo's grain; what is drawn anew loses it."""
    picture = photo(1400, 1000)
    face = face_from_points((560, 400), (840, 400), (700, 690))
    aligned = align(picture, face, 128)
    tinted = Image.fromarray(np.clip(np.asarray(aligned.crop, int) + [6, 0, 0], 0, 255).astype(np.uint8))
    result = np.asarray(paste_back(picture, aligned, tinted), float)[480:540, 660:740]
    before = np.asarray(picture, float)[480:540, 660:740]
    assert np.abs((result - before)[..., 1:]).max() <= 1
    drawn = Image.new("RGB", (128, 128), (250, 20, 20))
    flat = np.asarray(paste_back(picture, aligned, drawn), float)[480:540, 660:740]
    assert flat.std((0, 1)).max() < 0.4 * before.std((0, 1)).min()


def test_only_the_change_against_a_reference_is_pasted():
    picture = photo()
    aligned = align(picture, FACES["middle"], 256)
    poor = aligned.crop.filter(ImageFilter.GaussianBlur(4))  # a reconstruction that lost detail
    same = paste_back(picture, aligned, poor, reference=poor)
    assert np.array_equal(np.asarray(same), np.asarray(picture))


def test_sizes_may_differ_and_mistakes_are_named():
    picture = photo()
    aligned = align(picture, FACES["middle"], 128)
    assert paste_back(picture, aligned, aligned.crop.resize((512, 512))).size == picture.size
    with pytest.raises(BadValue):
        paste_back(picture.resize((300, 200)), aligned, aligned.crop)
    with pytest.raises(BadValue):
        paste_back(picture, aligned, Image.new("RGB", (128, 100)))


def test_feather_is_zero_at_the_border_and_one_inside():
    mask = feather(256, 0.16)
    assert mask[:2].max() == mask[:, :2].max() == mask[-2:].max() == 0
    assert mask[60:-60, 60:-60].min() == 1
    assert np.abs(np.diff(mask, axis=0)).max() < 0.05
