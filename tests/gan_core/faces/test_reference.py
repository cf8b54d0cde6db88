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
    edited = plain + 10 + 20 * np.linspace(0, 1, SIDE)  # below 255, where clipping would be more than tone
    reference = reference_for(picture(plain + noise), picture(plain), picture(edited))
    error = np.abs(values(reference) - values(picture(plain)))
    assert error.max() <= 4 and (error > 2).mean() < 0.005


def test_detail_moves_along() -> None:
    plain, noise = scene()
    plain += gaussian_filter(np.random.default_rng(1).normal(0, 300, plain.shape), 6)  # something to see the motion by
    crop, edited = picture(plain + noise), shift(plain, (0, 5), mode="nearest")
    reference = values(reference_for(crop, picture(plain), picture(edited)))
    pasted = plain + noise + edited - reference  # what paste_back makes of it
    inside = slice(60, 190), slice(60, 190)
    wanted = shift(plain + noise, (0, 5), mode="nearest")
    stayed = edited + noise  # the detail where it was
    assert np.abs(pasted - wanted)[inside].mean() < 0.5 * np.abs(stayed - wanted)[inside].mean()


def test_something_new_replaces_what_was_there():
    plain, noise = scene()
    crop, changed = picture(plain + noise), plain.copy()
    changed[100:160:8, 70:150] = 30  # bars that no motion brings
    changed = gaussian_filter(changed, 1)
    reference = values(reference_for(crop, picture(plain), picture(changed)))
    near = slice(105, 155), slice(75, 145)
    assert np.abs(reference[near] - values(crop)[near]).mean() < 2
    far = slice(0, 40), slice(200, 256)
    assert np.abs(reference[far] - values(picture(plain))[far]).max() <= 1
