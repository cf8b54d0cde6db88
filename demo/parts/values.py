"""An endpoint's input for numbers by name, such as {"smile": 2}."""

from __future__ import annotations

from typing import Any

import gradio as gr


def values_input(label: str) -> gr.JSON:
    """A gr.JSON that says in the API, and so to assistants, that it takes numbers by name; Gradio's own says nothing
    that a JSON schema could hold. None where it is left out."""
    values = gr.JSON(label=label, value=None)
    values.api_info = _described
    return values


def _described() -> dict[str, Any]:
    return {"type": "object", "additionalProperties": {"type": "number"}, "description": "numbers by name"}
