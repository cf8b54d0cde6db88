"""Edits the face in the frames of a live camera: the face is followed in every frame, and what is pasted at its place
is computed beside that: anew when the face or a slider moved, or after some frames.

The same as `demo/assets/live/js/live.js`, but for threads: there a second one inverts and edits meanwhile. Here each
frame does as many of the steps as fit into a time, so that on a slow machine the picture goes on while they are done.
"""

from __future__ import annotations

import math
import time as clocks
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from gan_core.errors import BadValue, FaceTooSmall
from gan_core.faces.alignment import align, square_of
from gan_core.faces.following import FaceFollower, movement
from gan_core.faces.geometry import Face, face_from_five
from gan_core.faces.paste import Change, add_change, change_of
from gan_core.faces.reference import reference_for
from gan_core.faces.tracking import Finder
from gan_core.hfgi.pipeline import HFGIPipeline, Inversion
from gan_core.images import to_pil, to_tensor

EVERY = 12  # frames after which a face that kept still is inverted again
MOVED = 0.04  # movement of a point, in eye distances, that counts as such
FOLLOW = 0.15  # seconds in which the shown change comes near to a new one
STEADY = 0.4  # seconds in which codes come near to new ones
OTHER = 0.6  # root mean square difference of codes from which on it is another view of the face
BUDGET = 0.1  # seconds of each frame for the steps
_ALIKE = 0.4  # grey levels


@dataclass(frozen=True)
class LiveSliders:
    """What is wanted: strengths by attribute, and an offset (1, num_ws, w_dim) that is added to the codes as well."""

    strengths: Mapping[str, float]
    offset: Tensor | None = None

    def are(self, others: LiveSliders | None) -> bool:
        """Whether others want the same."""
        if others is None or dict(self.strengths) != dict(others.strengths):
            return False
        if self.offset is None or others.offset is None:
            return self.offset is others.offset
        return torch.equal(self.offset, others.offset)


@dataclass(frozen=True)
class LiveFrame:
    """A frame that was worked on. faces: in the picture. edited: whether an edit is shown in it. inversions: of this
    camera so far. trouble: why a face that is there is not edited, or ""."""

    picture: Image.Image
    faces: int
    edited: bool
    inversions: int
    trouble: str = ""


class LiveFaceEditor:
    """Edits one camera's frames. Can be pickled between two frames, its tensors are on the CPU then.

    clock: seconds, for tests.
    """

    def __init__(self, clock: Callable[[], float] = clocks.monotonic) -> None:
        self._clock = clock
        self._follower = FaceFollower()
        self._time = 0.0
        self._inversions = 0
        self._forget()

    def _forget(self) -> None:
        """Another face: begin anew."""
        self._crop: Image.Image | None = None  # that was inverted last, or is being
        self._crop_time = 0.0
        self._points: np.ndarray | None = None  # of the face in it
        self._waited = 0  # frames since then
        self._codes: Tensor | None = None
        self._codes_time = 0.0
        self._inversion: Inversion | None = None
        self._edited: Image.Image | None = None
        self._sliders: LiveSliders | None = None  # of that edit
        self._target: Change | None = None
        self._shown: Change | None = None
        self._steps: list[str] = []  # methods that are still to be called

    def frame(
        self, pipeline: HFGIPipeline, finder: Finder, picture: Image.Image, time: float, sliders: LiveSliders
    ) -> LiveFrame:
        """The next frame, taken at `time` seconds, with its largest face edited."""
        passed, self._time = max(0.0, time - self._time), time
        found = self._follower.feed(finder, picture, time)
        if found is None:
            return LiveFrame(picture, 0, False, self._inversions)
        if found.is_new:
            self._forget()
        face, faces = face_from_five(found.points, 1.0), max(1, self._follower.count)
        try:
            square = square_of(face, picture.size, pipeline.resolution)
            self._plan(picture, face, time, sliders, pipeline.resolution)
        except (FaceTooSmall, BadValue) as error:  # or cut off, in this frame: it stays unchanged
            return LiveFrame(picture, faces, False, self._inversions, str(error))
        until = self._clock() + BUDGET
        while self._steps:  # at least one
            getattr(self, self._steps[0])(pipeline, sliders)
            self._steps.pop(0)
            if self._clock() > until:
                break
        self._shown = _nearer(self._shown, self._target, 1 - math.exp(-passed / FOLLOW))
        if self._shown is None or not np.any(self._shown.added):
            return LiveFrame(picture, faces, False, self._inversions)
        return LiveFrame(add_change(picture, square, self._shown, found.opacity), faces, True, self._inversions)

    def _plan(self, picture: Image.Image, face: Face, time: float, sliders: LiveSliders, size: int) -> None:
        """Begin the steps that are due, unless some are under way."""
        self._waited += 1
        if self._steps:
            return
        moved = self._points is None or movement(self._points, face.points) > MOVED
        if moved or self._waited >= EVERY:
            self._crop, self._crop_time, self._points = align(picture, face, size).crop, time, face.points
            self._waited = 0
            self._steps = ["_encode", "_invert", "_edit", "_compare"]
        elif not sliders.are(self._sliders):
            self._steps = ["_edit", "_compare"]

    def _encode(self, pipeline: HFGIPipeline, _sliders: LiveSliders) -> None:
        assert self._crop is not None
        codes, before = pipeline.codes_of(to_tensor(self._crop)).cpu(), self._codes
        if before is not None and float((codes - before).square().mean().sqrt()) < OTHER:
            share = 1 - math.exp(-max(0.0, self._crop_time - self._codes_time) / STEADY)
            codes = before + share * (codes - before)
        self._codes, self._codes_time = codes, self._crop_time

    def _invert(self, pipeline: HFGIPipeline, _sliders: LiveSliders) -> None:
        assert self._crop is not None and self._codes is not None
        face = to_tensor(self._crop).to(pipeline.device)
        self._inversion = pipeline.inversion_of(face, self._codes.to(pipeline.device)).to("cpu")
        self._inversions += 1

    def _edit(self, pipeline: HFGIPipeline, sliders: LiveSliders) -> None:
        assert self._inversion is not None
        more = {} if sliders.offset is None else {"offset": sliders.offset}
        self._edited = to_pil(pipeline.edit(self._inversion.to(pipeline.device), sliders.strengths, **more))
        self._sliders = sliders

    def _compare(self, _pipeline: HFGIPipeline, _sliders: LiveSliders) -> None:
        assert self._crop is not None and self._edited is not None and self._inversion is not None
        unchanged = to_pil(self._inversion.restored)
        self._target = change_of(self._edited, reference_for(self._crop, unchanged, self._edited))


def _nearer(shown: Change | None, target: Change | None, share: float) -> Change | None:
    """The change to be shown: nearer to the target by a share of the way, and at it where that cannot be told apart."""
    if shown is None or target is None:
        return target
    nearer = shown.towards(target, share)
    return target if np.abs(nearer.added - target.added).max() < _ALIKE else nearer
