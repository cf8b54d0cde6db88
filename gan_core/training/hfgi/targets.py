"""The sliders that are fitted: the attribute of each, and the attributes that it must not change."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """One slider: its label, the labels that it must not change, and the layers that it may change."""

    name: str
    label: str
    column: str
    leave: tuple[str, ...]
    layers: tuple[int, int]  # first and last latent index, of a 256-pixel generator; the last is the ToRGB
    binary: bool = False  # unit: half the difference of the two groups instead of one standard deviation
    note: str = ""
    region: str = "head"  # what a slider may change in the picture; see `regions.py`
    step: float = 1.0  # units of strength 1; less if three units would degrade the picture
    causal: tuple[str, ...] = ()  # measures that must not change: the direction is solved from sensitivities
    length: float = (
        math.inf
    )  # greatest change of w by strength 1, such that faces are still intact at 3 on contact sheets
    low: float = -3.0  # the slider's lower end


# With more constraints than these the solution becomes longer, and long steps leave the distribution of faces.
_STEADY = ("yaw_deg", "hair")
PRINCIPAL_STEP = 0.6  # standard deviations of w for strength 1 of a principal direction
_SHAPE = ("yaw_deg", "nod")
TARGETS = (
    Target(
        "smile",
        "Smile",
        "corner_lift",
        ("yaw_deg", "age", "gender", "grey", "glasses"),
        (2, 8),
        region="face",
        causal=_STEADY,
        length=1.8,
    ),
    # from layer 4 on: coarser layers draw the head's outline and the haircut
    Target(
        "age",
        "Age",
        "age",
        ("gender", "grey", "corner_lift", "mouth_open", "eye_open", "glasses", "light", "hair", *_SHAPE),
        (4, 8),
        region="face_and_hair",
        step=2.0,
        length=4.4,
    ),
    Target(
        "pose",
        "Turn the head",
        "yaw_deg",
        ("corner_lift", "nod", "age", "gender", "hair", "light", "grey"),
        (0, 5),
        note="to the image's right",
        region="around_face",
        step=0.28,
    ),
    Target(
        "mouth_open",
        "Open mouth",
        "mouth_open",
        ("corner_lift", "yaw_deg", "age", "gender"),
        (2, 8),
        region="face",
        causal=_STEADY,
        length=1.8,
    ),
    Target(
        "eyes_open",
        "Open eyes",
        "eye_open",
        ("corner_lift", "age", "gender", "glasses"),
        (2, 9),
        region="face",
        causal=_STEADY,
        length=1.8,
    ),
    Target(
        "gender",
        "Man to woman",
        "gender",
        ("age", "grey", "corner_lift", "glasses", "light", *_SHAPE),
        (0, 9),
        True,
        step=0.4,
    ),
    Target(
        "hair_length",
        "Longer hair",
        "hair_length",
        ("gender", "age", "corner_lift", "hair", "light", "grey", "glasses", *_SHAPE),
        (0, 6),
        step=0.42,
    ),
    Target("hair", "Light hair", "hair", ("light", "age", "gender", "grey"), (4, 13), step=0.5),
    Target(
        "grey", "Black and white", "grey", ("age", "gender", "light"), (5, 13), True, region="crop", step=0.15, low=-1
    ),
)
