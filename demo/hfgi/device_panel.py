"""The switch "On this device" of "Edit a face": the live page (demo/live.py) in the place of the tab's own."""

from __future__ import annotations

import gradio as gr

from demo.parts.events import QUIET

# The address holds below any root path. Without the frame there is no camera, and nothing is loaded.
_FRAME = (
    '<iframe src="live/" title="Edit a face on this device" allow="camera; cross-origin-isolated"'
    ' style="width: min(92vw, 1200px); height: 760px; border: 0"></iframe>'
    '<p>Also <a href="live/" target="_blank" rel="noopener">in a window of its own</a>: faster in browsers that give a'
    " part of a page one thread only. It loads 54 to 57 MB the first time; no picture is sent to the server.</p>"
)
_LABEL = "On this device, also the live camera"


class DevicePanel:
    """The switch, made in the current context, and, where it is on, the page."""

    def __init__(self) -> None:
        self.switch = gr.Checkbox(
            False, label=_LABEL, show_label=False, container=False, elem_id="hfgi-on-device", elem_classes="lead-switch"
        )

    def build_frame(self) -> None:
        """The place of the page, in the current context."""
        self.frame = gr.HTML("", visible=False, elem_id="hfgi-device")

    def wire(self, work: gr.Row, other: gr.Checkbox) -> None:
        """Connect the switch. work: what is hidden while it is on. other: a switch of which one at most is on."""

        def switched(on: bool) -> tuple[gr.HTML, gr.Row]:
            return gr.HTML(_FRAME if on else "", visible=on), gr.Row(visible=not on)

        self.switch.change(switched, self.switch, [self.frame, work], **QUIET)
        for one, off in ((self.switch, other), (other, self.switch)):
            one.input(lambda: False, None, off, **QUIET)
