"""The reference that is subtracted from an edited crop when it is pasted back (see paste.py).

A reconstruction loses detail that the photo has. Pasting the difference between the edited and the unedited
reconstruction leaves that detail at its place. This is right where nothing moves, but where the edit moves something (a
turned head, a mouth) the old detail shows through. Therefore the motion from the unedited to the edited reconstruction
is estimated and the lost detail is moved along with it. Where the edit shows something new that no motion explains
(teeth, a bared backdrop), there is no detail to move, and the edited crop replaces the photo completely. A change of
tone is smooth and new things are not, which distinguishes the two.
"""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter
from torch import Tensor

from gan_core.faces.motion import find_motion, resized_motion, shifted
from gan_core.faces.paste import smoothstep

SMOOTH = 0.03  # standard deviation of the blur that separates changes of tone, fraction of the side
REACH = 0.015  # distance around something new within which the photo is replaced, fraction of the side
NEW = (0.03, 0.08)  # local size of what motion and tone do not explain, 0..1, where replacing begins and is complete
STILL = (0.004, 0.012)  # local size of any change, 0..1, below which nothing moves and nothing is replaced


def _without_tone(values: np.ndarray) -> np.ndarray:
    return values - gaussian_filter(values, (SMOOTH * len(values), SMOOTH * len(values), 0))


def _size(values: np.ndarray, reach: float) -> np.ndarray:
    """Local root mean square over channels, 0..1, of values (S, S, 3) in 0..255."""
    return np.sqrt(gaussian_filter((values**2).mean(-1), reach * len(values))) / 255


@torch.inference_mode()
def _moved_along(changed: np.ndarray, plain: np.ndarray, lost: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`plain` and `lost`, (S, S, 3), moved to where their parts are in `changed`."""

    def tensor(values: np.ndarray) -> Tensor:
        return torch.from_numpy(values.astype(np.float32)).permute(2, 0, 1)[None] / 127.5

    # a change of tone must not be taken for motion
    motion = find_motion(tensor(_without_tone(changed)), tensor(_without_tone(plain)))
    motion = resized_motion(motion, len(plain))
    both = shifted(torch.cat([tensor(plain), tensor(lost)], 1), motion)[0].permute(1, 2, 0).numpy() * 127.5
    return both[..., :3], both[..., 3:]


def reference_for(crop: Image.Image, unchanged: Image.Image, edited: Image.Image) -> Image.Image:
    """The reference that `paste_back` takes: `crop` without the detail that the edit keeps.

    crop: as it was cut out; unchanged: its reconstruction with nothing edited; edited: with the edit. All
    square and of one size. Where nothing was edited the reference is `unchanged`.
    """
    own, plain, changed = (np.asarray(p.convert("RGB"), np.float32) for p in (crop, unchanged, edited))
    difference = changed - plain
    if not difference.any():
        return unchanged
    lost = own - plain
    came, taken = _moved_along(changed, plain, lost)
    new = smoothstep(_size(_without_tone(changed - came), REACH), *NEW)[..., None]
    touched = smoothstep(_size(difference, REACH / 2), *STILL)[..., None]
    kept = lost + touched * ((1 - new) * taken - lost)
    return Image.fromarray(np.clip(np.rint(own - kept), 0, 255).astype(np.uint8))
