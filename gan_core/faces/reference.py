"""What an edit is measured against when it is pasted back.

Against the unedited reconstruction, everything that the reconstruction lost stays the photo's own: sharp, and
right wherever things kept their place. But where the edit moved something (a turned head, a mouth), the
photo's old detail would shine through. There the cut-out crop is the reference, so that the edited crop replaces
it whole. Change of tone is smooth and movement is not, which tells the two apart.
"""

from __future__ import annotations

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from gan_core.faces.paste import smoothstep

SMOOTH = 0.03  # standard deviation below which a change counts as one of tone, fraction of the side
REACH = 0.03  # how far around a movement the crop is replaced, fraction of the side
MOVED = (0.03, 0.08)  # local size of what is not smooth, 0..1, where replacing begins and is complete


def reference_for(crop: Image.Image, unchanged: Image.Image, edited: Image.Image) -> Image.Image:
    """The reference that `paste_back` takes: `unchanged` where the edit only changed tones, `crop` where it
    moved things, and a smooth mixture between.

    crop: as it was cut out; unchanged: its reconstruction with nothing edited; edited: with the edit. All
    square and of one size.
    """
    own, plain, changed = (np.asarray(p.convert("RGB"), np.float32) for p in (crop, unchanged, edited))
    side = own.shape[0]
    difference = changed - plain
    if not difference.any():
        return unchanged
    sharp = difference - gaussian_filter(difference, (SMOOTH * side, SMOOTH * side, 0))
    moved = np.sqrt(gaussian_filter((sharp**2).mean(-1), REACH * side)) / 255
    weight = smoothstep(moved, *MOVED)[..., None]
    return Image.fromarray(np.clip(np.rint(plain + weight * (own - plain)), 0, 255).astype(np.uint8))
