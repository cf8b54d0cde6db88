"""A download button whose file is made on the click."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from demo.parts.queued import QUEUE, queued


def download_button(label: str, make: Callable[..., str], inputs: Any, *, elem_id: str) -> gr.Button:
    """A button that calls make(inputs) -> path and then has the browser save that file.

    gr.DownloadButton alone offers a file that exists before the click, so the path is given to a hidden one, which the
    page clicks by script.
    """
    button = gr.Button(label, elem_id=elem_id, size="sm")
    hidden = gr.DownloadButton(visible="hidden", elem_id=f"{elem_id}-file")
    event = button.click(
        queued(make),
        inputs,
        hidden,
        api_visibility="private",
        show_progress="minimal",
        **QUEUE,
    )
    event.success(
        None,
        None,
        None,
        js=f"() => setTimeout(() => document.querySelector('#{elem_id}-file').click(), 50)",
        api_visibility="private",
    )
    return button
