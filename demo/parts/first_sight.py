"""What a tab shows before anybody has done anything: a finished example, and in a few words what the tab is.

The pictures are files that the embedded models drew once (`tests/demo/draw_first_sight.py`); nothing is computed for a
visitor who only looks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import gradio as gr

FOLDER = Path(__file__).resolve().parents[1] / "assets" / "first_sight"


@dataclass(frozen=True)
class About:
    """What a tab is for."""

    lead: str
    """One sentence."""
    idea: tuple[str, ...]
    """The paper's picture of it: what goes in, what happens, what comes out."""
    text: str
    """Two or three sentences more."""

    def build(self) -> None:
        """Lay it out in the current context: the sentence, which opens to the rest."""
        steps = "".join(f"<li>{escape(step)}</li>" for step in self.idea)
        gr.HTML(
            f'<details class="about"><summary>{escape(self.lead)} <b>What is this?</b></summary>'
            f"<ol>{steps}</ol><p>{escape(self.text)}</p></details>",
            padding=False,
            elem_classes="about-block",
        )


def finished_example(pictures: Sequence[tuple[str, str]]) -> set[Path]:
    """Pictures with their captions, in a row that is seen as long as the component after it is empty (style.css).

    pictures: names in `FOLDER`, without suffix, and captions. Returns the paths of Gradio's copies of them.
    """
    with gr.Row(elem_classes="first-sight"):
        images = [_captioned(FOLDER / f"{name}.jpg", caption) for name, caption in pictures]
    return {Path(image.value["path"]).resolve() for image in images}


def _captioned(path: Path, caption: str) -> gr.Image:
    with gr.Column(min_width=90, elem_classes="captioned"):
        gr.HTML(escape(caption), padding=False, elem_classes="caption")
        return gr.Image(
            str(path), label=caption, show_label=False, type="filepath", interactive=False, buttons=[],
            alt_text=f"Example: {caption}",
        )  # fmt: skip
