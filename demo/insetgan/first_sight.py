"""What the tab says and shows before anything is done, and its presets."""

from __future__ import annotations

from demo.parts.first_sight import About

ABOUT = About(
    "Two generators draw one picture: a body by one, a face by the other, joined without a seam.",
    (
        "One generator draws people with their body, another one only faces, but these well.",
        "The face is pasted into the body's picture: at first there is a seam.",
        "Both codes are changed, step by step, until the two pictures agree along the border.",
    ),
    "You see each step. Stop it when you like it; the best state so far is kept.",
)
