"""What a tab shows before anybody has done anything: a finished example, and in a few words what the tab is.

The pictures are files that the embedded models drew once (`tests/demo/draw_first_sight.py`); nothing is computed for a
visitor who only looks.
"""

from __future__ import annotations

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


@dataclass(frozen=True)
class Example:
    """A finished example: a strip of square pictures, a file in `FOLDER`, and a caption for each."""

    name: str
    captions: tuple[str, ...]

    def build(self) -> set[Path]:
        """Lay it out in the current context; it is seen as long as the component after it is empty (style.css).

        Returns the path of Gradio's copy of the file.
        """
        captions = "".join(f"<span>{escape(caption)}</span>" for caption in self.captions)
        with gr.Column(elem_classes="first-sight"):
            gr.HTML(f'<div class="captions">{captions}</div>', padding=False)
            image = gr.Image(
                str(FOLDER / f"{self.name}.jpg"), show_label=False, type="filepath", interactive=False, buttons=[],
                alt_text=f"An example: {', '.join(self.captions)}",
            )  # fmt: skip
        return {Path(image.value["path"]).resolve()}
