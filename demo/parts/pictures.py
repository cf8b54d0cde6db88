"""Pictures on their way to the page: in the visitor's own folder, deleted with the session."""

from __future__ import annotations

import gradio as gr
from PIL import Image

from demo.session import Session


def shown(session: Session, purpose: str, picture: Image.Image, *, exact: bool = False) -> str:
    """The path of a file of this picture for the page: JPEG, or lossless with `exact`. No metadata."""
    path = session.new_file(purpose, ".png" if exact else ".jpg")
    clean = picture.copy()
    clean.info = {}
    if exact:
        clean.save(path, compress_level=1)
    else:
        clean.save(path, quality=92, subsampling=0)
    return str(path)


def captioned_picture(caption: str, elem_id: str, *, min_width: int = 140) -> gr.Image:
    """A result with its caption above it, where a label would lie on the picture; in the current context."""
    with gr.Column(min_width=min_width, elem_classes="captioned"):
        gr.HTML(caption, padding=False, elem_classes="caption")
        return gr.Image(
            label=caption, show_label=False, type="filepath", interactive=False, buttons=["fullscreen"],
            elem_id=elem_id,
        )  # fmt: skip
