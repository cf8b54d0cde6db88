"""How far a face that is to stay as it is differs in the composite from the generator's own picture of it."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from gan_core.insetgan.latents import Report
from gan_core.insetgan.objective import patch_of
from gan_core.insetgan.pipeline import InsetGANPipeline
from gan_core.insetgan.placement import Size, take
from gan_core.insetgan.regions import REGIONS, face_points, outline_of

NAMES = ("landmarks", "landmarks_noise", "colour", "colour_noise")


def fixed_face(pipeline: InsetGANPipeline, reports: list[Report], region: str) -> dict[str, float]:
    """Difference between a fixed face in the composite and the generator's own picture of it.

    Landmarks in per cent of the distance between the eyes, colours in levels of 255; "noise": the same for the face
    drawn again with other noise. Where the canvas has fewer pixels than the face, the face is reduced to them first.
    """
    rows = []
    area = REGIONS[region]
    for report in reports:
        face, place = report.best.insets[0], report.best.placements[0]
        x0, y0, x1, y1 = area.pixels(*face.shape[-2:])
        size = (min(y1 - y0, place.size[0]), min(x1 - x0, place.size[1]))
        back = take(report.best.hard, place.to_canvas(tuple(report.best.hard.shape[-2:])), size)
        again = pipeline.inset.synthesis(report.best.codes[1].to(pipeline.device), noise="random").clamp(-1, 1).cpu()
        own, other = (patch_of(picture, area, size) for picture in (face, again))
        points, there, noisy = (
            face_points(_with_patch(face, patch, (x0, y0), (y1 - y0, x1 - x0))) for patch in (own, back, other)
        )
        if points is None or there is None or noisy is None:
            continue
        eyes = float(np.hypot(*np.subtract(points[1], points[0])))
        masks = None if pipeline.head is None else pipeline.head.masks
        outline = outline_of(area, size, max(2, min(size) // 8), face.to(pipeline.device), masks)
        inside = (outline.inside - outline.frame).cpu()
        rows.append(
            (
                100 * np.hypot(*np.subtract(points, there).T).mean() / eyes,
                100 * np.hypot(*np.subtract(points, noisy).T).mean() / eyes,
                _levels(own, back, inside),
                _levels(own, other, inside),
            )
        )
    means = np.mean(rows, axis=0) if rows else [float("nan")] * len(NAMES)
    return {"faces": len(rows), **{name: round(float(value), 3) for name, value in zip(NAMES, means, strict=True)}}


def _with_patch(face: Tensor, patch: Tensor, corner: tuple[int, int], size: Size) -> Tensor:
    """The face with a patch, enlarged to `size`, put into it."""
    shown = face.clone()
    x, y = corner
    shown[..., y : y + size[0], x : x + size[1]] = patch_of(patch, REGIONS["whole"], size)
    return shown


def _levels(one: Tensor, other: Tensor, inside: Tensor) -> float:
    return 127.5 * float(((one - other).abs() * inside).sum() / (3 * inside.sum()).clamp_min(1))
