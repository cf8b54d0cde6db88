"""A camera in the browser whose frames the server works on, one at a time, in memory alone."""

from __future__ import annotations

import base64
import binascii
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image, ImageDraw, ImageFont

from gan_core.errors import BadImage, BadValue
from gan_core.images import open_image
from gan_core.marks import jpeg

_SCRIPT = (Path(__file__).resolve().parents[1] / "assets" / "camera.js").read_text(encoding="utf-8")
_VIEW = """<div class="camera" data-state="loading" data-prefix="{prefix}">
<select aria-label="Which camera?" hidden></select><p class="camera-message" role="status"></p>
<div class="camera-stage"><video muted playsinline></video><img alt="The camera's picture, edited" hidden></div>
<p class="camera-numbers"></p></div>"""
_JPEG = "data:image/jpeg;base64,"
_LARGEST = 2_000_000  # letters of a frame; the page sends about 100,000
_MOST_PIXELS = 1_000_000
_LABEL = "edited by AI"


@dataclass(frozen=True)
class CameraFrame:
    """A frame as the page sends it. time: when it was taken, seconds by the browser's clock."""

    number: int
    time: float
    picture: Image.Image

    def answer(self, text: str, **more: Any) -> dict[str, Any]:
        """What the page is told of this frame; more: "image", "inversions", or "stop"."""
        return answer_to(self.number, text, **more)


def camera_view(elem_id: str, prefix: str) -> gr.HTML:
    """The camera, in the current context. Its stream event gives each frame and takes the answer to it. The buttons
    that start and stop it have the ids prefix-start and prefix-stop; the script says when they can be used."""
    return gr.HTML(
        None, html_template=_VIEW.format(prefix=prefix), js_on_load=_SCRIPT, apply_default_css=False, elem_id=elem_id
    )


def number_of(value: Any) -> int:
    """The number of a frame, whatever else is wrong with it."""
    number = value.get("number") if isinstance(value, dict) else None
    return number if isinstance(number, int) else 0


def answer_to(number: int, text: str, **more: Any) -> dict[str, Any]:
    """What the page is told of the frame of that number."""
    return {"answer": number, "text": text, "inversions": 0, **more}


def read_frame(value: Any) -> CameraFrame:
    """What came from the page. Raises BadValue or BadImage."""
    image, time = (value.get("image"), value.get("time")) if isinstance(value, dict) else (None, None)
    if not isinstance(image, str) or not image.startswith(_JPEG) or len(image) > _LARGEST:
        raise BadImage("This is no frame of a camera. Please start the camera again.")
    if not isinstance(time, (int, float)) or not math.isfinite(time):
        raise BadValue("A frame needs the time at which it was taken, in seconds.")
    try:
        data = base64.b64decode(image[len(_JPEG) :], validate=True)
    except binascii.Error as error:
        raise BadImage("This is no frame of a camera. Please start the camera again.") from error
    return CameraFrame(number_of(value), float(time), open_image(data, max_pixels=_MOST_PIXELS, min_side=64))


def picture_url(picture: Image.Image, note: str | None) -> str:
    """A picture for the page, as a data: URL, no file. note: what was done to it, which the picture says in its
    metadata and in a line of its own; None: nothing was."""
    if note is not None:
        picture = _labelled(picture)
    return _JPEG + base64.b64encode(jpeg(picture, note)).decode()


def _labelled(picture: Image.Image) -> Image.Image:
    picture = picture.copy()
    pen, font = ImageDraw.Draw(picture, "RGBA"), ImageFont.load_default(max(12, picture.height // 30))
    left, top, right, bottom = pen.textbbox((0, 0), _LABEL, font=font)
    pad = (bottom - top) // 2
    corner = pad, picture.height - (bottom - top) - 3 * pad
    pen.rectangle((corner[0], corner[1], corner[0] + right - left + 2 * pad, corner[1] + bottom - top + 2 * pad),
                  fill=(0, 0, 0, 128))  # fmt: skip
    pen.text((corner[0] + pad - left, corner[1] + pad - top), _LABEL, font=font, fill=(255, 255, 255, 230))
    return picture
