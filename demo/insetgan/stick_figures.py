"""Poses as small drawings: what a person clicks to choose one."""

from __future__ import annotations

from PIL import Image, ImageDraw

from gan_core.insetgan.models import BodyPose

SIZE = (96, 192)
"""Width and height of a drawing."""
_SCALE = 4  # drawn larger, then reduced: smooth lines
_PAPER, _INK, _GREY = (238, 240, 245), (47, 79, 155), (150, 156, 170)
_NECK, _HEAD, _PELVIS = 0, 1, 14  # in the order of `gan_core.insetgan.body_reader.JOINTS`
_BONES = (
    (_NECK, 2), (_NECK, 3), (2, 4), (4, 6), (3, 5), (5, 7), (_NECK, _PELVIS),
    (_PELVIS, 8), (_PELVIS, 9), (8, 10), (10, 12), (9, 11), (11, 13),
)  # fmt: skip


def drawn(pose: BodyPose | None) -> Image.Image:
    """A figure of lines; None: an empty sheet with a dashed outline, for the body's own pose."""
    width, height = SIZE[0] * _SCALE, SIZE[1] * _SCALE
    sheet = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    if pose is None:
        for top in range(height // 6, 5 * height // 6, 14 * _SCALE):
            draw.line([(width / 2, top), (width / 2, top + 7 * _SCALE)], fill=_GREY, width=3 * _SCALE)
        _circle(draw, (width / 2, height / 8), 9 * _SCALE, _GREY)
        return sheet.resize(SIZE, Image.Resampling.LANCZOS)
    points = [(x * width / 256, y * height / 512) for x, y in pose.joints]
    for one, other in _BONES:
        draw.line([points[one], points[other]], fill=_INK, width=4 * _SCALE)
    for place in points[2:]:
        _circle(draw, place, 3 * _SCALE, _INK)
    neck, head = points[_NECK], points[_HEAD]
    _circle(draw, ((neck[0] + head[0]) / 2, (neck[1] + head[1]) / 2), abs(neck[1] - head[1]) / 2, _INK)
    return sheet.resize(SIZE, Image.Resampling.LANCZOS)


def _circle(draw: ImageDraw.ImageDraw, at: tuple[float, float], radius: float, fill: tuple[int, int, int]) -> None:
    draw.ellipse([at[0] - radius, at[1] - radius, at[0] + radius, at[1] + radius], fill=fill)
