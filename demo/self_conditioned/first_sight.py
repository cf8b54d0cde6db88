"""What the tab says and shows before anything is done, and its presets."""

from __future__ import annotations

from demo.parts.first_sight import About
from demo.parts.settings_bar import Preset

ABOUT = About(
    "Set how old, how turned, how smiling a face is, its glasses and its light, from end to end; beside it the same by "
    "a plain direction.",
    (
        "Most training portraits lie in the middle of each attribute, so plain edits fail at the ends.",
        "This generator was trained again on its own edited faces, drawn evenly from end to end.",
        "Each attribute is an input of it: a slider says the value that the face is to have.",
    ),
    "Choose a random face or a picture of yours, and compare both methods in filmstrips and grids.",
)

PRESETS = [
    Preset("Very old", {"age": 0.97}),
    Preset("Very young", {"age": 0.03}),
    Preset("Beaming", {"smile": 0.97}),
    Preset("Serious", {"smile": 0.03}),
    Preset("Look left", {"pose": 0.03}),
    Preset("Look right", {"pose": 0.97}),
    Preset("With glasses", {"glasses": 0.97}),
    Preset("Mouth open", {"mouth": 0.97}),
    Preset("Lit from the left", {"light": 0.03}),
]
