"""The input for a photo: upload, webcam or clipboard; handlers get the uploaded file."""

from __future__ import annotations

from typing import Any

import gradio as gr

from gan_core.errors import BadImage

_WEBCAM = {"video": {"width": {"ideal": 1280}, "height": {"ideal": 960}}}


def photo_input(**options: Any) -> gr.Image:
    """A gr.Image whose handlers get the path of the untouched upload, or None.

    Gradio itself would open the file before the handler is called: it would decode a picture of 100 megapixels in full
    and report a damaged one with a message of its own. Return only values for it, never gr.Image(...) updates, which
    make a plain gr.Image of it.
    """
    image = gr.Image(
        type="filepath",
        image_mode=None,
        sources=["upload", "webcam", "clipboard"],
        webcam_options=gr.WebcamOptions(mirror=False, constraints=_WEBCAM),
        **options,
    )
    image.preprocess = _path
    return image


def _path(payload: Any) -> str | None:
    if payload is None:
        return None
    if not payload.path:  # a data: URL instead of an upload
        raise gr.Error(str(BadImage("Please send the picture as an uploaded file.")), print_exception=False)
    return payload.path
