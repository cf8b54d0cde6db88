"""Frames of a camera as a page, or somebody else, sends them."""

import base64
import io
import math

import numpy as np
import pytest
from PIL import Image

from demo.parts.camera import number_of, picture_url, read_frame
from gan_core.errors import BadImage, BadValue

_START = "data:image/jpeg;base64,"


def frame(picture=None, kind="JPEG", **changes):
    stream = io.BytesIO()
    (picture or Image.new("RGB", (640, 480), "teal")).save(stream, kind)
    image = _START + base64.b64encode(stream.getvalue()).decode()
    return {"number": 7, "time": 12.5, "image": image, **changes}


def test_a_frame_and_its_answer():
    read = read_frame(frame())
    assert (read.number, read.time, read.picture.size) == (7, 12.5, (640, 480))
    assert read.answer("One face.", image="x") == {"answer": 7, "text": "One face.", "inversions": 0, "image": "x"}


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (None, BadImage),
        ("text", BadImage),
        ([1, 2], BadImage),
        ({}, BadImage),
        (frame(image=None), BadImage),
        (frame(image="/etc/passwd"), BadImage),
        (frame(image="http://127.0.0.1/a.jpg"), BadImage),
        (frame(image=_START + "%%%"), BadImage),
        (frame(image=_START + "aGVsbG8="), BadImage),
        (frame(image=_START + "A" * 3_000_000), BadImage),
        (frame(Image.new("RGB", (9, 9))), BadImage),
        (frame(Image.new("RGB", (3000, 3000)), "PNG"), BadImage),
        (frame(time=None), BadValue),
        (frame(time="now"), BadValue),
        (frame(time=math.nan), BadValue),
        (frame(time=math.inf), BadValue),
    ],
)
def test_anything_else_is_a_sentence(value, kind):
    with pytest.raises(kind) as caught:
        read_frame(value)
    assert str(caught.value).endswith(".")
    assert isinstance(number_of(value), int)


def test_an_edited_frame_says_so_in_its_corner_and_in_its_metadata():
    plain = Image.new("RGB", (640, 480), "teal")
    decoded = []
    for note in (None, "edited with <GAN Studio>"):
        data = base64.b64decode(picture_url(plain, note).removeprefix(_START))
        decoded.append(np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), int))
        assert (b"compositeWithTrainedAlgorithmicMedia" in data) == (b"edited with" in data) == (note is not None)
    change = np.abs(decoded[1] - decoded[0]).max(-1)
    assert change[440:, :140].max() > 100 and change[:400].max() < 8 and change[:, 240:].max() < 8
