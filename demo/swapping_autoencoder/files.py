"""Several pictures at once, handed over as the files that came in."""

from __future__ import annotations

from typing import Any

import gradio as gr

from gan_core.errors import BadImage


def pictures_input(**options: Any) -> gr.File:
    """A gr.File for several pictures, whose handlers get a list of paths.

    Gradio would leave an empty file of its own for each, which nobody deletes. Do not return gr.File(...) updates for
    it, only values: an update makes a plain gr.File of it.
    """
    files = gr.File(file_count="multiple", file_types=["image"], **options)
    files.preprocess = _paths
    return files


def _paths(payload: Any) -> list[str]:
    if payload is None:
        return []
    found = list(payload) if hasattr(payload, "root") else [payload]
    if any(not file.path for file in found):  # a data: URL instead of an upload
        raise gr.Error(str(BadImage("Please send the pictures as uploaded files.")), print_exception=False)
    return [file.path for file in found]
