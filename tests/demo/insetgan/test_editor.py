"""The steps behind "Compose a body" over small random networks."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace

import pytest
import torch

from demo.insetgan.composite_panel import with_boxes
from demo.insetgan.curves import curves
from demo.insetgan.editor import Editor, Person, Plan, check, whole_number
from demo.insetgan.tasks import Composed, CompositionPreview
from demo.session import Sessions
from gan_core.checkpoints import store
from gan_core.errors import BadImage, BadValue, NoFaceFound, OutOfMemory, UnknownName, WeightsMissing
from gan_core.insetgan.labels import MODE_LABELS, REGION_LABELS
from gan_core.insetgan.models import CANVASES, insetgan_models
from gan_core.insetgan.pipeline import MODES, InsetGANPipeline
from gan_core.insetgan.regions import REGIONS
from tests.demo import fakes
from tests.demo.insetgan import fakes as insetgan_fakes
from weights.published import published

CHOICE = insetgan_fakes.MODELS["portraits"]
BODIES = insetgan_fakes.MODELS["bodies"]
SHORT = Plan(Person(1), Person(2), steps=20)


@pytest.fixture
def registry(monkeypatch):
    monkeypatch.setattr("gan_core.faces.find_faces", fakes.find_faces)
    registry = insetgan_fakes.make_registry()
    fakes.run_here(monkeypatch, registry)
    return registry


@pytest.fixture
def editor(registry):
    return Editor(insetgan_fakes.MODELS)


@pytest.fixture
def session(tmp_path):
    return Sessions(tmp_path / "visitors").get("visitor")


@pytest.fixture
def photo(tmp_path):
    return fakes.save(fakes.draw_photo(), tmp_path / "photo.png")


@pytest.fixture
def photo_of_knees(tmp_path):
    """A person from head to knees."""
    return fakes.save(fakes.draw_photo((400, 500), ((200, 90, 30),)), tmp_path / "knees.png")


def run(editor, session, plan, choice=CHOICE) -> list:
    return list(editor.compose(session, choice, plan))


def test_the_same_seed_is_the_same_person(editor) -> None:
    first, again = (editor.roll(CHOICE, "body", 3, 0.7, 2) for _ in range(2))
    assert [seed for seed, _ in first] == [3, 4]
    assert first[0][1].tobytes() == again[0][1].tobytes() != first[1][1].tobytes()


def test_previews_then_the_result(editor, session) -> None:
    *steps, done = run(editor, session, SHORT)
    previews = [step.composed for step in steps if isinstance(step, CompositionPreview)]
    assert [composed.step for composed in previews] == [0, 10, 20]
    assert previews[0].image.tobytes() != previews[-1].image.tobytes()
    assert all(composed.pasted.tobytes() == previews[0].pasted.tobytes() for composed in previews)
    result = done.value
    assert isinstance(result, Composed) and result.done and len(result.losses) == 20
    assert set(result.losses[0]) == {"coarse", "border", "perceptual", "body", "face", "latents"}
    assert result.distance and len(result.boxes) == 1 and result.image.size == (64, 64)


def test_a_tall_body_and_a_second_inset(editor, session) -> None:
    plan = Plan(Person(1), Person(2), steps=20, second="mouth", second_seed=4, alternate=5)
    *_, done = run(editor, session, plan, insetgan_fakes.MODELS["human"])
    assert done.value.image.size == (32, 64) and len(done.value.faces) == 2


def test_a_real_face_and_a_real_body(editor, session, photo) -> None:
    plan = Plan(Person(path=photo), Person(path=photo), steps=20)
    *steps, done = run(editor, session, plan)
    texts = [step.text for step in steps]
    assert any("Finding the body" in text for text in texts) and any("Finding the face" in text for text in texts)
    assert done.value.done
    again = run(editor, session, plan)
    assert not any("Finding" in step.text for step in again[:-1]), "found once a session"
    assert "an uploaded body, an uploaded face" in editor.note(CHOICE, plan, done.value)


def test_whole_bodies_have_sliders_a_larger_view_and_feet(editor, session) -> None:
    plan = Plan(Person(1, strengths={"age": 1.5, "turn": 0.0}), Person(2), steps=3, second="feet", second_seed=3)
    *steps, done = run(editor, session, plan, BODIES)
    composed = done.value
    assert composed.image.size == (32, 64) and composed.large.size == (64, 128) and len(composed.faces) == 2
    note = editor.note(BODIES, plan, composed)
    assert "body seed 1, age +1.5, face" in note and f"moved by {composed.tone:.0f} of 255 levels" in note
    plain = run(editor, session, replace(plan, body=Person(1)), BODIES)[0:]
    assert plain[-1].value.pasted.tobytes() != composed.pasted.tobytes()
    rolled = [editor.roll(BODIES, "body", 0, 0.7, 2, strengths=s)[1][1].tobytes() for s in ({}, {"age": 2.0})]
    assert rolled[0] != rolled[1]


def test_photos_with_several_people_or_without_feet(editor, session, photo_of_knees, tmp_path) -> None:
    several = fakes.save(fakes.draw_photo((640, 480), ((150, 200, 90), (450, 200, 60))), tmp_path / "several.png")
    *steps, done = run(editor, session, Plan(Person(path=photo_of_knees), Person(path=several), steps=2), BODIES)
    assert done.value.remarks == (
        "The photo ends above the feet; what it does not show is made up.",
        "The largest of 2 faces is taken.",
    )
    previews = [step.composed.remarks for step in steps if isinstance(step, CompositionPreview)]
    assert previews and set(previews) == {done.value.remarks}
    again = run(editor, session, Plan(Person(1), Person(path=several), steps=2), BODIES)
    assert again[-1].value.remarks == ("The largest of 2 faces is taken.",), "also when it was found before"
    head = fakes.save(fakes.draw_photo(), tmp_path / "head.png")
    with pytest.raises(BadValue, match="head to hips"):
        run(editor, session, Plan(Person(path=head), Person(2), steps=2), BODIES)


def test_hostile_pictures(editor, session, tmp_path) -> None:
    text = tmp_path / "text.png"
    text.write_text("no picture")
    nobody = fakes.save(fakes.draw_photo(faces=()), tmp_path / "nobody.png")
    for path, error in ((str(text), BadImage), (nobody, NoFaceFound), (str(tmp_path / "gone.png"), BadImage)):
        with pytest.raises(error):
            run(editor, session, Plan(Person(1), Person(path=path), steps=20))


@pytest.mark.parametrize(
    ("plan", "error", "words"),
    [
        (Plan(mode="both"), UnknownName, "no mode"),
        (Plan(region="ears"), UnknownName, "no region"),
        (Plan(second="whole"), UnknownName, "no region"),
        (Plan(steps=0), BadValue, "steps"),
        (Plan(steps=401), BadValue, "steps"),
        (Plan(Person(-1)), BadValue, "seed"),
        (Plan(Person(1, psi=1.2)), BadValue, "Truncation"),
        (Plan(Person(1, psi=float("nan"))), BadValue, "Truncation"),
        (Plan(keep_weight=float("inf")), BadValue, "kept"),
        (Plan(Person(1, strengths={"age": 1.0})), UnknownName, "no slider"),
        (Plan(second="feet"), UnknownName, "no region"),
    ],
)
def test_wrong_plans(plan, error, words) -> None:
    with pytest.raises(error, match=words):
        check(CHOICE, plan)


@pytest.mark.parametrize(
    ("strengths", "error"), [({"age": 2.5}, BadValue), ({"age": float("nan")}, BadValue), ({"hats": 1.0}, UnknownName)]
)
def test_wrong_sliders(strengths, error) -> None:
    with pytest.raises(error, match="slider"):
        check(BODIES, Plan(Person(1, strengths=strengths)))


def test_whole_numbers() -> None:
    assert whole_number(3.0, "It", 0, 5) == 3
    for value in (None, "x", 2.5, -1, 6, float("nan"), float("inf")):
        with pytest.raises(BadValue, match="It must be a whole number from 0 to 5"):
            whole_number(value, "It", 0, 5)


def test_unknown_and_missing_models(editor) -> None:
    with pytest.raises(UnknownName, match="portraits, human, bodies"):
        editor.model("faces")
    with pytest.raises(WeightsMissing):
        Editor({}).model("portraits")


def test_closing_in_the_middle_frees_model_and_memory(editor, session, registry) -> None:
    steps = editor.compose(session, CHOICE, SHORT)
    for step in steps:
        if isinstance(step, CompositionPreview) and step.composed.step == 10:
            break
    model = next(info for info in registry.models() if info.name == CHOICE.model)
    assert not model.busy, "others may use it between two steps"
    registry.evict_idle()
    assert next(info for info in registry.models() if info.name == CHOICE.model).loaded, "but it stays"
    frames = weakref.ref(steps)
    steps.close()
    del steps
    gc.collect()
    assert frames() is None
    registry.evict_idle()
    assert not next(info for info in registry.models() if info.name == CHOICE.model).loaded
    assert run(editor, session, SHORT)[-1].value.done, "and it works again"


@pytest.mark.parametrize("after", ["Looking for the face", "Finding the body: step 4", "Pasting", "Step 1 of"])
def test_whole_bodies_stop_anywhere_and_leave_nothing(editor, session, registry, photo_of_knees, after) -> None:
    steps = editor.compose(session, BODIES, Plan(Person(path=photo_of_knees), Person(2), steps=5))
    seen = []
    for step in steps:
        seen.append(step.text)
        if step.text.startswith(after):
            break
    assert seen[-1].startswith(after), seen
    steps.close()
    registry.evict_idle()
    assert not next(info for info in registry.models() if info.name == BODIES.model).loaded


def test_out_of_memory_while_a_body_is_found_is_said(editor, session, registry, photo_of_knees, monkeypatch) -> None:
    def project(self, picture, **options):
        raise torch.OutOfMemoryError("CUDA out of memory")
        yield

    monkeypatch.setattr(InsetGANPipeline, "project_body", project)
    with pytest.raises(OutOfMemory):
        run(editor, session, Plan(Person(path=photo_of_knees), Person(2), steps=2), BODIES)
    assert not any(info.busy for info in registry.models())
    assert run(editor, session, Plan(steps=2), BODIES)[-1].value.done, "and it works again"


def test_a_face_larger_than_its_photo_is_taken(editor, session, tmp_path) -> None:
    close = fakes.save(fakes.draw_photo((220, 240), ((110, 120, 92),)), tmp_path / "close.png")
    composed = run(editor, session, Plan(Person(1), Person(path=close), mode="body", steps=2), BODIES)[-1].value
    assert composed.done and composed.boxes == run(editor, session, Plan(Person(1), steps=2), BODIES)[-1].value.boxes


def test_out_of_memory_begins_again_once(editor, session, registry, monkeypatch) -> None:
    original, failures = InsetGANPipeline.compose, [1]

    def compose(self, request):
        for report in original(self, request):
            yield report
            if failures and report.step:
                failures.pop()
                raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(InsetGANPipeline, "compose", compose)
    *steps, done = run(editor, session, SHORT)
    assert any("Memory ran out" in step.text for step in steps) and done.value.done
    failures += [1, 1]
    with pytest.raises(OutOfMemory):
        run(editor, session, SHORT)
    assert not any(info.busy for info in registry.models())


def test_warm_up(editor, registry) -> None:
    editor.warm_up()
    assert next(info for info in registry.models() if info.name == CHOICE.model).loaded


def test_labels_are_those_of_the_method() -> None:
    assert MODE_LABELS.keys() == MODES.keys() and REGION_LABELS.keys() == REGIONS.keys()


def test_whole_bodies_come_first_where_their_weights_are(tmp_path) -> None:
    def put(*files):
        for file in files:
            (tmp_path / file).parent.mkdir(exist_ok=True)
            (tmp_path / f"{file}.safetensors").touch()

    nowhere = tmp_path / "published"
    put("portraits_face/discriminator", "portraits_face/generator", "bodies/generator")
    assert insetgan_models(nowhere, tmp_path) == {}  # the portraits' faces are those of the bodies
    put("people_face/generator")
    models = insetgan_models(nowhere, tmp_path)
    assert list(models) == ["portraits"] and models["portraits"].label == "portraits (embedded)"
    assert models["portraits"].body == "portrait" and models["portraits"].encoder is None
    put("people_bust/generator", "people_hfgi/encoder")
    found = insetgan_models(nowhere, tmp_path)["portraits"]
    assert found.body == "bust" and found.encoder == "people/hfgi" and found.licence.endswith("with attribution")
    assert found.region == "oval" and "hair" not in found.regions  # without a head finder
    put("portraits_hfgi/head")
    assert insetgan_models(nowhere, tmp_path)["portraits"].regions[:2] == ("oval", "hair")
    put("bodies/reader")
    models = insetgan_models(nowhere, tmp_path)
    assert {name: model.label for name, model in models.items()} == {
        "bodies": "Whole body (embedded)", "portraits": "Portrait (embedded)",
    }  # fmt: skip
    assert models["bodies"].size == (512, 256) and models["bodies"].seconds == () and models["bodies"].sliders == ()
    config = {"attributes": [{"name": "age", "label": "Age", "low": -2.0, "high": 2.0}]}
    store.save(tmp_path / "bodies" / "directions.safetensors", {"age": torch.zeros(256)}, config=config)
    put("bodies/feet")
    found = insetgan_models(nowhere, tmp_path)["bodies"]
    assert found.seconds == ("feet",) and [slider.label for slider in found.sliders] == ["Age"]


def test_published_choices_need_canvas_and_face(tmp_path) -> None:
    nothing = tmp_path / "weights"
    for canvas in CANVASES:
        file = tmp_path / canvas.entry / published(canvas.entry).files[0].file
        file.parent.mkdir()
        file.touch()
    assert insetgan_models(tmp_path, nothing) == {}
    face = tmp_path / "insetgan_face" / "ffhq.pkl"
    face.parent.mkdir()
    face.touch()
    models = insetgan_models(tmp_path, nothing)
    assert {name: model.size for name, model in models.items()} == {canvas.name: canvas.size for canvas in CANVASES}


def test_curves() -> None:
    svg = curves({"falls": [100.0, 10.0, 1.0], "<never>": [0.0, 0.0, 0.0]}, length=10, what="two & one")
    heights = [float(point.split(",")[1]) for point in svg.split('points="')[1].split('"')[0].split()]
    assert heights == sorted(heights) and len(heights) == 3  # SVG's y grows downwards
    assert "never" not in svg and "two &amp; one" in svg
    assert curves({"none": []}, length=5, what="") == ""


def test_boxes_are_drawn_on_a_copy() -> None:
    picture = fakes.draw_photo()
    drawn = with_boxes(picture, [[(10, 10), (60, 10), (60, 60), (10, 60)]])
    assert drawn.getpixel((30, 10)) == (79, 70, 229) and picture.getpixel((30, 10)) != (79, 70, 229)
