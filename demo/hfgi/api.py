"""The endpoints `hfgi_edit` and `hfgi_edit_many`."""

from __future__ import annotations

from typing import Any

import gradio as gr

from demo.context import Studio
from demo.hfgi.editor import Editor
from demo.parts.photo import photo_input
from demo.parts.queued import QUEUE, queued

API_NAME, MANY = "hfgi_edit", "hfgi_edit_many"


def build(studio: Studio, editor: Editor) -> None:
    """Add the endpoint; its components are never on the page."""
    sliders = [slider for choice in editor.models.values() for slider in choice.sliders]
    names = ", ".join(dict.fromkeys(slider.name for slider in sliders))

    @queued
    def hfgi_edit(
        request: gr.Request, image: str, attribute: str, strength: float, align: bool, model: str, refine: bool
    ) -> tuple[str, str]:
        """Edit the largest face of a photo: one attribute, a strength from -3 to 3 (0 edits nothing).

        Returns the edited picture and the plain inversion (the encoder's reconstruction without consultation) as PNG
        files. With align the picture may be any photo and whole photos are returned; without it the picture must be a
        square, aligned face, and such faces are returned. With refine the inversion is first refined on this photo,
        which takes some ten seconds on a CPU: the attribute is then changed on a face much closer to the person's.
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

        strengths: by attribute, such as {"smile": 2, "age": -1}; each from -3 to 3. Returns the edited photo as a PNG
        file. With refine the inversion is first refined on this photo, some ten seconds on a CPU.
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
        strengths = gr.JSON(label="strengths")
        gr.Button().click(
            hfgi_edit_many,
            [image, strengths, model, refine],
            edited,
            api_name=MANY,
            **QUEUE,
        )
