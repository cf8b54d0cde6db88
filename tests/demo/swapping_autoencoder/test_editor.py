"""The steps behind the tab as plain functions, over the fake swapper."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from demo.gpu import Done, Step
from demo.parts.painting import painted
from demo.session import Session, Sessions
from demo.swapping_autoencoder.editor import LONGEST, Editor, fitted
from demo.swapping_autoencoder.request import MixtureRequest
from gan_core.errors import BadImage, BadValue, UnknownName, WeightsMissing
from gan_core.registry import ModelRegistry
from tests.demo import fakes
from tests.demo.swapping_autoencoder import fakes as swapping_autoencoder_fakes

FACES, SCENES = swapping_autoencoder_fakes.MODELS["portraits"], swapping_autoencoder_fakes.MODELS["scenes"]


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> ModelRegistry:
    monkeypatch.setattr("gan_core.faces.find_faces", fakes.find_faces)
    registry = swapping_autoencoder_fakes.make_registry()
    fakes.run_here(monkeypatch, registry)
    return registry


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Sessions(tmp_path / "root").get("visitor")


@pytest.fixture
def editor(registry: ModelRegistry) -> Editor:
    return Editor(swapping_autoencoder_fakes.MODELS)


@pytest.fixture
def red(tmp_path: Path) -> str:
    return swapping_autoencoder_fakes.plain("#a02020", tmp_path / "red.png")


@pytest.fixture
def blue(tmp_path: Path) -> str:
    return swapping_autoencoder_fakes.plain("#2020a0", tmp_path / "blue.png")


def mean(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture, float).mean((0, 1))


def counts(registry: ModelRegistry) -> tuple[int, int]:
    with registry.use(swapping_autoencoder_fakes.MODEL) as model:
        return model.encoded, model.drawn


def test_moving_a_slider_only_draws(editor, session, registry, red, blue) -> None:
    for amount in (0.0, 0.5, 1.0):
        first, other = (editor.open(session, path, SCENES) for path in (red, blue))
        editor.draw(session, first, [other], SCENES, MixtureRequest(amount=amount))
    assert counts(registry) == (2, 3)
    session._store._results.clear()  # what had to go is made again
    editor.draw(session, editor.open(session, red, SCENES), [], SCENES, MixtureRequest())
    assert counts(registry) == (3, 4)


def test_amount_weights_and_several_textures(editor, session, red, blue, tmp_path) -> None:
    green = swapping_autoencoder_fakes.plain("#20a020", tmp_path / "green.png")
    first, *textures = (editor.open(session, path, SCENES) for path in (red, blue, green))
    none = editor.draw(session, first, textures, SCENES, MixtureRequest(amount=0))
    assert np.abs(mean(none) - mean(first.picture)).max() < 1
    whole = editor.draw(session, first, textures, SCENES, MixtureRequest(weights=(1.0, 0.0)))
    assert np.abs(mean(whole) - mean(textures[0].picture)).max() < 2
    both = editor.draw(session, first, textures, SCENES, MixtureRequest())  # weights left out are 1
    assert np.abs(mean(both) - (mean(textures[0].picture) + mean(textures[1].picture)) / 2).max() < 2
    with pytest.raises(BadValue, match="weight 0"):
        editor.draw(session, first, textures, SCENES, MixtureRequest(weights=(0.0, 0.0)))
    with pytest.raises(BadValue, match="At most 4"):
        editor.draw(session, first, [textures[0]] * 5, SCENES, MixtureRequest())


def test_directions_and_a_vector_of_ones_own(editor, session, red, blue) -> None:
    first = editor.open(session, red, SCENES)
    lighter = editor.draw(session, first, [], FACES, MixtureRequest(strengths={"bright": 2.0}))
    assert (mean(lighter) - mean(first.picture)).min() > 15
    vector = editor.vector(session, [blue], [red], SCENES)
    moved = editor.draw(session, first, [], SCENES, MixtureRequest(vector=vector, vector_strength=1.0))
    assert np.abs(mean(moved) - mean(editor.open(session, blue, SCENES).picture)).max() < 2
    unmoved = editor.draw(session, first, [], SCENES, MixtureRequest(vector=vector))
    assert np.abs(mean(unmoved) - mean(first.picture)).max() < 1
    for having, lacking in (([], [red]), ([red], []), ([red] * 13, [blue])):
        with pytest.raises(BadValue, match="from 1 to 12"):
            editor.vector(session, having, lacking, SCENES)
    with pytest.raises(UnknownName):
        editor.draw(session, first, [], SCENES, MixtureRequest(strengths={"smile": 1.0}))


def test_a_painted_region(editor, session, red, blue) -> None:
    first, other = (editor.open(session, path, SCENES) for path in (red, blue))
    mask = np.zeros((256, 256), bool)
    mask[:, :64] = True
    drawn = np.asarray(editor.draw(session, first, [other], SCENES, MixtureRequest(mask=mask)), float)
    change = np.abs(drawn - np.asarray(first.picture, float)).mean(-1)
    assert change[:, :64].min() > 20 and change[:, 64:].max() < 2
    with pytest.raises(BadValue, match="paint it again"):
        editor.draw(session, first, [other], SCENES, MixtureRequest(mask=mask[:100]))


def test_what_was_painted(tmp_path) -> None:
    layer = np.zeros((50, 100, 4), np.uint8)
    Image.fromarray(layer).save(tmp_path / "nothing.png")
    layer[:25, :, 3] = 150
    Image.fromarray(layer).save(tmp_path / "upper.png")
    nothing, upper = str(tmp_path / "nothing.png"), str(tmp_path / "upper.png")
    assert painted((), (100, 50)) is None and painted((nothing,), (100, 50)) is None
    mask = painted((nothing, upper), (200, 100))
    assert mask.shape == (100, 200) and mask[:50].all() and not mask[50:].any()
    (tmp_path / "bad.png").write_text("no picture")
    Image.new("L", (6000, 6000)).save(tmp_path / "large.png")
    for name, words in (("bad.png", "paint it again"), ("large.png", "too large"), ("gone.png", "paint it again")):
        with pytest.raises(BadImage, match=words):
            painted((str(tmp_path / name),), (100, 50))


def test_the_face_is_cut_out_or_the_whole_picture_taken(editor, session, red, tmp_path) -> None:
    photo = fakes.save(fakes.draw_photo((640, 480), ((200, 240, 60), (450, 240, 90))), tmp_path / "two.png")
    cut = editor.open(session, photo, FACES, cut_face=True)
    assert cut.picture.size == (256, 256) and "largest of 2 faces" in cut.note
    whole = editor.open(session, photo, FACES)
    assert whole.picture.size == (341, 256) and not whole.note
    none = editor.open(session, red, FACES, cut_face=True)
    assert none.picture.size == (256, 256) and "No face was found" in none.note


def test_the_picture_chooses_among_the_embedded_weights(editor, session, red, tmp_path) -> None:
    photo = fakes.save(fakes.draw_photo((640, 480), ((200, 240, 60),)), tmp_path / "one.png")
    assert [editor.suitable(session, photo, name) for name in ("portraits", "scenes")] == ["portraits", "scenes"]
    both = Editor({**editor.models, "places": replace(SCENES, name="places")})
    for now in ("portraits", "places"):
        assert both.suitable(session, photo, now) == "portraits"
        assert both.suitable(session, red, now) == "places"
    assert both.suitable(session, red, "scenes") == "scenes"  # published weights were chosen on purpose
    with pytest.raises(BadImage):
        both.suitable(session, str(tmp_path / "none.png"), "places")


@pytest.mark.parametrize(
    ("size", "side", "expected"),
    [((640, 480), 256, (341, 256)), ((100, 50), 256, (512, 256)), ((256, 256), 256, (256, 256))]
    + [((300, 9000), 256, (256, LONGEST)), ((3000, 400), 1024, (LONGEST, 1024)), ((700, 1000), 512, (512, 731))],
)
def test_fitted_keeps_the_aspect(size, side, expected) -> None:
    assert fitted(Image.new("RGB", size), side).size == expected


def test_pictures_of_different_sizes_and_aspects(editor, session, tmp_path) -> None:
    tall = swapping_autoencoder_fakes.plain("teal", tmp_path / "tall.png", (200, 700))
    wide = swapping_autoencoder_fakes.plain("pink", tmp_path / "wide.jpg", (1500, 400))
    first, other = (editor.open(session, path, SCENES) for path in (tall, wide))
    drawn = editor.draw(session, first, [other], SCENES, MixtureRequest())
    assert drawn.size == first.picture.size == (256, 896)
    larger = editor.open(session, tall, SCENES, side=384)
    assert larger.picture.size == (384, 1344)
    with pytest.raises(BadValue, match="size"):
        editor.open(session, tall, SCENES, side=5000)


def test_frames_of_strip_and_video(editor, session, registry, red, blue) -> None:
    first, other = (editor.open(session, path, SCENES) for path in (red, blue))
    reports = list(editor.steps(session, first, [other], SCENES, MixtureRequest(), 5))
    assert isinstance(reports[-1], Done) and all(isinstance(step, Step) for step in reports[:-1])
    reds = [mean(frame)[0] for frame in reports[-1].value]
    assert len(reds) == 5 and all(a > b for a, b in zip(reds, reds[1:], strict=False))
    drawn = counts(registry)[1]
    stopped = editor.steps(session, first, [other], SCENES, MixtureRequest(), 5)
    next(stopped)
    stopped.close()
    assert counts(registry)[1] == drawn  # nothing went on after the stop
    with pytest.raises(BadImage, match="texture picture"):
        next(editor.steps(session, first, [], SCENES, MixtureRequest()))


def test_api_call(editor, session, red, blue) -> None:
    swapped = editor.swap_once(session, red, blue, 1, "portraits")
    assert swapped.size == (256, 256) and mean(swapped)[2] > mean(swapped)[0] + 50
    same = editor.swap_once(session, red, blue, 0, "portraits")
    assert np.abs(np.asarray(same, float) - np.asarray(Image.open(red), float)).max() <= 1
    for amount in (1.01, -0.5, float("nan"), None, "all"):
        with pytest.raises(BadValue, match="amount"):
            editor.swap_once(session, red, blue, amount, "portraits")
    with pytest.raises(UnknownName, match="portraits, scenes"):
        editor.swap_once(session, red, blue, 1, "faces")
    with pytest.raises(BadImage, match="structure picture"):
        editor.swap_once(session, None, blue, 1, "portraits")
    with pytest.raises(BadImage, match="texture picture"):
        editor.swap_once(session, red, "", 1, "portraits")
    with pytest.raises(BadImage, match="not there"):
        editor.swap_once(session, red, "/nowhere.png", 1, "portraits")


def test_without_weights(registry, session, red) -> None:
    empty = Editor({})
    empty.warm_up()
    with pytest.raises(WeightsMissing, match="not on this machine"):
        empty.swap_once(session, red, red, 1, "portraits")


def test_saved_and_marked(editor, session, red) -> None:
    wanted = MixtureRequest(amount=0.5, strengths={"warm": 1.0, "bright": 0.0}, mask=np.ones((2, 2), bool))
    wanted = replace(wanted, vector=torch.zeros(3), vector_strength=-1.0)
    path = editor.save(session, Image.open(red), FACES, wanted)
    with Image.open(path) as saved:
        note = saved.text["Description"]
    for words in (
        "edited with GAN Studio",
        "Swapping Autoencoder",
        "texture 0.5",
        "warm +1",
        "own vector -1",
        "region",
    ):
        assert words in note
    assert "bright" not in note


def test_warm_up_loads_the_model(editor, registry) -> None:
    editor.warm_up()
    assert counts(registry) == (1, 1)
