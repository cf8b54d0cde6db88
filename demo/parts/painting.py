"""Painting on a picture: the image editor, and masks of what was painted."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from gradio.components.image_editor import EditorData
from PIL import Image

from demo.parts.uploads import MAX_PIXELS
from demo.session import Session
from gan_core.errors import BadImage

logger = logging.getLogger(__name__)

MARK = (79, 70, 229, 153)
"""Colour of a marked region: red, green, blue, opacity. The picture remains visible through it."""
PEN = (0, 0, 0, 255)


@dataclass(frozen=True)
class Painting:
    """The editor's value: paths of its uploaded pictures."""

    files: tuple[str, ...]
    """All uploaded files, to be deleted with the session."""
    layers: tuple[str, ...]
    """Those that are painted layers."""


@dataclass(frozen=True)
class PaintInput:
    """An image editor for painting on a picture, and what it last sent.

    Once an event has had an image editor as an input, Gradio's page reads all its canvases back at each report of any
    event on the page, whichever tab that is of: with a canvas of 1024 x 1024 pixels and no GPU more than a second of
    processor time each. So no event has it as an input but those of `sending`, which the server never hears of.
    """

    editor: gr.ImageEditor
    """An output of handlers: takes a `paint_value`. It must get a value: for an update, also an empty one, Gradio makes
    it anew."""
    sent: gr.JSON
    """An input of handlers, which get a `Painting` or None from it."""

    def sending(self, event: Callable[..., Any]) -> Callable[..., Any]:
        """What stands in for `event` (such as `button.click`) where a handler is to find in `sent` what is painted."""
        return event(None, self.editor, self.sent, js="(painting) => painting", api_visibility="private").then


def paint_input(*, colour: tuple[int, int, int, int] = MARK, width: int = 24, **options: Any) -> PaintInput:
    """Lay out an image editor in the current context.

    colour: of the brush; width: of brush and eraser, in the picture's pixels.
    """
    editor = gr.ImageEditor(
        sources=(),
        layers=False,
        transforms=(),
        brush=gr.Brush(
            colors=[("#{:02x}{:02x}{:02x}".format(*colour), colour[3] / 255)], color_mode="fixed", default_size=width
        ),
        eraser=gr.Eraser(default_size=width),
        canvas_size=(64, 64),
        buttons=["fullscreen"],
        **options,
    )
    sent = gr.JSON(visible=False)
    # Gradio itself would decode all three pictures of an editor's value, and the uploads would belong to no session.
    sent.data_model, sent.preprocess = EditorData, _painting
    return PaintInput(editor, sent)


def paint_value(session: Session, background: str, layer: Image.Image | None = None) -> dict[str, Any]:
    """What makes an editor show this background (a path) and, painted on it, this layer (RGBA, of the same size)."""
    layers = []
    if layer is not None:
        layers = [str(session.new_file("layer", ".png"))]
        layer.save(layers[0], compress_level=1)
    return {"background": background, "layers": layers, "composite": None}


def layers_from(session: Session, painting: Painting | None) -> tuple[str, ...]:
    """The layers of what came from the editor; all its files are deleted with the session from now on."""
    for path in painting.files if painting else ():
        session.own_upload(path)
    return painting.layers if painting else ()


def painted(layers: Sequence[str], size: tuple[int, int]) -> np.ndarray | None:
    """Mask (H, W) bool of the pixels where a layer is not transparent, at `size` (width, height); None if there are
    none. Raises BadImage."""
    together = np.zeros(size[::-1], bool)
    for path in layers:
        mask = _opacity(path).point(lambda value: 255 if value else 0).resize(size, Image.Resampling.BOX)
        together |= np.asarray(mask) > 127
    return together if together.any() else None


def painted_strength(layers: Sequence[str], size: tuple[int, int]) -> np.ndarray:
    """Maximum opacity of the layers, (H, W) float32 from 0 to 1 at `size` (width, height). Raises BadImage."""
    together = np.zeros(size[::-1], np.float32)
    for path in layers:
        opacity = _opacity(path).resize(size, Image.Resampling.BOX)
        together = np.maximum(together, np.asarray(opacity, np.float32) / 255)
    return together


def layer_of(strength: np.ndarray, colour: tuple[int, int, int, int] = MARK) -> Image.Image:
    """An initial layer in one colour, whose opacity is multiplied by `strength`, (H, W) from 0 to 1 or bool."""
    layer = Image.new("RGBA", strength.shape[::-1], colour)
    layer.putalpha(Image.fromarray((strength * colour[3]).astype(np.uint8)))
    return layer


def _opacity(path: str) -> Image.Image:
    try:
        # From its bytes: Pillow would map a named file into memory, and one that is cut short then ends the process.
        with Image.open(io.BytesIO(Path(path).read_bytes()), formats=["PNG", "WEBP"]) as layer:
            if layer.width * layer.height > MAX_PIXELS:
                raise BadImage("What was painted is too large. Please paint on a smaller picture.")
            return layer.convert("RGBA").getchannel("A")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        logger.info("no layer: %s", error)
        raise BadImage("What was painted could not be read. Please paint it again.") from error


def _painting(payload: Any) -> Painting | None:
    if payload is None:
        return None
    layers = tuple(file.path for file in payload.layers or () if file and file.path)
    others = tuple(file.path for file in (payload.background, payload.composite) if file and file.path)
    return Painting((*layers, *others), layers)
