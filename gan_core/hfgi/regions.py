"""What an edit may change in the picture, and how the changed part is put before the backdrop that stays.

Directions of the codes change what goes along with an attribute in the data, backdrop and clothes included. HFGI's
paper leaves that to the latents; here an edit is a new head before the old picture.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from gan_core.faces.head import fill_in
from gan_core.faces.motion import morph

REGIONS = ("face", "face_and_hair", "around_face", "head", "crop")  # from narrow to wide
OF_THE_HEAD = ("face_and_hair", "around_face", "head")  # where it matters where the head is
HAIR_SHARE = 0.25  # of an edit's effect that "face_and_hair" lets the hair have
# centre, half axes, soft border
_ELLIPSES = {
    "face": (128, 142, 72, 88, 0.3),
    "around_face": (128, 139, 86, 105, 0.54),
    "head": (128, 122, 100, 124, 0.25),
}
_COARSE = 64  # side at which what lies behind the head is continued


def region_mask(region: str, resolution: int) -> Tensor:
    """1 where an edit of that region may change an FFHQ-aligned crop, 0 where the picture stays, with a soft border;
    (resolution, resolution).

    "face" is an ellipse from the brows to below the chin: what a smile or an open mouth can move. "face_and_hair" takes
    the whole effect in the face and HAIR_SHARE of it in the rest of the head, for edits that move no outline.
    "around_face" fades softly into ears and hair, which follow a turning face (see `faces/motion.py`). "head" is an
    ellipse that holds the hair as well: what is used where no head finder tells hair from backdrop. "crop" is all.
    """
    if region == "face_and_hair":
        return torch.maximum(region_mask("face", resolution), region_mask("head", resolution) * HAIR_SHARE)
    if region == "crop":
        return torch.ones(resolution, resolution)
    x, y, half_width, half_height, border = _ELLIPSES[region]
    at = (torch.arange(resolution) + 0.5) * (256 / resolution)
    distance = (((at - x) / half_width)[None] ** 2 + ((at - y) / half_height)[:, None] ** 2).sqrt()
    mask = ((1 + border / 2 - distance) / border).clamp(0, 1)
    return mask * mask * (3 - 2 * mask) if region == "around_face" else mask


def put_in_place(
    region: str, unedited: Tensor, edited: Tensor, plain: Tensor, heads: tuple[Tensor, Tensor] | None
) -> Tensor:
    """The unedited picture with the edit where `region` lets it be, (N, 3, R, R).

    heads: head and person in the unedited and in the edited picture, (N, 2, R, R) each; None where no head finder is.
    The rest: see `before_backdrop`.
    """
    mask = region_mask(region, unedited.shape[-1]).to(unedited)
    whole = edited
    if heads is not None and region == "face_and_hair":
        hair = HAIR_SHARE * heads[0][:, :1] * heads[1][:, :1]  # no outline moves: hair is what is head in both
        return unedited + torch.maximum(region_mask("face", unedited.shape[-1]).to(unedited), hair) * (
            edited - unedited
        )
    if heads is not None and region in OF_THE_HEAD:
        whole = before_backdrop(unedited, edited, plain, *heads)
    if region == "around_face":
        outlines = None if heads is None else (2 * heads[0] - 1, 2 * heads[1] - 1)
        return morph(unedited, whole, mask[None, None], outlines)
    return whole if heads is not None and region == "head" else unedited + mask * (whole - unedited)


def before_backdrop(unedited: Tensor, edited: Tensor, plain: Tensor, old: Tensor, new: Tensor) -> Tensor:
    """The edited head before the unedited picture's backdrop and clothes, (N, 3, R, R).

    Args:
        unedited: the picture with nothing edited, (N, 3, R, R).
        edited: the edited one, whose head is wanted.
        plain: the generator's edit without consultation. Where the old head was and the new one is not, it says what
            to expect there; its colours are shifted to continue the backdrop and the clothes beside it.
        old, new: how much of each pixel is head, and person, in the unedited and in the edited picture;
            (N, 2, R, R) in [0, 1].
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
    # a collar moves with its neck: there the edited picture is taken as a whole
    collar = _neck(unedited.shape[-1]).to(unedited) * torch.minimum(new[:, 1:], old[:, 1:])
    behind = unedited + left * (bared - unedited)
    return behind + torch.maximum(new[:, :1], collar) * (edited - behind)


def _neck(resolution: int) -> Tensor:
    """1 about the neck of an FFHQ-aligned crop, falling softly to 0; (resolution, resolution)."""
    at = (torch.arange(resolution) + 0.5) / resolution
    distance = (((at - 0.5) / 0.24)[None] ** 2 + ((at - 0.87) / 0.18)[:, None] ** 2).sqrt()
    return ((1.35 - distance) / 0.35).clamp(0, 1)


def _surely(share: Tensor) -> Tensor:
    """What is partly something else says nothing of the colours that continue."""
    return ((share - 0.7) / 0.3).clamp(0, 1)


def _widened(head: Tensor) -> Tensor:
    """A mask (N, 1, R, R) widened by about four pixels of 256 and soft again: thin hair and the softness of the mask
    itself would stay behind as a line where the head was."""
    unit = max(head.shape[-1] // 256, 1)
    wide = F.max_pool2d(head, 8 * unit + 1, stride=1, padding=4 * unit)
    soft = F.avg_pool2d(wide, 4 * unit + 1, stride=1, padding=2 * unit, count_include_pad=False)
    return (1.25 * soft).clamp(max=1)
