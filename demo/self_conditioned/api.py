"""The endpoints `self_conditioned_edit` and `self_conditioned_values`."""

from __future__ import annotations

from typing import Any

import gradio as gr

from demo.context import Studio
from demo.parts.numbers import LARGEST_SEED, whole_number
from demo.parts.photo import photo_input
from demo.parts.queued import QUEUE, queued
from demo.parts.values import values_input
from demo.self_conditioned.editor import OWN, PLAIN, Editor, Origin, checked_values
from gan_core.errors import BadValue
from gan_core.self_conditioned.models import EMBEDDED


def build(studio: Studio, editor: Editor) -> None:
    """Add the endpoints; their components are never on the page."""
    sliders = [slider for choice in editor.models.values() for slider in choice.sliders]
    names = ", ".join(dict.fromkeys(slider.name for slider in sliders))

    @queued
    def self_conditioned_edit(
        request: gr.Request, image_or_none: str | None = None, seed: float = 0, attribute: str | None = None,
        value: float | None = None, model: str = EMBEDDED, more_values: Any = None,
    ) -> tuple[str, str]:  # fmt: skip
        """Set an attribute of a face to an explicit value.

        Args:
            image_or_none: a photo, whose largest face is used: uploaded here, or as a data: URI. Else: the seed
            seed: of a random face, where there is no photo
            attribute: age, pose, smile, mouth, glasses or light
            value: from 0 to 1 over the attribute's range among the training pictures; 0.5 is neutral
            model: a choice of weights; "portraits" is always there
            more_values: of other attributes to set as well, such as {"smile": 0.9}

        Returns:
            Two PNG files: the edited picture, and the same edit by the plain direction in the plain generator.
        """
        session = studio.sessions.get(request.session_hash)
        if image_or_none:
            session.own_upload(image_or_none)
        choice = editor.model(model)
        values = checked_values(choice, {**_mapping(more_values), attribute or "": value})
        subject = editor.subject(session, choice, _origin(seed, image_or_none))
        pictures = zip((OWN, PLAIN), editor.edit(choice, subject, values), strict=True)
        edited, plain = (
            str(editor.save(session, drawn.picture, choice, subject, values, method=method, purpose="api"))
            for method, drawn in pictures
        )
        return edited, plain

    @queued
    def self_conditioned_values(
        request: gr.Request, image_or_none: str | None = None, seed: float = 0, model: str = EMBEDDED
    ) -> dict[str, Any]:
        """The model's estimate of a face's attribute values, from 0 to 1, and the meaning of 0 and 1.

        Args:
            image_or_none: a photo, whose largest face is used: uploaded here, or as a data: URI. Else: the seed
            seed: of a random face, where there is no photo
            model: a choice of weights; "portraits" is always there

        Returns:
            By attribute: its value, and what 0 and 1 mean.
        """
        session = studio.sessions.get(request.session_hash)
        if image_or_none:
            session.own_upload(image_or_none)
        choice = editor.model(model)
        present = editor.subject(session, choice, _origin(seed, image_or_none)).face.values
        return {
            slider.name: {"value": present[slider.name], "low": slider.low, "high": slider.high}
            for slider in choice.sliders
        }

    with gr.Column(visible=False):
        image, seed = photo_input(label="image or none"), gr.Number(label="seed", value=0)
        attribute = gr.Textbox(label="attribute", info=f"One of: {names}")
        value = gr.Number(label="value", value=None)
        model = gr.Textbox(label="model", value=next(iter(editor.models), EMBEDDED))
        more = values_input("more values")
        edited = gr.Image(label="edited image", format="png", type="filepath")
        plain = gr.Image(label="plain direction", format="png", type="filepath")
        gr.Button().click(
            self_conditioned_edit,
            [image, seed, attribute, value, model, more],
            [edited, plain],
            api_name="self_conditioned_edit",
            **QUEUE,
        )
        gr.Button().click(
            self_conditioned_values,
            [image, seed, model],
            gr.JSON(label="values"),
            api_name="self_conditioned_values",
            **QUEUE,
        )


def _origin(seed: float, image: str | None) -> Origin:
    return Origin(whole_number(seed, "The seed", 0, LARGEST_SEED), path=image or None)


def _mapping(values: Any) -> dict[str, Any]:
    if values in (None, ""):
        return {}
    if not isinstance(values, dict):
        raise BadValue('More values are given by name, like {"smile": 0.9}.')
    return values
