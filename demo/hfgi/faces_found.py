"""What is said and shown of the faces that were found in a photo."""

from __future__ import annotations

from demo.hfgi.work import Work
from demo.parts.pictures import shown
from demo.session import Session


def thumbnails(session: Session, work: Work) -> list[str]:
    """Paths of a small picture of each face."""
    scale = work.preview.width / work.photo.width
    paths = []
    for face in work.faces:
        x0, y0, x1, y1 = (value * scale for value in face.box)
        half = 0.65 * max(x1 - x0, y1 - y0)
        x, y = (x0 + x1) / 2, (y0 + y1) / 2
        box = round(x - half), round(y - half), round(x + half), round(y + half)
        paths.append(shown(session, "face", work.preview.crop(box).resize((160, 160))))
    return paths


def found(work: Work) -> str:
    """How many there are, as a sentence, and which one is edited."""
    if work.found == 1:
        return "One face found."
    if work.found > len(work.faces):
        return f"{work.found} faces found; the {len(work.faces)} largest are below, click one to edit it."
    return f"{work.found} faces found: the largest is edited, click another one to change that."
