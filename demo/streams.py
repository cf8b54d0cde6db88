"""How a handler's updates travel to the page while it runs."""

from __future__ import annotations

from typing import Any

import gradio as gr


class WholeUpdates(gr.Blocks):
    """A page that gets every update of a running handler as a whole value.

    Gradio 6.31 sends how an update differs from the one before, and the page edits the earlier value in place. If it
    has not shown that yet, because it is busy or in a hidden tab, it loses it: a picture followed by an update without
    one is turned into "no change" before it was ever drawn.
    """

    def handle_streaming_diffs(
        self,
        block_fn: Any,
        data: list[Any],
        session_hash: str | None,
        run: str | None,
        final: bool,
        simple_format: bool = False,
    ) -> list[Any]:
        """Gradio's own; where it would send edits of an object or a list, the new value instead."""
        begun = session_hash is not None and run in self.pending_diff_streams[session_hash]
        values = list(data)
        sent = super().handle_streaming_diffs(block_fn, data, session_hash, run, final, simple_format)
        if not begun or final or simple_format:
            return sent  # values already
        return [
            [["replace", [], value]] if edits and not isinstance(value, str) else edits
            for edits, value in zip(sent, values, strict=True)
        ]
