"""Edits of inverted faces, several of them in one batch: each picture is what its edit alone would give.

The networks draw all faces together; what differs between them, as the region that an edit may change, is done in
groups. A face whose generator was tuned to it (`refine.py`) is drawn by itself.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gan_core.errors import BadValue, UnknownName
from gan_core.hfgi.regions import OF_THE_HEAD, put_in_place, widest

if TYPE_CHECKING:
    from gan_core.hfgi.pipeline import HFGIPipeline, Inversion


@dataclass(frozen=True)
class FaceEdit:
    """What is wanted of one face: see `HFGIPipeline.edit`."""

    inversion: Inversion
    strengths: Mapping[str, float]
    consult: bool = True
    offset: Tensor | None = None


@dataclass(frozen=True)
class _Plan:
    """A checked edit. All tensors are on the pipeline's device."""

    inversion: Inversion
    codes: Tensor  # (1, num_ws, w_dim), moved
    consult: bool
    region: str  # the widest that its attributes may change; "" where nothing changes

    @property
    def unedited(self) -> Tensor:
        """(1, 3, R, R), clamped."""
        return self.inversion.restored if self.consult else self.inversion.image.clamp(-1, 1)


def edit_faces(pipeline: HFGIPipeline, edits: Sequence[FaceEdit]) -> list[Tensor]:
    """The edited faces (1, 3, R, R), clamped to [-1, 1]. Raises UnknownName or BadValue, as `HFGIPipeline.edit` does,
    for any of them."""
    plans = [_plan(pipeline, edit) for edit in edits]
    pictures: list[Tensor | None] = [None if plan.region else plan.unedited for plan in plans]
    groups: defaultdict[tuple[bool, int], list[int]] = defaultdict(list)
    for i, plan in enumerate(plans):
        if plan.region:
            groups[plan.consult, i if plan.inversion.tuned else -1].append(i)
    most = pipeline.pictures_at_once
    for group in groups.values():
        for first in range(0, len(group), most):
            places = group[first : first + most]
            for place, picture in zip(places, _draw(pipeline, [plans[i] for i in places]), strict=True):
                pictures[place] = picture
    return [picture for picture in pictures if picture is not None]


def _plan(pipeline: HFGIPipeline, edit: FaceEdit) -> _Plan:
    inversion = pipeline.here(edit.inversion)
    codes, used = inversion.codes, []
    for name, strength in edit.strengths.items():
        attribute = pipeline.attributes.get(name)
        if attribute is None:
            known = ", ".join(pipeline.attributes) or "none"
            raise UnknownName(f"There is no attribute {name!r}; the attributes are: {known}.")
        if not attribute.low <= strength <= attribute.high:  # also refuses NaN
            limits = f"from {attribute.low:g} to {attribute.high:g}"
            raise BadValue(f"The strength of {name} must be {limits}, not {strength}.")
        if strength:
            codes = codes + strength * pipeline.directions[name]
            used.append(attribute)
    if edit.offset is not None:
        codes = codes + edit.offset.to(codes)
    regions = [attribute.region for attribute in used] + (["head"] if edit.offset is not None else [])
    return _Plan(inversion, codes, edit.consult, widest(regions))


def _draw(pipeline: HFGIPipeline, plans: Sequence[_Plan]) -> list[Tensor]:
    """Pictures (1, 3, R, R), clamped, of plans that are alike in consulting and in their generator's weights."""
    tuned, consult = plans[0].inversion.tuned, plans[0].consult
    codes = torch.cat([plan.codes for plan in plans])
    unedited = torch.cat([plan.unedited for plan in plans])
    plain = pipeline.decode(codes, tuned=tuned).clamp(-1, 1)
    edited = plain
    if consult:
        # Aligned to the plain edit, as in the paper and the authors' scripts/inference.py.
        distortion = torch.cat([plan.inversion.distortion for plan in plans])
        conditions = pipeline.consult(pipeline.align(distortion, plain))
        edited = pipeline.decode(codes, conditions, tuned=tuned).clamp(-1, 1)
    pictures = list(unedited.split(1))
    for region in dict.fromkeys(plan.region for plan in plans):
        places = [i for i, plan in enumerate(plans) if plan.region == region]
        before, after, bare = (_rows(x, places) for x in (unedited, edited, plain))
        heads = None
        if pipeline.head is not None and region in OF_THE_HEAD:
            old = torch.cat([plans[i].inversion.head for i in places]) if consult else pipeline.heads(before)
            heads = old, pipeline.heads(after)
        placed = put_in_place(region, before, after, bare, heads)
        for i, picture in zip(places, placed.split(1), strict=True):
            pictures[i] = picture
    return pictures


def _rows(x: Tensor, places: Sequence[int]) -> Tensor:
    """These rows of x, in order; x itself where they are all of them."""
    return x if len(places) == len(x) else torch.cat([x[i : i + 1] for i in places])
