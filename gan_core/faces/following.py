"""Follows one face through the frames of a live camera, in which nothing is known of the frames to come.

The same as `demo/assets/live/js/track.js`; of a video, `gan_core.faces.tracking` knows all frames and does better.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from gan_core.faces.tracking import FADE, GAP, Finder, eye_distance, is_same

GAP_FRAMES = 2  # for which a lost face may come back as the same one, where frames come slowly
BACK = 2.0  # seconds after which a face at the same place is another one
STILL = 0.035  # movement, in eye distances, below which points are averaged
KEPT = 0.75  # share of the points before, of a still face
LOOK_EVERY = 0.5  # seconds between searches of the whole picture while there is no face
COUNT_EVERY = 6.0  # seconds between searches that only count the faces


@dataclass(frozen=True)
class FollowedFace:
    """A face in one frame. points: (5, 2) pixels, steadied. opacity: of its edit, 0..1, which fades in with it.
    is_new: it is another face than in the frame before."""

    points: np.ndarray = field(repr=False)
    opacity: float
    is_new: bool


class FaceFollower:
    """Given the frames of a camera one after another, returns the face in each. Can be pickled between two frames."""

    def __init__(self) -> None:
        self.count = 0
        """Faces that were in the picture when it was last searched."""
        self._points: np.ndarray | None = None
        self._seen = self._looked = -math.inf
        self._missed = 0
        self._since = 0.0

    def feed(self, finder: Finder, picture: Image.Image, time: float) -> FollowedFace | None:
        """One more frame, taken at `time` seconds; None where no face is in it."""
        before = self._points
        known = before is not None and (time - self._seen <= GAP or self._missed < GAP_FRAMES)
        points = self._followed(finder, picture) if known else None
        lost = points is None and time - self._looked >= (0 if known else LOOK_EVERY)
        if lost or time - self._looked >= COUNT_EVERY:
            faces, self._looked = finder.find(picture), time
            self.count = len(faces)
            if points is None and faces:
                near = [face for face in faces if known and before is not None and is_same(face.points, before)]
                points = (near or faces)[0].points
        self._missed = self._missed + 1 if points is None else 0
        if points is None:
            return None
        same_place = before is not None and is_same(points, before)
        is_new = not same_place or (not known and time - self._seen > BACK)
        if is_new or not known:
            self._since = time
        self._points = _steadied(before, points) if before is not None and known and same_place else points
        self._seen = time
        return FollowedFace(self._points, min(1.0, (time - self._since) / FADE + 0.1), is_new)

    def _followed(self, finder: Finder, picture: Image.Image) -> np.ndarray | None:
        assert self._points is not None
        face = finder.follow(picture, self._points)
        return face.points if face is not None and is_same(face.points, self._points) else None


def movement(before: np.ndarray, points: np.ndarray) -> float:
    """The largest way of a point, in eye distances."""
    return float(np.hypot(*(points - before).T).max() / max(eye_distance(before), 1e-6))


def _steadied(before: np.ndarray, points: np.ndarray) -> np.ndarray:
    """New points, averaged with those before as far as the face is still: no trembling, and no lag of a moving one."""
    moved = float(np.hypot(*(points.mean(0) - before.mean(0)))) / max(eye_distance(before), 1e-6)
    kept = KEPT * math.exp(-((moved / STILL) ** 2) / 2)
    return points + kept * (before - points)
