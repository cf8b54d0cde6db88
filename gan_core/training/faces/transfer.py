"""Transfers landmarks from aligned face crops to the wider portraits that they were cut from.

`face/ID.jpg` and `bust/ID.jpg` show the same photo under two similarity transforms, so a similarity maps one to the
other. It is estimated from matching key points (OpenCV, a dependency of facexlib) and refined on the pixels, once;
training reads the small file written here and needs no OpenCV.

    python -m gan_core.training.faces.transfer --faces FACES --busts BUSTS --out transfer.npz
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter, map_coordinates, sobel

log = logging.getLogger(__name__)


def to_matrix(parameters: np.ndarray) -> np.ndarray:
    """(a, b, tx, ty) -> 2x3 similarity [[a, -b, tx], [b, a, ty]]."""
    a, b, tx, ty = parameters
    return np.array([[a, -b, tx], [b, a, ty]])


def polish(face: np.ndarray, bust: np.ndarray, parameters: np.ndarray, steps: int = 12) -> tuple[np.ndarray, float]:
    """Gauss-Newton on grey levels over the four similarity parameters (face pixel centres -> bust).

    face, bust: (H, W) float grey. Only the inside of the face crop is used: its border may be a reflection.
    Returns the parameters and the root mean squared grey difference left (0..255, after gain and offset).
    """
    smooth_face, smooth_bust = gaussian_filter(face, 1.0), gaussian_filter(bust, 1.0)
    grad_x, grad_y = sobel(smooth_bust, axis=1) / 8, sobel(smooth_bust, axis=0) / 8
    ys, xs = np.mgrid[60:230:2, 50:206:2].astype(float)
    xs, ys = xs.ravel(), ys.ravel()
    wanted = map_coordinates(smooth_face, [ys, xs], order=1)
    p = parameters.astype(float).copy()
    rms = np.inf
    for _ in range(steps):
        u, v = p[0] * xs - p[1] * ys + p[2], p[1] * xs + p[0] * ys + p[3]
        inside = (u > 2) & (u < bust.shape[1] - 3) & (v > 2) & (v < bust.shape[0] - 3)
        if inside.sum() < 500:
            return p, np.inf
        u, v, x, y, w = u[inside], v[inside], xs[inside], ys[inside], wanted[inside]
        got, gx, gy = (map_coordinates(m, [v, u], order=1) for m in (smooth_bust, grad_x, grad_y))
        # The last two columns absorb a gain and an offset: the two files were compressed separately.
        jacobian = np.stack([gx * x + gy * y, -gx * y + gy * x, gx, gy, got - got.mean(), np.ones_like(got)], 1)
        residual = w - got
        weight = 1 / (1 + (residual / 12) ** 2)
        step = np.linalg.lstsq(jacobian * weight[:, None], residual * weight, rcond=None)[0]
        p += step[:4]
        rms = float(np.sqrt(np.average((residual - jacobian @ step) ** 2, weights=weight)))
        if np.abs(step[:2]).max() < 1e-6 and np.abs(step[2:4]).max() < 1e-3:
            break
    return p, rms


def register(face_path: Path, bust_path: Path) -> tuple[np.ndarray, float]:
    """Similarity from face-crop pixels to bust pixels (2x3; (0, 0) is the image's corner) and its residual.

    The residual is infinite where no trustworthy transform was found.
    """
    import cv2  # type: ignore[import-untyped, unused-ignore]

    cv: Any = cv2  # its type declarations are incomplete
    face = np.asarray(Image.open(face_path).convert("L"))
    bust = np.asarray(Image.open(bust_path).convert("L"))
    sift = cv.SIFT_create(nfeatures=1500, contrastThreshold=0.015)
    keys_f, desc_f = sift.detectAndCompute(face, None)
    keys_b, desc_b = sift.detectAndCompute(bust, None)
    nothing = np.zeros((2, 3)), float("inf")
    if desc_f is None or desc_b is None or len(keys_f) < 8 or len(keys_b) < 8:
        return nothing
    pairs = cv2.BFMatcher(cv2.NORM_L2).knnMatch(desc_f, desc_b, k=2)
    good = [m for m, n in (p for p in pairs if len(p) == 2) if m.distance < 0.75 * n.distance]
    if len(good) < 6:
        return nothing
    source = np.array([keys_f[m.queryIdx].pt for m in good], np.float32)
    target = np.array([keys_b[m.trainIdx].pt for m in good], np.float32)
    matrix, inliers = cv.estimateAffinePartial2D(
        source, target, method=cv2.RANSAC, ransacReprojThreshold=1.5, maxIters=5000, confidence=0.999
    )
    if matrix is None or inliers.sum() < 6:
        return nothing
    p, rms = polish(
        face.astype(float),
        bust.astype(float),
        np.array([matrix[0, 0], matrix[1, 0], matrix[0, 2], matrix[1, 2]]),
    )
    result = to_matrix(p)
    # From pixel centres at whole numbers (OpenCV, SciPy) to continuous coordinates with the corner at zero.
    result[:, 2] += 0.5 - result[:, :2] @ np.array([0.5, 0.5])
    return result, rms


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=Path, required=True, help="folder of aligned crops, ID.jpg")
    parser.add_argument("--busts", type=Path, required=True, help="folder of wider portraits, ID.jpg")
    parser.add_argument("--out", type=Path, required=True, help="npz to write: id, matrix (N,2,3), residual (N)")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    names, matrices, residuals = [], [], []
    for path in sorted(arguments.faces.glob("*.jpg")):
        other = arguments.busts / path.name
        if not other.exists():
            continue
        matrix, residual = register(path, other)
        names.append(path.stem)
        matrices.append(matrix)
        residuals.append(residual)
    np.savez_compressed(
        arguments.out,
        id=np.array(names),
        matrix=np.array(matrices, np.float32),
        residual=np.array(residuals, np.float32),
    )
    residual = np.array(residuals)  # type: ignore[assignment]  # of all pictures
    log.info(
        "%d pictures, %d registered, median residual %.2f grey levels",
        len(names),
        int(np.isfinite(residual).sum()),
        float(np.median(residual)),
    )


if __name__ == "__main__":
    main()
