"""Example pictures. The embedded models drew the people, who are nobody real; places are views of CC0 panoramas."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

FOLDER = Path(__file__).resolve().parents[1] / "assets" / "examples"
PORTRAITS = "portrait"  # by portraits_face, for models that know no other faces yet
PEOPLE = "person"  # by people_face
PLACES = "place"  # views of places that no network saw in training
_DRAWN = "Examples: drawn by the model, nobody real"
_WITH_PLACES = "Examples: people drawn by the model, nobody real; places from Poly Haven's panoramas"


def example_files(kind: str = PORTRAITS) -> list[Path]:
    """Paths of the shipped example pictures whose name begins with `kind`; may be empty."""
    return sorted(path for path in FOLDER.glob(f"{kind}_*") if path.suffix in (".jpg", ".png", ".webp"))


def examples_row(target: gr.Image, *kinds: str) -> set[Path]:
    """A row of examples that fill `target` when clicked; without example files there is no row.

    kinds: of PORTRAITS (also when none is named), PEOPLE and PLACES. Returns the paths of Gradio's copies of them.
    """
    kinds = kinds or (PORTRAITS,)
    files = [path for kind in kinds for path in example_files(kind)]
    if not files:
        return set()
    examples = gr.Examples(
        [[str(path)] for path in files],
        inputs=[target],
        label=_WITH_PLACES if PLACES in kinds else _DRAWN,
        cache_examples=False,
        examples_per_page=12,
        api_visibility="private",
    )
    return {Path(sample[0]["path"]).resolve() for sample in examples.dataset.samples}
