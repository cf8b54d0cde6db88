"""Follow faces from frame to frame of a video and steady their points."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from PIL import Image

from gan_core.faces.geometry import Face, face_from_five
from gan_core.faces.smoothing import fitted

LOOK_EVERY = 10  # frames from one search of the whole picture to the next
GAP = 0.35  # seconds for which the points of a lost face are interpolated
STEADY = 0.16  # seconds: width of the smoothing in time
STILL = 0.15  # way in eye distances: neighbours that the face is this far from count less
FADE = 0.2  # seconds in which an edit comes and goes with its face


class Finder(Protocol):
    """The part of a face finder (`gan_core.faces.finder.FaceFinder`) that tracking uses."""

    def find(self, image: Image.Image) -> list[Face]: ...
    def follow(self, image: Image.Image, points: np.ndarray) -> Face | None: ...


@dataclass
class Track:
    """One face through the video: its five points by frame number, and when each frame is shown (seconds)."""

    points: dict[int, np.ndarray] = field(default_factory=dict)
    times: dict[int, float] = field(default_factory=dict)

    @property
    def last(self) -> int:
        return max(self.points)

    def add(self, frame: int, time: float, points: np.ndarray) -> None:
        self.points[frame], self.times[frame] = points, time


def eye_distance(points: np.ndarray) -> float:
    """Between the eyes of five points, pixels."""
    return float(np.hypot(*(points[1] - points[0])))


def is_same(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two sets of points can be the same face in neighbouring frames."""
    size = max(eye_distance(a), eye_distance(b))
    return bool(np.hypot(*(a.mean(0) - b.mean(0))) < 1.2 * size)


class Tracker:
    """Collects the faces of frames, which are given in order; then `steadied` returns the smoothed tracks."""

    def __init__(self, finder: Finder, most: int = 1) -> None:
        self.finder, self.most = finder, most
        self.tracks: list[Track] = []
        self._frame = -1

    def feed(self, image: Image.Image, time: float) -> None:
        """One more frame, shown at `time` seconds."""
        self._frame += 1
        # At a low frame rate the previous frame counts, however long ago it was.
        live = [t for t in self.tracks if time - t.times[t.last] <= GAP or self._frame - t.last <= 2]
        search = self._frame % LOOK_EVERY == 0 or len(live) < self.most
        found = self.finder.find(image) if search else []
        for track in live:
            before = track.points[track.last]
            match = next((f for f in found if is_same(f.points, before)), None)
            if match is not None:
                found.remove(match)
            else:
                match = self.finder.follow(image, before)
                if match is not None and not is_same(match.points, before):
                    match = None
            if match is not None:
                track.add(self._frame, time, match.points)
        for face in found[: max(0, self.most - len(live))]:
            track = Track()
            track.add(self._frame, time, face.points)
            self.tracks.append(track)

    def steadied(self, times: list[float]) -> list[Track]:
        """Tracks with short gaps bridged and points smoothed. times: when each frame is shown, seconds."""
        bridged = [bridge(t, times) for t in self.tracks]
        return [smooth(t) for t in bridged if len(t.points) >= min(3, len(times))]


def bridge(track: Track, times: list[float]) -> Track:
    """Interpolate the points linearly in frames in which the face was lost for a moment."""
    full = Track()
    frames = sorted(track.points)
    for i, frame in enumerate(frames):
        if i:
            before = frames[i - 1]
            for lost in range(before + 1, frame):
                part = (times[lost] - times[before]) / max(times[frame] - times[before], 1e-9)
                full.add(lost, times[lost], (1 - part) * track.points[before] + part * track.points[frame])
        full.add(frame, times[frame], track.points[frame])
    return full


def smooth(track: Track) -> Track:
    """Fit a curve to each frame's points and those of neighbouring frames, which count by their distance in time and by
    the way between them: a still face does not tremble, and a moving one does not lag."""
    frames = sorted(track.points)
    points = np.stack([track.points[f] for f in frames])
    times = np.array([track.times[f] for f in frames])
    # The way of the points' mean: movement of single points is the trembling that is to be removed.
    way = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points.mean(1), axis=0).T))])
    result = Track()
    for i, frame in enumerate(frames):
        moved = (way - way[i]) / max(eye_distance(points[i]), 1e-6)
        result.add(frame, times[i], fitted(times, points, times[i], STEADY, np.exp(-((moved / STILL) ** 2) / 2)))
    return result


def presence(track: Track, frame: int, first_time: float, last_time: float) -> float:
    """Opacity of the edit, 0..1: it fades in and out where a face appears or disappears within the video. first_time,
    last_time: begin and end of the video, seconds."""
    time = track.times[frame]
    begin, end = track.times[min(track.times)], track.times[max(track.times)]
    shown = 1.0
    if begin > first_time + 1e-6:
        shown = min(shown, (time - begin + 0.5 * FADE) / FADE)
    if end < last_time - 1e-6:
        shown = min(shown, (end - time + 0.5 * FADE) / FADE)
    return float(np.clip(shown, 0.0, 1.0))


def face_at(track: Track, frame: int) -> Face | None:
    """The track's face in a frame, or None."""
    points = track.points.get(frame)
    return None if points is None else face_from_five(points, 1.0)
