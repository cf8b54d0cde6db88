"""What the tab says and shows before anything is done, and its presets."""

from __future__ import annotations

from demo.parts.first_sight import About, Example
from demo.parts.settings_bar import Preset

ABOUT = About(
    "Change a face in a photo: the smile, the age, where it looks. Background, clothes and light stay.",
    (
        "An encoder finds the code with which a face generator draws this face.",
        "The sliders move the code along directions such as smile and age, and the generator draws it again.",
        "A second network looks at what the code has lost and brings it back: the consultation.",
    ),
    "The changed face is put back into your photo; everything around it stays as it was.",
)

EXAMPLE = Example("face", ("Before", "Smile +2.5", "Age +2.5"))

PRESETS = [
    Preset("Subtle smile", {"smile": 1.0}),
    Preset("Broad smile", {"smile": 2.5, "mouth_open": 0.5}),
    Preset("Ten years older", {"age": 3.0}),  # 21 from end to end, as measured: weights/people_hfgi/README.md
    Preset("Ten years younger", {"age": -3.0}),
    Preset("Look aside", {"pose": 2.5}),
    Preset("Glasses", {"glasses": 3.0}),
    Preset("Red lips", {"lips": 2.0}),
    Preset("Black and white", {"grey": 2.5}),
]
