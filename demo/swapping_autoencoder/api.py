"""The endpoint `autoencoder_swap`."""

from __future__ import annotations

from typing import Any

import gradio as gr

from demo.context import Studio
from demo.parts.photo import photo_input
from demo.parts.queued import QUEUE, queued
from demo.parts.values import values_input
from demo.swapping_autoencoder.editor import Editor
from demo.swapping_autoencoder.request import request_of
from gan_core.swapping_autoencoder.models import EMBEDDED

API_NAME = "autoencoder_swap"


def build(studio: Studio, editor: Editor) -> None:
    """Add the endpoint; its components are never on the page."""

    @queued
    def autoencoder_swap(
        request: gr.Request, structure_image: str, texture_image: str, amount: float, model: str,
        more_settings: Any = None,
    ) -> str:  # fmt: skip
        """Draw the first picture's structure with the second picture's texture.

        Pictures are used as they are: align faces first.

        Args:
            structure_image: the picture that gives the shapes: uploaded here, or as a data: URI
            texture_image: the picture that gives colours and surfaces: uploaded here, or as a data: URI
            amount: from 0, which reconstructs the first picture, to 1, which takes all texture from the second
            model: "portraits" for aligned faces, "places" for any other photo
            more_settings: strengths of the model's directions, such as {"warm": 0.5}, and "detail" from 0 to 1

        Returns:
            A PNG file of the first picture's proportions; its shorter side is the model's resolution.
        """
        session = studio.sessions.get(request.session_hash)
        picture = editor.swap_once(session, structure_image, texture_image, amount, model, more_settings)
        choice = editor.model(model)
        return str(editor.save(session, picture, choice, request_of(choice, amount, more_settings)))

    with gr.Column(visible=False):
        structure = photo_input(label="structure image")
        texture = photo_input(label="texture image")
        amount = gr.Number(label="amount", value=None)
        model = gr.Textbox(label="model", value=next(iter(editor.models), EMBEDDED))
        more = values_input("more settings")
        result = gr.Image(label="image", format="png", type="filepath")
        gr.Button().click(
            autoencoder_swap,
            [structure, texture, amount, model, more],
            result,
            api_name=API_NAME,
            **QUEUE,
        )
