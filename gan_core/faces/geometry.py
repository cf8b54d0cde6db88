"""Points, boxes and the FFHQ square of a face.

Coordinates are continuous pixels: (0, 0) is the outer corner of the first pixel, its centre is (0.5, 0.5),
and x grows to the right, y downward. "Left" and "right" are as seen in the image.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from gan_core.errors import BadValue

# 478-point face-mesh indices. An eye's centre is the mean of six points of its outline, as FFHQ takes it.
EYE_LEFT = (33, 160, 158, 133, 153, 144)
EYE_RIGHT = (263, 387, 385, 362, 380, 373)
MOUTH_LEFT, MOUTH_RIGHT, NOSE_TIP = 61, 291, 1
# A bust (head and shoulders) as the embedded networks know it: the middle of the face's FFHQ square and its side, as
# shares of the bust's side (medians of 85 training pictures; the middle half lies within 0.05 of them).
BUST_MIDDLE, BUST_SIDE = (0.495, 0.486), 0.896


@dataclass(frozen=True)
class Face:
    """A face in a photo.

    box: (x0, y0, x1, y1), pixels, about brows to chin and cheek to cheek. score: 0..1. points: (5, 2)
    pixels: left eye, right eye, nose tip, left mouth corner, right mouth corner, image-left first.
    """

    box: tuple[float, float, float, float]
    score: float
    points: np.ndarray = field(repr=False)

    @property
    def size(self) -> float:
        """Geometric mean of the box's sides, pixels."""
        x0, y0, x1, y1 = self.box
        return float(np.sqrt(max(x1 - x0, 0.0) * max(y1 - y0, 0.0)))


def five_points(mesh: np.ndarray) -> np.ndarray:
    """(..., 478, 2) face-mesh points -> (..., 5, 2) as in `Face.points`."""
    eyes = [mesh[..., list(index), :].mean(-2) for index in (EYE_LEFT, EYE_RIGHT)]
    single = [mesh[..., index, :] for index in (NOSE_TIP, MOUTH_LEFT, MOUTH_RIGHT)]
    return np.stack([*eyes, *single], axis=-2)


def ffhq_frame(eye_left: np.ndarray, eye_right: np.ndarray, mouth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centre and half-side vector of the oriented FFHQ square (Karras et al. 2019, appendix A).

    The square's x axis is the eye line averaged with the normal of the line from eyes to mouth; its half
    side is the larger of twice the eye distance and 1.8 times the distance from eyes to mouth; its centre
    lies a tenth of the way from the eyes to the mouth. All arguments: (2,) pixels. Raises BadValue where
    the points coincide.
    """
    eye_left, eye_right, mouth = (np.asarray(p, dtype=np.float64) for p in (eye_left, eye_right, mouth))
    between_eyes = eye_right - eye_left
    eyes = (eye_left + eye_right) / 2
    down = mouth - eyes
    axis = between_eyes + np.array([down[1], -down[0]])
    length = np.hypot(*axis)
    if not np.isfinite(length) or length < 1e-6 or np.hypot(*between_eyes) < 1e-6:
        raise BadValue("The marked points lie on top of each other: mark the two eyes and the mouth.")
    half = max(np.hypot(*between_eyes) * 2.0, np.hypot(*down) * 1.8)
    return eyes + 0.1 * down, axis / length * half


def ffhq_quad(face: Face) -> np.ndarray:
    """(4, 2) photo corners of the face's FFHQ square: top left, bottom left, bottom right, top right."""
    p = face.points
    centre, x = ffhq_frame(p[0], p[1], (p[3] + p[4]) / 2)
    y = np.array([-x[1], x[0]])
    return np.stack([centre - x - y, centre - x + y, centre + x + y, centre + x - y])


def quad_side(face: Face) -> float:
    """Side of the face's FFHQ square, pixels."""
    p = face.points
    return 2 * float(np.hypot(*ffhq_frame(p[0], p[1], (p[3] + p[4]) / 2)[1]))


def similarity_between(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Least-squares similarity (2x3; rotation, scale, shift, no mirroring) from source (N, 2) to target."""
    source, target = np.asarray(source, np.float64), np.asarray(target, np.float64)
    mean_s, mean_t = source.mean(0), target.mean(0)
    s, t = source - mean_s, target - mean_t
    norm = max((s**2).sum(), 1e-12)
    a = (s * t).sum() / norm
    b = (s[:, 0] * t[:, 1] - s[:, 1] * t[:, 0]).sum() / norm
    linear = np.array([[a, -b], [b, a]])
    return np.concatenate([linear, (mean_t - linear @ mean_s)[:, None]], axis=1)


def invert_affine(matrix: np.ndarray) -> np.ndarray:
    """Inverse of a 2x3 affine map."""
    linear = np.linalg.inv(matrix[:, :2])
    return np.concatenate([linear, -linear @ matrix[:, 2:]], axis=1)


def apply_affine(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Map points (..., 2) through a 2x3 affine map."""
    return points @ matrix[:, :2].T + matrix[:, 2]


def face_from_five(points: np.ndarray, score: float) -> Face:
    """A Face whose box is laid around its five points. points: (5, 2) pixels."""
    points = np.asarray(points, np.float64)
    centre, x = ffhq_frame(points[0], points[1], (points[3] + points[4]) / 2)
    half = np.hypot(*x)
    # In the FFHQ square the visible face spans about 56 % of the width and 66 % of the height, a bit low.
    centre = centre + np.array([-x[1], x[0]]) * 0.12
    middle_x, middle_y, reach = float(centre[0]), float(centre[1]), float(half)
    box = middle_x - 0.56 * reach, middle_y - 0.66 * reach, middle_x + 0.56 * reach, middle_y + 0.66 * reach
    return Face(box=box, score=float(score), points=points)


def face_from_points(eye_left: tuple[float, float], eye_right: tuple[float, float], mouth: tuple[float, float]) -> Face:
    """A Face marked by hand: the two eye centres and the mouth's middle, pixels, in any left-right order.

    Raises BadValue where a point is not a number or the points coincide or lie on one line.
    """
    a, b, m = (np.asarray(p, dtype=np.float64).reshape(-1) for p in (eye_left, eye_right, mouth))
    if any(p.shape != (2,) or not np.isfinite(p).all() for p in (a, b, m)):
        raise BadValue("Three points are needed: one on each eye and one on the mouth.")
    # Seen with the mouth below the eyes, the image-left eye comes first: swap by the sign of the cross
    # product.
    down = m - (a + b) / 2
    cross = (b - a)[0] * down[1] - (b - a)[1] * down[0]
    if abs(cross) < 0.15 * max(np.hypot(*(b - a)), np.hypot(*down)) ** 2 or np.hypot(*(b - a)) < 2:
        raise BadValue("The two eyes and the mouth must form a triangle: please mark them again.")
    if cross < 0:
        a, b = b, a
    x = (b - a) / 2
    points = np.stack([a, b, (a + b) / 2 + 0.62 * (m - (a + b) / 2), m - 0.95 * x, m + 0.95 * x])
    return face_from_five(points, score=1.0)
