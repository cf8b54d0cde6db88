"""Example pictures. The embedded models drew them; they show nobody real."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

FOLDER = Path(__file__).resolve().parents[1] / "assets" / "examples"
PORTRAITS = "portrait"  # by portraits_face, for models that know no other faces yet
PEOPLE = "person"  # by people_face


def example_files(drawn: str = PORTRAITS) -> list[Path]:
    """Paths of the shipped example pictures whose name begins with `drawn`; may be empty."""
    return sorted(path for path in FOLDER.glob(f"{drawn}_*") if path.suffix in (".jpg", ".png", ".webp"))


def examples_row(target: gr.Image, drawn: str = PORTRAITS) -> set[Path]:
    """A row of examples that fill `target` when clicked; without example files there is no row.

    drawn: PORTRAITS or PEOPLE. Returns the paths of Gradio's copies of them.
    """
    files = example_files(drawn)
    if not files:
        return set()
    examples = gr.Examples(
        [[str(path)] for path in files],
        inputs=[target],
        label="Examples: drawn by the model, nobody real",
        cache_examples=False,
        examples_per_page=12,
        api_visibility="private",
    )
    return {Path(sample[0]["path"]).resolve() for sample in examples.dataset.samples}
