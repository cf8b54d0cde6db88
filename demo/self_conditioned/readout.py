"""The table of values: the model's estimates for the face, and the predictor's measures of both results."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from html import escape

from demo.self_conditioned.editor import Subject
from demo.self_conditioned.tasks import EditResult
from gan_core.self_conditioned.models import AttributeSlider, SelfConditionedModel

HINT = (
    "*Before*: the picture, or how the self-conditioned generator draws a random face (the plain one draws it a little "
    "differently). Values: 0 and 1 are the ends of what the training pictures show (0.5 and 99.5 percentiles). Years, "
    "degrees, the lift of the mouth's corners and its opening (of the eyes' distance), glasses (1: certainly), how "
    "much brighter the right cheek is, and similarity are predicted by a small network of the project's own; it errs "
    "too. Similarity: the cosine of the identities before and after; 1 is the same."
)
_FORMATS: dict[str, Callable[[float], str]] = {
    "age": lambda x: f"{x:.0f} years",
    "yaw_deg": lambda x: f"{x:+.0f}°",
    "corner_lift": lambda x: f"{100 * x:+.0f} %",  # of the distance between the eyes
    "mouth_open": lambda x: f"{100 * x:.0f} %",
    "side_light": lambda x: f"{100 * math.expm1(x):+.0f} %",
}


def readout(
    choice: SelfConditionedModel, subject: Subject, wanted: Mapping[str, float], own: EditResult, plain: EditResult
) -> str:
    """A table as HTML: a row for each attribute, and one for the similarity of the identity."""
    face = subject.face

    def measure(slider: AttributeSlider, one: Mapping[str, float]) -> str:
        return _FORMATS.get(slider.measure, "{:.2f}".format)(one[slider.name]) if slider.name in one else ""

    rows: list[tuple[str, ...]] = []
    for slider in choice.sliders:
        present, then = f"{face.values[slider.name]:.2f}", f"{wanted[slider.name]:.2f}"
        before = f"{present}<small>{measure(slider, face.measures)}</small>"
        asked = f"<b>{then}</b>" if then != present else then
        rows.append((slider.label, before, asked, measure(slider, own.measures), measure(slider, plain.measures)))
    similar = ["" if one.similarity is None else f"{one.similarity:.2f}" for one in (own, plain)]
    rows.append(("Similarity", "", "", *similar))
    columns = ("", "Before", "Wanted", "Self-condi&shy;tioned", "Plain direc&shy;tion")
    head = "".join(f"<th>{name}</th>" for name in columns)
    body = "".join(
        f"<tr><th>{escape(label)}</th>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>" for label, *cells in rows
    )
    return f'<table class="self-conditioned-readout"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
