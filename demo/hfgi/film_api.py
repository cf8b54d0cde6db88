"""The endpoints `hfgi_sweep` and `hfgi_video`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gradio as gr

from demo import gpu
from demo.context import Studio
from demo.hfgi.edited_video import edited_video
from demo.hfgi.editor import Editor
from demo.hfgi.sweep import sweep
from demo.parts.photo import photo_input
from demo.parts.queued import QUEUE, queued
from demo.parts.values import values_input
from gan_core.errors import BadValue, BadVideo


def build(studio: Studio, editor: Editor) -> None:
    """Add the endpoints; their components are never on the page."""

    @queued
    def hfgi_sweep(request: gr.Request, image: str, attribute: str, strengths: Any, model: str, format: str) -> str:
        """Animate a photo's largest face: one attribute from one end of its range to the other and back.

        Args:
            image: the photo: uploaded here, or as a data: URI
            attribute: smile, age, pose or another slider's name; an unknown one is answered with the list
            strengths: of other attributes, by name, that stay as they are, such as {"age": 2}; {} for none
            model: a choice of weights; "portraits" is always there
            format: "webp" or "gif"

        Returns:
            The animation, of at most 512 pixels a side and 8 MB.
        """
        session = studio.sessions.get(request.session_hash)
        work = editor.open(session, image)
        others = _by_name(strengths)
        return str(gpu.result(sweep(editor, session, work, model, attribute, others, formats=(format,)))[0])

    @queued
    def hfgi_video(request: gr.Request, video: str, strengths: Any, model: str, side_by_side: bool) -> str:
        """Edit the largest face in every frame of a video of up to 20 seconds; its sound stays.

        Args:
            video: the video: uploaded here, or as a data: URI
            strengths: by attribute, such as {"smile": 2, "glasses": 3}; each from -3, or nearer, to 3
            model: a choice of weights; "portraits" is always there
            side_by_side: true for a video that shows each frame as it was, too, on the left

        Returns:
            The edited video as an MP4 file.
        """
        session = studio.sessions.get(request.session_hash)
        if not video:
            raise BadVideo("Please choose a video first.")
        values = _by_name(strengths)
        return str(gpu.result(edited_video(editor, session, video, model, values, side_by_side=bool(side_by_side))))

    with gr.Column(visible=False):
        image = photo_input(label="image")
        attribute = gr.Textbox(label="attribute")
        strengths = values_input("strengths")
        model = gr.Textbox(label="model", value=next(iter(editor.models)))
        kind = gr.Textbox(label="format", value="webp")
        gr.Button().click(
            hfgi_sweep,
            [image, attribute, strengths, model, kind],
            gr.Image(label="sweep", type="filepath"),
            api_name="hfgi_sweep",
            **QUEUE,
        )
        gr.Button().click(
            hfgi_video,
            [gr.Video(label="video"), strengths, model, gr.Checkbox(label="side_by_side", value=False)],
            gr.Video(label="edited video"),
            api_name="hfgi_video",
            **QUEUE,
        )


def _by_name(strengths: Any) -> Mapping[str, float]:
    if strengths is None:
        return {}
    if not isinstance(strengths, Mapping):
        raise BadValue('The strengths are given by attribute, like {"smile": 2}.')
    return strengths
