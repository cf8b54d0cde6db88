"""The steps behind "Edit at the edges" over small random networks."""

from __future__ import annotations

import gradio as gr
import pytest
from PIL import Image

from demo.gpu import Done
from demo.self_conditioned.editor import GRID_SIDES, REFINING, STRIP_FRAMES, Editor, Origin, checked_values
from demo.self_conditioned.image_grid import captioned, cell_at, image_grid
from demo.self_conditioned.readout import readout
from demo.self_conditioned.sliders import ValueBank
from demo.self_conditioned.tasks import InversionPreview
from demo.session import Sessions
from gan_core.errors import BadImage, BadValue, NoFaceFound, UnknownName, WeightsMissing
from tests.demo import fakes
from tests.demo.self_conditioned import fakes as self_conditioned_fakes

CHOICE = self_conditioned_fakes.MODELS["portraits"]


@pytest.fixture
def registry(monkeypatch):
    monkeypatch.setattr("gan_core.faces.find_faces", fakes.find_faces)
    registry = self_conditioned_fakes.make_registry()
    fakes.run_here(monkeypatch, registry)
    return registry


@pytest.fixture
def editor(registry):
    return Editor(self_conditioned_fakes.MODELS)


@pytest.fixture
def session(tmp_path):
    return Sessions(tmp_path / "visitors").get("visitor")


@pytest.fixture
def photo(tmp_path):
    return fakes.save(fakes.draw_photo(), tmp_path / "photo.png")


def pixels(picture) -> bytes:
    return picture.tobytes()


def test_a_seed_is_a_face_and_its_own_values_change_nothing(editor, session) -> None:
    subject = editor.subject(session, CHOICE, Origin(3))
    assert subject is editor.subject(session, CHOICE, Origin(3)), "kept"
    assert set(subject.face.values) == {"age", "pose", "smile"}
    assert all(0 <= value <= 1 for value in subject.face.values.values())
    own, plain = editor.edit(CHOICE, subject, {})
    assert pixels(own.picture) == pixels(subject.before)
    assert own.similarity == pytest.approx(1, abs=1e-4) == plain.similarity, (
        "each is compared with its own unedited face"
    )
    assert own.measures.keys() == subject.face.values.keys()
    assert pixels(editor.subject(session, CHOICE, Origin(4)).before) != pixels(subject.before)


def test_an_edit_goes_both_ways(editor, session) -> None:
    subject = editor.subject(session, CHOICE, Origin(3))
    untouched = editor.edit(CHOICE, subject, {})
    edited = editor.edit(CHOICE, subject, {"age": 1.0})
    for before, after in zip(untouched, edited, strict=True):
        assert pixels(before.picture) != pixels(after.picture)
    assert pixels(edited[0].picture) != pixels(edited[1].picture)


def test_a_picture_is_read_once(editor, session, photo, registry) -> None:
    *steps, done = list(editor.find(session, CHOICE, Origin(path=photo)))
    previews = [step for step in steps if isinstance(step, InversionPreview)]
    assert [preview.step for preview in previews] == list(range(16))
    assert previews[-1].error < previews[0].error, "it comes nearer to the picture"
    subject = done.value
    assert subject.before.size == (self_conditioned_fakes.SIDE,) * 2 and subject.name == "an uploaded picture"
    again = list(editor.find(session, CHOICE, Origin(path=photo)))
    assert len(again) == 1 and again[0].value is subject


def test_the_largest_face_is_taken_and_said(editor, session, tmp_path) -> None:
    two = fakes.draw_photo((900, 600), ((250, 300, 120), (650, 280, 90)))
    path = fakes.save(two, tmp_path / "two.png")
    assert editor.subject(session, CHOICE, Origin(path=path)).note == "The largest of 2 faces is taken."


def test_refining_comes_nearer_and_stays(editor, session, photo) -> None:
    origin = Origin(path=photo)
    before = editor.subject(session, CHOICE, origin)
    steps = list(editor.refine(session, CHOICE, origin, 20))
    errors = [step.error for step in steps if isinstance(step, InversionPreview) and step.text.startswith("Refining")]
    assert errors[-1] < errors[0]
    refined = steps[-1].value
    assert refined.refined == 20 and refined.size > before.size
    assert editor.subject(session, CHOICE, origin) is refined
    assert pixels(editor.edit(CHOICE, refined, {})[0].picture) != pixels(editor.edit(CHOICE, before, {})[0].picture)
    assert editor.edit(CHOICE, refined, {"pose": 0.0})


def test_stopping_the_refinement_keeps_what_there_is(editor, session, photo) -> None:
    origin, last = Origin(path=photo), None
    for step in editor.refine(session, CHOICE, origin, 200):
        if isinstance(step, InversionPreview) and step.text.startswith("Refining") and step.step == 10:
            session.job(REFINING).stop()
        last = step
    assert isinstance(last, Done) and last.value.refined == 11
    assert editor.subject(session, CHOICE, origin) is last.value


def test_refining_needs_a_picture(editor, session) -> None:
    with pytest.raises(BadImage, match="Only a picture"):
        list(editor.refine(session, CHOICE, Origin(1), 20))


def test_strips_and_grids_are_edits_in_order(editor, session) -> None:
    subject = editor.subject(session, CHOICE, Origin(5))
    for plain in (False, True):
        strip = editor.strip(CHOICE, subject, "smile", {"age": 0.8}, plain=plain)
        assert len(strip) == STRIP_FRAMES and len({pixels(frame) for frame in strip}) == STRIP_FRAMES
        *steps, done = list(editor.grid(CHOICE, subject, "pose", "smile", 3, {"age": 0.8}, plain=plain))
        assert [step.text for step in steps][0] == "Drawing row 1 of 3" and len(steps) == 3
        rows = done.value
        assert [len(row) for row in rows] == [3, 3, 3]
        corner = editor.edit(CHOICE, subject, {"age": 0.8, "pose": 1.0, "smile": 0.0})[plain].picture
        difference = max(abs(a - b) for a, b in zip(pixels(rows[2][0]), pixels(corner), strict=True))
        assert difference <= 1
    with pytest.raises(BadValue, match="different"):
        next(editor.grid(CHOICE, subject, "pose", "pose", 3, {}))
    with pytest.raises(BadValue, match=f"from {GRID_SIDES[0]} to {GRID_SIDES[-1]}"):
        next(editor.grid(CHOICE, subject, "pose", "age", 50, {}))


@pytest.mark.parametrize("value", [-0.01, 1.01, float("nan"), float("inf"), None, "old", [1]])
def test_wrong_values_are_refused(value) -> None:
    with pytest.raises(BadValue, match="The value of age must be a number from 0 to 1"):
        checked_values(CHOICE, {"age": value})


def test_wrong_names_seeds_and_models(editor, session) -> None:
    with pytest.raises(UnknownName, match="Choose one of: age, pose, smile"):
        checked_values(CHOICE, {"beard": 0.5})
    with pytest.raises(UnknownName, match="portraits"):
        editor.model("faces")
    with pytest.raises(WeightsMissing, match="not on this machine"):
        Editor({}).model("portraits")
    Editor({}).warm_up()
    for origin in (Origin(-1), Origin(1.5), Origin(2**31), Origin(None), Origin(1, psi=1.5)):
        with pytest.raises(BadValue):
            editor.subject(session, CHOICE, origin)


def test_hostile_pictures(editor, session, tmp_path) -> None:
    text = tmp_path / "text.png"
    text.write_text("no picture")
    nobody = fakes.save(fakes.draw_photo(faces=()), tmp_path / "nobody.png")
    for path, error in ((str(text), BadImage), (nobody, NoFaceFound), (str(tmp_path / "gone.png"), BadImage)):
        with pytest.raises(error):
            editor.subject(session, CHOICE, Origin(path=path))


def test_closing_in_the_middle_frees_the_model(editor, session, photo, registry) -> None:
    steps = editor.find(session, CHOICE, Origin(path=photo))
    for step in steps:
        if isinstance(step, InversionPreview):
            break
    steps.close()
    assert not any(info.busy for info in registry.models())
    assert editor.subject(session, CHOICE, Origin(path=photo)), "and it works again"


def test_results_say_how_they_were_made(editor, session) -> None:
    subject = editor.subject(session, CHOICE, Origin(3))
    own, _ = editor.edit(CHOICE, subject, {"age": 1.0})
    now = subject.face.values["age"]
    path = editor.save(session, own.picture, CHOICE, subject, {**subject.face.values, "age": 1.0})
    with Image.open(path) as saved:
        note = saved.text["Description"]
    assert f"seed 3, truncation 0.7, self-conditioned, age {now:.2f} to 1.00" in note and "smile" not in note


def test_sliders_left_alone_mean_the_exact_value(editor, session) -> None:
    present = {"age": 0.1234, "pose": 0.5, "smile": 0.9}
    bank = ValueBank(self_conditioned_fakes.MODELS.values())
    with gr.Blocks():
        bank.build(CHOICE)
    updates = bank.starts(CHOICE, present)
    data = {slider: updates[slider] for slider in bank.sliders}
    assert list(data.values()) == [0.12, 0.5, 0.9] and bank.read(CHOICE, data, present) == present
    data[bank.sliders[2]] = 0.0
    assert bank.read(CHOICE, data, present) == {**present, "smile": 0.0}
    assert "young" in updates[bank.ends[0]] and "--at:0.123" in updates[bank.ends[0]]
    assert bank.moves(CHOICE, {"smile": 1.0}) == {bank.sliders[2]: 1.0}


def test_readout(editor, session) -> None:
    subject = editor.subject(session, CHOICE, Origin(3))
    own, plain = editor.edit(CHOICE, subject, {"age": 1.0})
    table = readout(CHOICE, subject, {**subject.face.values, "age": 1.0}, own, plain)
    assert "<b>1.00</b>" in table and f"{own.similarity:.2f}" in table and f"{subject.face.values['pose']:.2f}" in table


def test_sheets() -> None:
    colours = [["red", "green", "blue"], ["black", "white", "grey"]]
    rows = [[Image.new("RGB", (8, 8), colour) for colour in row] for row in colours]
    whole = image_grid(rows, 16)
    assert whole.size == (3 * 16 + 4, 2 * 16 + 2)
    for row, line in enumerate(rows):
        for column, picture in enumerate(line):
            point = (column * 18 + 9, row * 18 + 9)
            assert cell_at(point, 16) == (row, column) and whole.getpixel(point) == picture.getpixel((0, 0))
    assert captioned([("one", whole), ("two", whole)]).size == (whole.width, 2 * (whole.height + 30))
