"""The endpoints `comodgan_inpaint` and `comodgan_draw`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from demo.comodgan.drawing import lines_of
from demo.comodgan.editor import DRAWING, HOLE, Editor, Result, results_of, seeds_from
from demo.context import Studio
from demo.parts.events import reporter
from demo.parts.photo import photo_input
from demo.parts.queued import QUEUE, queued
from demo.session import Session
from gan_core.comodgan.models import DEFAULT
from gan_core.comodgan.models import DRAWING as DRAWING_MODEL


def build(studio: Studio, editor: Editor) -> None:
    """Add the endpoints; their components are never on the page."""

    def saved(session: Session, results: Sequence[Result]) -> list[str]:
        return [str(editor.save(session, result, "api")) for result in results]

    @queued
    def comodgan_inpaint(
        request: gr.Request, image: str, mask: str | None = None, seed: float = 0, samples: float = 4,
        model: str = DEFAULT, progress: gr.Progress = gr.Progress(),
    ) -> list[str]:  # fmt: skip
        """Fill a part of a picture in several ways.

        Args:
            image: the picture: uploaded here, or as a data: URI
            mask: white is filled, black is kept exactly; of the picture's proportions. Left out: its transparent part
            seed: of the first result; the others count up from it
            samples: how many results, from 1 to 8
            model: "auto", "faces", "places" (any photo) or "portraits" (head and shoulders of politicians)

        Returns:
            PNG files of the picture's size.
        """
        session = studio.sessions.get(request.session_hash)
        for upload in filter(None, (image, mask)):
            session.own_upload(upload)
        return saved(session, editor.fill_once(session, image, mask, seed, samples, model, reporter(progress)))

    @queued
    def comodgan_draw(
        request: gr.Request, drawing: str, seed: float, samples: float, model: str,
        progress: gr.Progress = gr.Progress(),
    ) -> list[str]:  # fmt: skip
        """Make portraits of a drawing.

        Args:
            drawing: dark lines on white paper, a face as large as the paper; of any other picture the edges are taken
            seed: of the first result; the others count up from it
            samples: how many results, from 1 to 8
            model: a choice of weights; "drawing" is always there

        Returns:
            PNG files.
        """
        session = studio.sessions.get(request.session_hash)
        if drawing:
            session.own_upload(drawing)
        choice, seeds = editor.model(model, DRAWING), seeds_from(seed, samples)
        lines, _ = lines_of(session, drawing, editor.find_faces)
        tell = reporter(progress)
        return saved(session, results_of(editor.draw(lines, choice, seeds, progress=tell), tell))

    with gr.Column(visible=False):
        image, mask = photo_input(label="image"), photo_input(label="mask")
        _endpoint(comodgan_inpaint, [image, mask], _first(editor, HOLE, DEFAULT))
        _endpoint(comodgan_draw, [photo_input(label="drawing")], _first(editor, DRAWING, DRAWING_MODEL))


def _endpoint(handler: Any, pictures: list[Any], model: str) -> None:
    gr.Button().click(
        handler,
        [
            *pictures,
            gr.Number(label="seed", value=0),
            gr.Number(label="samples", value=4),
            gr.Textbox(label="model", value=model),
        ],
        gr.Gallery(label="images", format="png", type="filepath"),
        api_name=handler.__name__,
        **QUEUE,
    )


def _first(editor: Editor, kind: str, otherwise: str) -> str:
    return next(iter(editor.of_kind(kind)), otherwise)
