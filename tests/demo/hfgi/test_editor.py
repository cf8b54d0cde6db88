"""The steps behind the tab as plain functions, over the fake editor."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from demo.hfgi.editor import PREVIEW_SIDE, Editor
from demo.hfgi.tasks import RefinementPreview
from demo.session import Sessions
from gan_core.errors import BadImage, BadValue, NoFaceFound, UnknownName
from tests.demo import fakes


@pytest.fixture
def registry(monkeypatch):
    monkeypatch.setattr(fakes.FakePipeline, "seconds", 0.0)
    monkeypatch.setattr("gan_core.faces.find_faces", fakes.find_faces)
    registry = fakes.make_registry()
    fakes.run_here(monkeypatch, registry)
    return registry


@pytest.fixture
def session(tmp_path):
    return Sessions(tmp_path / "root").get("visitor")


@pytest.fixture
def editor(registry):
    return Editor(fakes.EDITORS)


def pipeline(registry):
    with registry.use(fakes.MODEL) as model:
        return model


def difference(a, b):
    return np.abs(np.asarray(a, float) - np.asarray(b, float))


def test_moving_a_slider_only_draws(editor, session, registry, tmp_path):
    path = fakes.save(fakes.draw_photo(), tmp_path / "photo.png")
    for strength in (0.0, 1.0, -2.0):
        work = editor.open(session, path)
        editor.edit(session, work, "portraits", {"smile": strength})
    model = pipeline(registry)
    assert model.inversions == 1
    assert model.edits == 3, "one reconstruction, and one edit for each strength that is not 0"


def test_nothing_changes_at_zero_and_only_the_face_otherwise(editor, session, tmp_path):
    photo = fakes.draw_photo((640, 480), ((200, 240, 60),))
    work = editor.open(session, fakes.save(photo, tmp_path / "photo.png"))
    at_zero = editor.edit(session, work, "portraits", {"smile": 0, "age": 0}, full_size=True)
    assert difference(at_zero.after, photo).max() == 0
    edited = editor.edit(session, work, "portraits", {"smile": 2}, full_size=True)
    change = difference(edited.after, photo).mean(-1)
    assert change[240, 200] > 15 and change[:, 500:].max() == 0
    assert edited.after.size == photo.size and edited.crop_edit.size == (256, 256)


def test_progress_is_told(editor, session, tmp_path):
    seen = []
    work = editor.open(session, fakes.save(fakes.draw_photo(), tmp_path / "a.png"), lambda *s: seen.append(s))
    editor.edit(session, work, "portraits", {"age": 1}, progress=lambda *s: seen.append(s))
    assert [text for _, text in seen if "Looking" in text or "Putting" in text] == [
        "Looking for faces",
        "Putting the face back",
    ]
    assert all(0 <= fraction <= 1 for fraction, _ in seen)


def test_large_photo_is_shown_smaller_and_saved_whole(editor, session, tmp_path):
    photo = fakes.draw_photo((3000, 2000), ((1500, 1000, 400),))
    work = editor.open(session, fakes.save(photo, tmp_path / "photo.jpg", quality=95))
    preview = editor.edit(session, work, "portraits", {"smile": 3})
    assert max(preview.after.size) == PREVIEW_SIDE
    whole = editor.edit(session, work, "portraits", {"smile": 3}, full_size=True)
    assert whole.after.size == (3000, 2000)
    reduced = whole.after.resize(preview.after.size, Image.Resampling.LANCZOS)
    assert difference(reduced, preview.after).mean() < 1.0, "both show the same edit in the same place"


def test_several_faces_and_choosing(editor, session, tmp_path):
    photo = fakes.draw_photo((900, 600), ((250, 300, 120), (650, 280, 80)))
    work = editor.open(session, fakes.save(photo, tmp_path / "photo.png"))
    assert work.found == 2
    first = editor.edit(session, work, "portraits", {"smile": 3}).after
    editor.choose(work, 1)
    second = editor.edit(session, work, "portraits", {"smile": 3}).after
    assert difference(first, photo)[300, 250].mean() > 15 > difference(first, photo)[280, 650].mean()
    assert difference(second, photo)[280, 650].mean() > 15 > difference(second, photo)[300, 250].mean()
    with pytest.raises(BadValue):
        editor.choose(work, 2)


def test_no_face_then_marked_by_hand(editor, session, tmp_path):
    photo = Image.new("RGB", (2560, 1600), (90, 90, 90))
    work = editor.open(session, fakes.save(photo, tmp_path / "photo.png"))
    assert work.face is None and "No face" in work.trouble
    with pytest.raises(NoFaceFound):
        editor.edit(session, work, "portraits", {"smile": 1})
    with pytest.raises(BadValue):
        editor.mark(work, [(1, 1), (2, 2)])
    scale = work.preview.width / photo.width
    marks = [(900, 600), (1100, 600), (1000, 750)]
    editor.mark(work, [(x * scale, y * scale) for x, y in marks])
    change = difference(editor.edit(session, work, "portraits", {"smile": 3}, full_size=True).after, photo)
    assert change[660, 1000].mean() > 15 and change[:, :300].max() == 0


def test_plain_edit_only_when_asked(editor, session, tmp_path):
    work = editor.open(session, fakes.save(fakes.draw_photo(), tmp_path / "photo.png"))
    assert editor.edit(session, work, "portraits", {"smile": 1}).plain_edit is None
    both = editor.edit(session, work, "portraits", {"smile": 1}, with_plain=True)
    assert difference(both.plain_edit, both.crop_edit).mean() > 1
    at_zero = editor.edit(session, work, "portraits", {}, with_plain=True)
    assert at_zero.plain_edit is not None


def test_results_that_had_to_go_are_made_again(editor, session, registry, tmp_path):
    path = fakes.save(fakes.draw_photo(), tmp_path / "photo.png")
    editor.edit(session, editor.open(session, path), "portraits", {"smile": 1})
    session._store._results.clear()
    editor.edit(session, editor.open(session, path), "portraits", {"smile": 1})
    assert pipeline(registry).inversions == 2


def test_api_with_and_without_alignment(editor, session, tmp_path):
    photo = fakes.draw_photo()
    path = fakes.save(photo, tmp_path / "photo.png")
    edited, plain, refined = editor.edit_once(session, path, "smile", 2)
    assert refined == 0
    assert edited.size == plain.size == photo.size
    assert difference(edited, photo)[240, 320].mean() > 15
    assert difference(plain, photo).mean() > 0.1
    same, _, _ = editor.edit_once(session, path, "smile", 0)
    assert difference(same, photo).max() == 0
    crop = fakes.save(fakes.draw_photo((300, 300), ((150, 150, 90),)), tmp_path / "crop.png")
    edited, plain, _ = editor.edit_once(session, crop, "smile", 1, align=False)
    assert edited.size == plain.size == (256, 256)
    with pytest.raises(BadImage, match="square"):
        editor.edit_once(session, path, "smile", 1, align=False)


@pytest.mark.parametrize("strength", [3.01, -4, float("nan"), float("inf"), None, "much", [1]])
def test_bad_strengths(editor, session, tmp_path, strength):
    path = fakes.save(fakes.draw_photo(), tmp_path / "photo.png")
    with pytest.raises(BadValue, match="strength of smile"):
        editor.edit_once(session, path, "smile", strength)


def test_unknown_names(editor, session, tmp_path):
    path = fakes.save(fakes.draw_photo(), tmp_path / "photo.png")
    with pytest.raises(UnknownName, match="Choose one of: smile, age, pose, light"):
        editor.edit_once(session, path, "smiel", 1)
    with pytest.raises(UnknownName, match="Choose one of: portraits"):
        editor.edit_once(session, path, "smile", 1, model="ffhq")


def test_bad_pictures(editor, session, tmp_path):
    for path in (None, "", str(tmp_path / "gone.png")):
        with pytest.raises(BadImage):
            editor.open(session, path)
    text = tmp_path / "text.png"
    text.write_text("no picture")
    with pytest.raises(BadImage):
        editor.open(session, str(text))
    with pytest.raises(BadImage, match="64"):
        editor.open(session, fakes.save(Image.new("RGB", (63, 500)), tmp_path / "small.png"))


def test_saved_result_says_what_was_done(editor, session):
    path = editor.save(session, Image.new("RGB", (64, 64)), "portraits", {"smile": 2.0, "age": 0.0})
    with Image.open(path) as saved:
        assert saved.text["Description"].endswith("HFGI (portraits (embedded)): smile +2")
    assert path.parent == session.folder


def test_a_refined_face_is_edited_and_the_other_one_stays(editor, session, registry, tmp_path):
    work = editor.open(session, fakes.save(fakes.draw_photo(), tmp_path / "photo.png"))
    plain = editor.edit(session, work, "portraits", {"smile": 1})
    before = session._store.kept_bytes()
    steps = list(editor.refine(session, work, "portraits"))
    previews = [step.face.refined for step in steps if isinstance(step, RefinementPreview)]
    assert previews == [4, 8, 12] and steps[-1].value.refined == 12
    assert session._store.kept_bytes() > before and session._store.kept_bytes() == work.size
    refined = editor.edit(session, work, "portraits", {"smile": 1}, refined=True)
    assert (refined.refined, plain.refined) == (12, 0)
    assert difference(refined.after, plain.before).mean() > 1.5 * difference(plain.after, plain.before).mean()
    again = editor.edit(session, work, "portraits", {"smile": 1}, refined=False)
    assert difference(again.after, plain.after).max() == 0
    assert list(editor.refine(session, work, "portraits"))[-1].value.refined == 12
    assert pipeline(registry).refinements == 1, "a face that was refined to the end is not refined again"


def test_a_stopped_refinement_keeps_what_it_had(editor, session, tmp_path):
    work = editor.open(session, fakes.save(fakes.draw_photo(), tmp_path / "photo.png"))
    steps = editor.refine(session, work, "portraits")
    for step in steps:
        if isinstance(step, RefinementPreview) and step.face.refined == 8:
            break
    steps.close()
    assert editor.edit(session, work, "portraits", {"smile": 1}, refined=True).refined == 8
    assert list(editor.refine(session, work, "portraits"))[-1].value.refined == 12, "it can be taken to its end"


def test_another_face_is_not_given_the_first_ones_refinement(editor, session, tmp_path):
    photo = fakes.draw_photo((900, 600), ((250, 300, 120), (650, 280, 80)))
    work = editor.open(session, fakes.save(photo, tmp_path / "photo.png"))
    steps = editor.refine(session, work, "portraits")
    next(step for step in steps if isinstance(step, RefinementPreview))
    assert work.refined
    editor.choose(work, 1)
    assert not work.refined
    list(steps)
    assert not work.refined and editor.edit(session, work, "portraits", {"smile": 1}, refined=True).refined == 0


def test_two_visitors_refine_the_same_photo_apart(editor, session, registry, tmp_path):
    path = fakes.save(fakes.draw_photo(), tmp_path / "photo.png")
    other = session._store.get("another visitor")
    works = [editor.open(visitor, path) for visitor in (session, other)]
    list(editor.refine(session, works[0], "portraits"))
    got = [
        editor.edit(v, w, "portraits", {}, refined=True).refined for v, w in zip((session, other), works, strict=True)
    ]
    assert got == [12, 0]
    session._store.delete(session.name)
    assert session._store.kept_bytes() == works[1].size, "what was tuned for a visitor goes with them"


def test_nothing_to_refine(editor, session, tmp_path):
    work = editor.open(session, fakes.save(Image.new("RGB", (500, 400), "teal"), tmp_path / "nobody.png"))
    with pytest.raises(NoFaceFound):
        list(editor.refine(session, work, "portraits"))
    with pytest.raises(UnknownName):
        list(editor.refine(session, work, "ffhq"))


def test_the_api_refines_where_it_is_asked(editor, session, tmp_path):
    path = fakes.save(fakes.draw_photo(), tmp_path / "photo.png")
    edited, plain, steps = editor.edit_once(session, path, "smile", 1, refine=True)
    other, before, none = editor.edit_once(session, path, "smile", 1)
    assert (steps, none) == (12, 0), "refined for one call only"
    photo = fakes.draw_photo()
    assert difference(edited, photo).mean() > 1.5 * difference(other, photo).mean()
    assert difference(plain, photo).mean() < difference(before, photo).mean()
    crop = fakes.save(fakes.draw_photo((300, 300), ((150, 150, 90),)), tmp_path / "crop.png")
    assert editor.edit_once(session, crop, "smile", 1, align=False, refine=True)[2] == 12


def test_a_refined_result_says_so(editor, session):
    path = editor.save(session, Image.new("RGB", (64, 64)), "portraits", {"smile": 2.0}, 12)
    with Image.open(path) as saved:
        assert saved.text["Description"].endswith("smile +2; the inversion was refined on the photo in 12 steps")


def test_a_model_of_objects_needs_no_face(registry, session, tmp_path):
    things = replace(fakes.EDITORS["portraits"], name="things", alignment="object")
    editor = Editor({**fakes.EDITORS, "things": things})
    path = fakes.save(fakes.draw_photo((640, 480), ()), tmp_path / "photo.png")
    work = editor.open(session, path)
    assert editor.has_subject(work, "things") and not editor.has_subject(work, "portraits")
    with pytest.raises(NoFaceFound):
        editor.edit(session, work, "portraits", {"smile": 2})
    change = difference(editor.edit(session, work, "things", {"smile": 2}).after, work.photo).mean(-1)
    assert change[240, 320] > 15 and change[:, :80].max() == 0 and change[:, 560:].max() == 0
    edited, _, _ = editor.edit_once(session, path, "smile", 2, model="things")
    assert edited.size == (640, 480)
