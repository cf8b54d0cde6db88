"""Pictures for the page: files in the visitor's folder, deleted with the session; and components that show them."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path

import gradio as gr
from PIL import Image

from demo.session import Session


def shown(session: Session, purpose: str, picture: Image.Image, *, exact: bool = False) -> str:
    """Write a picture to a file for the page, as JPEG or with `exact` as PNG, without metadata; returns its path."""
    path = session.new_file(purpose, ".png" if exact else ".jpg")
    clean = picture.copy()
    clean.info = {}
    if exact:
        clean.save(path, compress_level=1)
    else:
        clean.save(path, quality=92, subsampling=0)
    return str(path)


def shown_once(session: Session, key: Hashable, purpose: str, picture: Image.Image) -> str:
    """As `shown`, for a picture that is shown repeatedly: its file is written once and kept in the session as `key`."""
    path = session.recall(key)
    if path is None or not Path(path).is_file():
        path = shown(session, purpose, picture)
        session.keep(key, path, len(path))
    return path


def result_picture(label: str, elem_id: str) -> gr.Image:
    """A component that shows a result, in the current context."""
    return gr.Image(label=label, interactive=False, buttons=["fullscreen"], elem_id=elem_id)


def captioned_picture(caption: str, elem_id: str, *, min_width: int = 140) -> gr.Image:
    """A result with its caption above it (a label would cover the picture), in the current context."""
    with gr.Column(min_width=min_width, elem_classes="captioned"):
        gr.HTML(caption, padding=False, elem_classes="caption")
        return gr.Image(
            label=caption, show_label=False, type="filepath", interactive=False, buttons=["fullscreen"],
            elem_id=elem_id,
        )  # fmt: skip
