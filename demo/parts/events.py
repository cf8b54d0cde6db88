"""What the tabs' Gradio events have in common."""

from __future__ import annotations

from typing import Any

import gradio as gr

from demo.gpu import Progress

Data = dict[Any, Any]
"""A handler's inputs by component, or its outputs."""

QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden", "queue": False}
"""Options of an event that is answered at once: outside the queue, without a progress bar, no endpoint."""

ONCE_MOUNTED = """async (...values) => {
    for (let i = 0; i < 3; i++) await new Promise(requestAnimationFrame);
    await new Promise(done => setTimeout(done, 60));
    return values;
}"""
"""The `js` of a gr.Tab's select event that draws inside that tab. Gradio 6.31 mounts a tab's components when it is
first selected, and one frame later sets them back to what they were before: a value that arrived meanwhile is lost."""


def reporter(progress: gr.Progress) -> Progress:
    """Gradio's progress bar as what GPU work reports to: a fraction in [0, 1] and a text."""
    return lambda fraction, text: progress(fraction, desc=text)
