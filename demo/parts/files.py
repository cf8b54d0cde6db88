"""The input for several pictures; handlers get the uploaded files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from gan_core.errors import BadImage


def pictures_input(
    *, kinds: Sequence[str] | None = ("image",), file_count: str = "multiple", **options: Any
) -> gr.File:
    """A gr.File for several files, pictures if `kinds` says nothing else, whose handlers get a list of paths.

    Gradio itself would make an empty file for each, which is never deleted. Return only values for it, never
    gr.File(...) updates, which make a plain gr.File of it.
    """
    files = gr.File(file_count=file_count, file_types=list(kinds) if kinds else None, **options)
    files.preprocess = _paths
    return files


def _paths(payload: Any) -> list[str]:
    if payload is None:
        return []
    found = list(payload) if hasattr(payload, "root") else [payload]
    if any(not file.path for file in found):  # a data: URL instead of an upload
        raise gr.Error(str(BadImage("Please send the pictures as uploaded files.")), print_exception=False)
    return [file.path for file in found]
