"""What several tabs share, without a page."""

from dataclasses import replace
from pathlib import Path

import gradio as gr
import pytest
from PIL import Image

from demo import settings
from demo.parts.choices import licence_line, weights_dropdown
from demo.parts.editor import PaperEditor
from demo.parts.long_job import start_and_stop
from demo.parts.pictures import shown_once
from demo.parts.sliders import SliderGroup
from demo.session import Sessions
from gan_core.hfgi.models import HFGIModel, Slider

FEW = HFGIModel("few", "few sliders", "fake/few", (Slider("smile", "Smile", -2, 2),), 256, "CC0-1.0")
MORE = replace(FEW, name="more", label="more sliders", sliders=(Slider("age", "Age", note="years"), Slider("b", "B")))


@pytest.fixture
def session(tmp_path):
    sessions = Sessions(tmp_path / "visitors")
    yield sessions.get("one")
    sessions.close()


def test_sliders_follow_the_weights() -> None:
    group = SliderGroup([FEW, MORE], lambda choice: choice.sliders, "id", step=0.1)
    with gr.Blocks():
        group.build(FEW)
    first, second = group.sliders
    assert (first.label, first.minimum, first.visible, first.elem_id) == ("Smile", -2, True, "id-0")
    assert not second.visible
    assert group.read(FEW, {first: 1.5, second: 3}) == {"smile": 1.5}
    assert group.read(MORE, {first: None, second: 3}) == {"age": 0.0, "b": 3.0}
    updates = group.updates(MORE)
    assert [(one.label, one.value, one.visible) for one in updates] == [("Age", 0, True), ("B", 0, True)]
    assert updates[0].info == "years" and updates[0].maximum == 3


def test_weights_are_offered_where_there_is_a_choice() -> None:
    with gr.Blocks():
        one, two = weights_dropdown({"few": FEW}, "a"), weights_dropdown({"more": MORE, "few": FEW}, "b")
        always = weights_dropdown({"few": FEW}, "c", always=True)
    assert [menu.visible for menu in (one, two, always)] == [False, True, True]
    assert two.value == "more" and two.choices == [("more sliders", "more"), ("few sliders", "few")]
    assert licence_line(FEW) == "Weights: few sliders, 256 pixels. Licence: CC0-1.0."


def test_an_editor_finds_faces_with_the_settings_of_the_app(tmp_path, monkeypatch) -> None:
    asked = []
    monkeypatch.setattr("gan_core.faces.find_faces", lambda _picture, **options: asked.append(options) or ["a", "b"])
    flags = ["--no-offline", "--weights", str(tmp_path)]
    editor = PaperEditor.for_app({"few": FEW}, settings.read(flags, {}))
    face, note = editor.largest_face(Image.new("RGB", (8, 8)))
    assert asked == [{"allow_fetch": True, "weights": tmp_path}]
    assert face == "a" and note == "The largest of 2 faces is taken."


def test_a_picture_is_written_once_and_again_when_its_file_is_gone(session) -> None:
    picture = Image.new("RGB", (8, 8), "red")
    path = shown_once(session, "key", "before", picture)
    assert shown_once(session, "key", "before", picture) == path and Path(path).is_file()
    Path(path).unlink()
    again = shown_once(session, "key", "before", picture)
    assert again != path and Path(again).is_file()


def test_buttons_of_a_job() -> None:
    for busy in (False, True):
        start, stop = start_and_stop(busy=busy)
        assert (start.interactive, stop.interactive) == (not busy, busy)
