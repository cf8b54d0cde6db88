"""Restricts an edit to a region of the picture and composites the edited head over the unchanged backdrop.

A latent direction also changes what is correlated with its attribute in the data, such as backdrop and clothes. HFGI's
paper keeps these changes; here only the edited head is taken and laid over the old picture.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn import functional as F

from gan_core.faces.head import fill_in
from gan_core.faces.motion import morph

PARTS = ("mouth", "eyes", "lower_face")  # of the face
REGIONS = (*PARTS, "face", "face_and_hair", "around_face", "head", "crop")  # from narrow to wide
OF_THE_HEAD = (*PARTS, "face_and_hair", "around_face", "head")  # regions that need a head mask
HAIR_SHARE = 0.25  # share of an edit's effect that "face_and_hair" applies to the hair
# centre, half axes, soft border
_ELLIPSES = {
    "mouth": (128, 188, 42, 26, 0.5),
    "eyes": (128, 126, 86, 40, 0.45),  # with brows, and glasses to the temples
    "lower_face": (128, 190, 84, 66, 0.5),
    "face": (128, 142, 72, 88, 0.3),
    "around_face": (128, 139, 86, 105, 0.54),
    "head": (128, 122, 100, 124, 0.25),
}
_COARSE = 64  # side, pixels, at which the backdrop behind the head is filled in


def widest(regions: Iterable[str]) -> str:
    """The region in which edits of these regions apply together: the widest; "face" for eyes and mouth; "" for none."""
    wanted = set(regions)
    if wanted <= set(PARTS) and "eyes" in wanted and len(wanted) > 1:
        return "face"
    return max(wanted, key=REGIONS.index, default="")


def region_mask(region: str, resolution: int) -> Tensor:
    """Mask (resolution, resolution) of a region of an FFHQ-aligned crop: 1 where an edit applies, 0 where the picture
    is kept, with a soft border.

    "mouth", "eyes" and "lower_face" are ellipses about what lipstick, glasses and a beard cover. "face" is an ellipse
    from the brows to below the chin, the part that a smile or an open mouth moves. "face_and_hair"
    applies the whole effect to the face and HAIR_SHARE of it to the rest of the head, for edits that move no outline.
    "around_face" fades softly into ears and hair, which follow a turning face (see `faces/motion.py`). "head" is an
    ellipse that includes the hair; it is used where no head finder separates hair from backdrop. "crop" is everything.
    "neck", of no edit, is where a collar moves along.
    """
    if region == "face_and_hair":
        return torch.maximum(region_mask("face", resolution), region_mask("head", resolution) * HAIR_SHARE)
    if region == "crop":
        return torch.ones(resolution, resolution)
    if region == "neck":
        return _neck(resolution)
    x, y, half_width, half_height, border = _ELLIPSES[region]
    at = (torch.arange(resolution) + 0.5) * (256 / resolution)
    distance = (((at - x) / half_width)[None] ** 2 + ((at - y) / half_height)[:, None] ** 2).sqrt()
    mask = ((1 + border / 2 - distance) / border).clamp(0, 1)
    return mask * mask * (3 - 2 * mask) if region == "around_face" else mask


def _mask_on(region: str, resolution: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """`region_mask` where pictures are put together: it is made on the CPU, which takes longer than to use it."""
    if torch.compiler.is_compiling():  # a traced tensor must not be kept, nor a kept one become part of a graph
        return region_mask(region, resolution).to(device, dtype)
    return _kept_mask(region, resolution, device, dtype)


@functools.lru_cache(maxsize=32)
def _kept_mask(region: str, resolution: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    with torch.inference_mode(False):  # it outlives the call
        return region_mask(region, resolution).to(device, dtype)


def put_in_place(
    region: str, unedited: Tensor, edited: Tensor, plain: Tensor, heads: tuple[Tensor, Tensor] | None
) -> Tensor:
    """The unedited picture with the edit applied inside `region`, (N, 3, R, R).

    heads: masks of head and person in the unedited and in the edited picture, (N, 2, R, R) each; None without a head
    finder. The other arguments are those of `before_backdrop`.
    """
    like = unedited.shape[-1], unedited.device, unedited.dtype
    mask = _mask_on(region, *like)
    whole = edited
    if heads is not None and region == "face_and_hair":
        hair = HAIR_SHARE * heads[0][:, :1] * heads[1][:, :1]  # outlines do not move, so hair is head in both pictures
        return unedited + torch.maximum(_mask_on("face", *like), hair) * (edited - unedited)
    if heads is not None and region in PARTS:  # a beard makes the face narrower: nothing of the new backdrop comes in
        return unedited + mask * heads[0][:, :1] * heads[1][:, :1] * (edited - unedited)
    if heads is not None and region in OF_THE_HEAD:
        whole = before_backdrop(unedited, edited, plain, *heads)
    if region == "around_face":
        outlines = None if heads is None else (2 * heads[0] - 1, 2 * heads[1] - 1)
        return morph(unedited, whole, mask[None, None], outlines)
    return whole if heads is not None and region == "head" else unedited + mask * (whole - unedited)


def before_backdrop(unedited: Tensor, edited: Tensor, plain: Tensor, old: Tensor, new: Tensor) -> Tensor:
    """The edited head over the backdrop and clothes of the unedited picture, (N, 3, R, R).

    Args:
        unedited: the picture with nothing edited, (N, 3, R, R).
        edited: the edited picture, whose head is taken.
        plain: the generator's edit without consultation. It fills the area that the old head covered and the new one
            does not; its colours are shifted to continue the backdrop and the clothes beside it.
        old, new: masks of head and person in the unedited and in the edited picture, (N, 2, R, R) in [0, 1].
    """
    size = (min(_COARSE, unedited.shape[-2]), min(_COARSE, unedited.shape[-1]))
    left = _widened(old[:, :1])
    off, head, new_person, old_person = (
        F.interpolate(x, size, mode="area")
        for x in (unedited - plain, torch.maximum(left, new[:, :1]), new[:, 1:], old[:, 1:])
    )
    backdrop = fill_in(off, _surely((1 - new_person) * (1 - old_person) * (1 - head)))
    clothes = fill_in(off, _surely(new_person * old_person * (1 - head)))
    shift = backdrop + new_person * (clothes - backdrop)
    bared = plain + F.interpolate(shift, unedited.shape[-2:], mode="bilinear", align_corners=False)
    # A collar moves with the neck, so there the whole edited picture is taken.
    neck = _mask_on("neck", unedited.shape[-1], unedited.device, unedited.dtype)
    collar = neck * torch.minimum(new[:, 1:], old[:, 1:])
    behind = unedited + left * (bared - unedited)
    return behind + torch.maximum(new[:, :1], collar) * (edited - behind)


def _neck(resolution: int) -> Tensor:
    """1 about the neck of an FFHQ-aligned crop, falling softly to 0; (resolution, resolution)."""
    at = (torch.arange(resolution) + 0.5) / resolution
    distance = (((at - 0.5) / 0.24)[None] ** 2 + ((at - 0.87) / 0.18)[:, None] ** 2).sqrt()
    return ((1.35 - distance) / 0.35).clamp(0, 1)


def _surely(share: Tensor) -> Tensor:
    """1 only where a mask is close to 1: pixels at a border are mixed with other colours and must not be continued."""
    return ((share - 0.7) / 0.3).clamp(0, 1)


def _widened(head: Tensor) -> Tensor:
    """A mask (N, 1, R, R) widened by about four pixels of 256, with a soft border. Without it, thin hair and the mask's
    own soft border would remain as a line where the head was."""
    unit = max(head.shape[-1] // 256, 1)
    wide = F.max_pool2d(head, 8 * unit + 1, stride=1, padding=4 * unit)
    soft = F.avg_pool2d(wide, 4 * unit + 1, stride=1, padding=2 * unit, count_include_pad=False)
    return (1.25 * soft).clamp(max=1)
