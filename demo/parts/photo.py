"""The input for a photo: upload, webcam or paste, handed over as the file that came in."""

from __future__ import annotations

from typing import Any

import gradio as gr

from gan_core.errors import BadImage

_WEBCAM = {"video": {"width": {"ideal": 1280}, "height": {"ideal": 960}}}


def photo_input(**options: Any) -> gr.Image:
    """A gr.Image whose handlers get the path of the untouched upload, or None.

    Gradio would open the file itself before the handler is called: a 100-megapixel picture would be decoded
    in full and a damaged one reported in words of its own. Do not return gr.Image(...) updates for it, only
    values: an update makes a plain gr.Image of it.
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
