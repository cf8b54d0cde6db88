"""What assistants get of the endpoints (Model Context Protocol): every picture of a result, as it was saved.

Gradio's server of that protocol sends a picture for an endpoint with one result; several, and those of a gallery, it
would send as the text of a Python list. It also would save each picture once more, and so lose the mark that says that
it was edited.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
from gradio_client.utils import is_file_obj_with_meta
from PIL import Image


def send_every_picture(page: gr.Blocks) -> None:
    """Have the launched page's server do so, if it has one."""
    server = page.mcp_server_obj
    if server is None:
        return
    own = server.postprocess_output_data

    def postprocess(data: Any, root_url: str) -> Any:
        return own(list(flat(data)), root_url)

    server.postprocess_output_data = postprocess
    server.get_base64_data = as_saved


def as_saved(picture: Image.Image, _format: str) -> str:
    """The file of an opened picture, with its marks, in base64."""
    return base64.b64encode(Path(picture.filename).read_bytes()).decode("ascii")  # type: ignore[attr-defined]


def flat(results: Any) -> Iterator[Any]:
    """The results one by one: those in a tuple or a gallery, too, if they are files."""
    for one in results:
        if isinstance(one, (list, tuple)) and any(_is_picture(part) for part in one):
            yield from flat(one)
        elif isinstance(one, dict) and _is_picture(one):
            yield one.get("image", one)
        else:
            yield one


def _is_picture(value: Any) -> bool:
    return is_file_obj_with_meta(value) or (isinstance(value, dict) and is_file_obj_with_meta(value.get("image")))
