"""The table of values: the model's estimates for the face, and the predictor's measures of both results."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from html import escape

from demo.self_conditioned.editor import Subject
from demo.self_conditioned.tasks import EditResult
from gan_core.self_conditioned.models import SelfConditionedModel

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
    """A table as HTML: a column for each attribute, and one for the similarity of the identity."""
    face, sliders = subject.face, choice.sliders
    present, then = ([f"{values[slider.name]:.2f}" for slider in sliders] for values in (face.values, wanted))
    then = [f"<b>{new}</b>" if new != old else new for new, old in zip(then, present, strict=True)]
    before, *after = (
        [
            _FORMATS.get(slider.measure, "{:.2f}".format)(one[slider.name]) if slider.name in one else ""
            for slider in sliders
        ]
        for one in (face.measures, own.measures, plain.measures)
    )
    similarities = ["" if one.similarity is None else f"{one.similarity:.2f}" for one in (own, plain)]
    now = [f"{value}<small>{read}</small>" for value, read in zip(present, before, strict=True)]
    rows = [("Before", *now, ""), ("Wanted", *then, ""), ("Self-conditioned", *after[0], similarities[0]),
            ("Plain direction", *after[1], similarities[1])]  # fmt: skip
    head = "".join(f"<th>{escape(text)}</th>" for text in ("", *(slider.label for slider in sliders), "Similarity"))
    body = "".join(f"<tr><th>{name}</th>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>" for name, *cells in rows)
    return f'<table class="self-conditioned-readout"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
