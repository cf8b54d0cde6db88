"""Nothing edited: nothing replaced. Tone changed: the photo's detail stays. Something moved: no ghost of it."""

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter, shift

from gan_core.faces.reference import reference_for

SIDE = 256


def picture(values):
    return Image.fromarray(np.clip(np.repeat(values[..., None], 3, -1), 0, 255).astype(np.uint8))


def scene():
    """A crop with fine noise on it, its reconstruction without the noise, and the noise."""
    rng = np.random.default_rng(0)
    plain = np.full((SIDE, SIDE), 120.0)
    plain[90:170, 60:120] = 220
    plain = gaussian_filter(plain, 2)
    noise = rng.normal(0, 8, plain.shape)
    return plain, noise


def values(picture):
    return np.asarray(picture, float)[..., 0]


def test_nothing_edited():
    plain, noise = scene()
    assert reference_for(picture(plain + noise), picture(plain), picture(plain)) == picture(plain)


def test_tone_keeps_detail():
    plain, noise = scene()
    edited = plain + 30 + 20 * np.linspace(0, 1, SIDE)
    reference = reference_for(picture(plain + noise), picture(plain), picture(edited))
    assert np.abs(values(reference) - values(picture(plain))).max() <= 2


def test_movement_replaces_what_was_there():
    plain, noise = scene()
    crop = picture(plain + noise)
    reference = values(reference_for(crop, picture(plain), picture(shift(plain, (0, 40), mode="nearest"))))
    near = slice(95, 165), slice(62, 118)
    assert np.abs(reference[near] - values(crop)[near]).mean() < 2
    far = slice(0, 40), slice(200, 256)
    assert np.abs(reference[far] - values(picture(plain))[far]).max() <= 1
