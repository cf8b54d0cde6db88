"""The result column of "Compose a body": the composite while it is optimised, its losses, both generators' pictures,
and earlier results."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image, ImageDraw

from demo.context import Studio
from demo.insetgan.curves import curves
from demo.insetgan.tasks import Composed
from demo.parts.events import Data
from demo.parts.first_sight import Example
from demo.parts.pictures import result_picture, shown
from demo.session import Session
from gan_core.insetgan.models import InsetGANModel

_PASTED, _LATEST = "insetgan-pasted", "insetgan-latest"
_EXAMPLE = Example("compose", ("The body", "The face", "Joined"))
_LABELS = {
    "coarse": "coarse", "border": "border", "perceptual": "perceptual", "body": "body kept", "face": "face kept",
    "latents": "latents",
}  # fmt: skip


class CompositePanel:
    """See the module's docstring."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio

    def build(self, models: Iterable[InsetGANModel]) -> None:
        """Lay it out in the current context. models: the choices of weights."""
        with gr.Tabs():
            with gr.Tab("Result"):
                self.studio.sessions.shared |= _EXAMPLE.build()
                self.compare = gr.ImageSlider(
                    label="Plain paste and result", type="filepath", interactive=False, max_height=520,
                    buttons=["fullscreen"], elem_id="insetgan-compare",
                )  # fmt: skip
                self.plot = gr.HTML("", elem_id="insetgan-plot")
                self.download_place = gr.Row()
                self.results = gr.Gallery(
                    label="Results of this run: click one", columns=4, height=190, allow_preview=False,
                    interactive=False, buttons=[], visible=False, elem_id="insetgan-results",
                )  # fmt: skip
            with gr.Tab("Large", visible=any(model.enlarged > 1 for model in models)) as self.enlarged:
                gr.Markdown("The body plainly enlarged, the face with its generator's own pixels.", elem_classes="hint")
                self.large = result_picture("Twice as large", "insetgan-large")
                self.large_place = gr.Row()
            with gr.Tab("Behind it") as self.behind:
                gr.Markdown(
                    "What the two generators draw by themselves, and where the one is put into the other. In the plot, "
                    "*coarse* and *perceptual* are how much they disagree over the region, *border* along its edge; "
                    "*kept* is how far body and face have gone from where they began.",
                    elem_classes="hint",
                )
                with gr.Row():
                    self.body = result_picture("The body generator's picture, with the region", "insetgan-body")
                    self.face = result_picture("The face generator's picture", "insetgan-face")

    @property
    def outputs(self) -> list[Any]:
        """The components that `update` sets."""
        return [self.compare, self.plot]

    def update(self, session: Session, composed: Composed, *, fresh: bool = False) -> Data:
        """Show a state of the optimisation. fresh: it is of another run than the last one shown."""
        session.keep(_LATEST, composed, composed.size)
        pasted = session.recall(_PASTED)
        if fresh or composed.step == 0 or pasted is None or not Path(pasted).is_file():
            pasted = shown(session, "pasted", composed.pasted)
            session.keep(_PASTED, pasted, len(pasted))
        return {
            self.compare: (pasted, shown(session, "composed", composed.image)),
            self.plot: _plot(composed),
        }

    @property
    def hidden(self) -> list[Any]:
        """The components that `reveal` sets."""
        return [self.large, self.body, self.face]

    def reveal(self, session: Session) -> Data:
        """The larger picture, and the generators' own. They are set when their tab is opened, because updates of a
        running job do not reach a tab that was never opened."""
        composed: Composed | None = session.recall(_LATEST)
        if composed is None:
            return dict.fromkeys(self.hidden)
        return {
            self.large: None if composed.large is None else shown(session, "large", composed.large),
            self.body: shown(session, "body", with_boxes(composed.body, composed.boxes)),
            self.face: shown(session, "face", composed.faces[0]),
        }


def _plot(composed: Composed) -> str:
    series = {label: [row[name] for row in composed.losses] for name, label in _LABELS.items()}
    return curves(series, length=composed.steps, what="The losses, step by step.")


def with_boxes(picture: Image.Image, boxes: Sequence[Sequence[tuple[float, float]]]) -> Image.Image:
    """A copy with the outlines of the insets' boxes."""
    picture = picture.copy()
    pen = ImageDraw.Draw(picture)
    width = max(1, max(picture.size) // 200)
    for corners in boxes:
        pen.line([*corners, corners[0]], fill="#4f46e5", width=width, joint="curve")
    return picture
