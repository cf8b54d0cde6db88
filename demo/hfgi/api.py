"""The endpoints `hfgi_edit` and `hfgi_edit_many`; moving pictures are in demo/hfgi/film_api.py."""

from __future__ import annotations

from typing import Any

import gradio as gr

from demo.context import Studio
from demo.hfgi.editor import Editor
from demo.parts.photo import photo_input
from demo.parts.queued import QUEUE, queued
from demo.parts.values import values_input

API_NAME, MANY = "hfgi_edit", "hfgi_edit_many"


def build(studio: Studio, editor: Editor) -> None:
    """Add the endpoints; their components are never on the page."""
    sliders = [slider for choice in editor.models.values() for slider in choice.sliders]
    names = ", ".join(dict.fromkeys(slider.name for slider in sliders))

    @queued
    def hfgi_edit(
        request: gr.Request, image: str, attribute: str, strength: float, align: bool, model: str, refine: bool
    ) -> tuple[str, str]:
        """Edit the largest face of a photo: one attribute, a strength from -3 to 3 (0 edits nothing).

        Args:
            image: the photo: uploaded here, or as a data: URI
            attribute: smile, age, pose or another slider's name; an unknown one is answered with the list
            strength: from -3 to 3 (glasses from 0, beard from -1.5, lips from -1); 1 is about one standard deviation
            align: true for any photo, which is returned whole; false for a square, aligned face
            model: a choice of weights; "portraits" is always there
            refine: first fit the inversion to this photo, some ten seconds on a CPU: closer to the person

        Returns:
            The edited picture and the plain inversion (the reconstruction without consultation) as PNG files.
        """
        session = studio.sessions.get(request.session_hash)
        edited, plain, refined = editor.edit_once(session, image, attribute, strength, align, model, bool(refine))
        return (
            str(editor.save(session, edited, model, {attribute: float(strength)}, refined)),
            str(editor.save(session, plain, model, {}, refined)),
        )

    @queued
    def hfgi_edit_many(request: gr.Request, image: str, strengths: Any, model: str, refine: bool) -> str:
        """Edit the largest face of a photo by several attributes at once.

        Args:
            image: the photo: uploaded here, or as a data: URI
            strengths: by attribute, such as {"smile": 2, "glasses": 3}; each from -3, or nearer, to 3
            model: a choice of weights; "portraits" is always there
            refine: first fit the inversion to this photo, some ten seconds on a CPU: closer to the person

        Returns:
            The edited photo as a PNG file.
        """
        session = studio.sessions.get(request.session_hash)
        edited, used, refined = editor.edit_many(session, image, strengths, model, bool(refine))
        return str(editor.save(session, edited, model, used, refined))

    with gr.Column(visible=False):
        image = photo_input(label="image")
        attribute = gr.Textbox(label="attribute", info=f"One of: {names}")
        strength = gr.Number(label="strength", value=None)
        align = gr.Checkbox(label="align", value=True)
        model = gr.Textbox(label="model", value=next(iter(editor.models)))
        refine = gr.Checkbox(label="refine", value=False)
        edited = gr.Image(label="edited image", format="png", type="filepath")
        plain = gr.Image(label="plain inversion", format="png", type="filepath")
        gr.Button().click(
            hfgi_edit,
            [image, attribute, strength, align, model, refine],
            [edited, plain],
            api_name=API_NAME,
            **QUEUE,
        )
        strengths = values_input("strengths")
        gr.Button().click(
            hfgi_edit_many,
            [image, strengths, model, refine],
            edited,
            api_name=MANY,
            **QUEUE,
        )
