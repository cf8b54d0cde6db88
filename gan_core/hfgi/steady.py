"""Edits the frames of a video's faces so that the result does not flicker.

Inverted by itself, each frame of a still face has slightly different codes, from noise and from the alignment, and an
edit makes the difference larger. So the codes are smoothed along a face's track, by the frames after as well as before
(`gan_core.faces.smoothing`), and the distortion map is computed of a running mean of the face over the frames before,
moved along with it (motion-compensated temporal filtering, Dubois & Sabri 1984). What such an inversion misses of its
frame, an expression or a light of that moment, stays: only the change of the edit is pasted
(`gan_core.faces.reference`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from gan_core.errors import BadValue
from gan_core.faces.motion import find_motion, resized_motion, shifted
from gan_core.faces.smoothing import REACH, fitted
from gan_core.hfgi.pipeline import HFGIPipeline
from gan_core.images import to_pil, to_tensor

CODES = 0.2  # seconds: width of the smoothing of codes
MEAN = 0.15  # seconds in which the running mean of a face forgets
OTHER = (6 / 127.5, 16 / 127.5)  # local difference, after moving, at which the mean counts fully, and not at all
_WINDOW = 9  # pixels of that "local"


class RunningFace:
    """The running mean of a face over the frames before, in the present frame's place and expression."""

    def __init__(self) -> None:
        self._before: Tensor | None = None
        self._mean: Tensor | None = None
        self._time = 0.0

    @torch.inference_mode()
    def add(self, face: Tensor, time: float) -> Tensor:
        """The mean, (1, 3, R, R), with one more frame's aligned face, (1, 3, R, R) in [-1, 1], shown at `time` s."""
        mean = face
        if self._before is not None and self._mean is not None:
            motion = resized_motion(find_motion(face, self._before), face.shape[-1])
            before, old = shifted(self._before, motion), shifted(self._mean, motion)
            wrong = _local((before - face).square().mean(1, keepdim=True)).sqrt()
            fits = 1 - ((wrong - OTHER[0]) / (OTHER[1] - OTHER[0])).clamp(0, 1)
            mean = face + math.exp(-(time - self._time) / MEAN) * fits * (old - face)
        self._before, self._mean, self._time = face, mean, time
        return mean


@dataclass
class _Track:
    times: list[float] = field(default_factory=list)
    codes: list[np.ndarray] = field(default_factory=list)
    running: RunningFace = field(default_factory=RunningFace)
    faces: dict[float, Tensor] = field(default_factory=dict)
    """Running means of the frames that were read and are not edited yet, by time."""


class SteadyEditor:
    """Edits the faces of one video. Frames of a track are read in order; each is edited once those up to `ahead`
    seconds after it were read.

    strengths: by attribute. offset: (1, num_ws, w_dim), added to the codes as well.
    """

    ahead = REACH * CODES

    def __init__(self, strengths: Mapping[str, float], offset: Tensor | None = None) -> None:
        self._strengths, self._offset = dict(strengths), offset
        self._tracks: dict[int, _Track] = {}

    def read(self, pipeline: HFGIPipeline, track: int, crop: Image.Image, time: float) -> None:
        """One more frame of a track: its aligned face and when it is shown, in seconds."""
        here = self._tracks.setdefault(track, _Track())
        face = to_tensor(crop).to(pipeline.device)
        here.times.append(time)
        here.codes.append(pipeline.codes_of(face).cpu().double().numpy())
        here.faces[time] = here.running.add(face, time)

    def edit(self, pipeline: HFGIPipeline, track: int, time: float) -> tuple[Image.Image, Image.Image]:
        """The edited face of a frame that was read, and the same with nothing edited. Raises BadValue where it was not
        read, or is edited already."""
        here = self._tracks.get(track)
        face = here.faces.pop(time, None) if here else None
        if here is None or face is None:
            raise BadValue(f"There is no frame at {time:g} s that waits to be edited.")
        smooth = fitted(np.array(here.times), np.stack(here.codes), time, CODES)
        inversion = pipeline.inversion_of(face, torch.from_numpy(smooth).to(face))
        more = {} if self._offset is None else {"offset": self._offset}
        edited = to_pil(pipeline.edit(inversion, self._strengths, **more))
        self._forget_before(here, time - self.ahead)
        return edited, to_pil(inversion.restored)

    def _forget_before(self, here: _Track, time: float) -> None:
        while here.times and here.times[0] < time:
            here.times.pop(0)
            here.codes.pop(0)


def _local(values: Tensor) -> Tensor:
    return F.avg_pool2d(values, _WINDOW, 1, _WINDOW // 2, count_include_pad=False)
