"""The steps behind "Fill a hole" as plain functions, over small random networks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from demo import gpu
from demo.comodgan import tasks
from demo.comodgan.drawing import CANVAS, is_drawing, lines_of, painted_lines
from demo.comodgan.editor import DRAWING, HOLE, Editor, Photo, Result, seeds_from
from demo.comodgan.history import MOST_BYTES, MOST_RUNS, History
from demo.comodgan.mask import sent_mask, transparent
from demo.gpu import Step
from demo.parts.painting import PEN, layer_of, painted, painted_strength
from demo.session import Session, Sessions
from gan_core.comodgan.masks import READY_MADE
from gan_core.comodgan.pipeline import CoModGANPipeline
from gan_core.errors import BadImage, BadValue, NoFaceFound, UnknownName, WeightsMissing
from gan_core.registry import ModelRegistry
from tests.demo import fakes
from tests.demo.comodgan import fakes as comodgan_fakes

FACES, PLACES, SCENES, DRAW = (comodgan_fakes.MODELS[name] for name in ("portraits", "places", "scenes", "drawing"))
WITHOUT_PLACES = {name: model for name, model in comodgan_fakes.MODELS.items() if name != "places"}


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> ModelRegistry:
    monkeypatch.setattr("gan_core.faces.find_faces", fakes.find_faces)
    registry = comodgan_fakes.make_registry()
    fakes.run_here(monkeypatch, registry)
    return registry


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Sessions(tmp_path / "root").get("visitor")


@pytest.fixture
def editor(registry: ModelRegistry) -> Editor:
    return Editor(comodgan_fakes.MODELS)


def box_mask(size: tuple[int, int], box: tuple[int, int, int, int]) -> np.ndarray:
    mask = np.zeros(size[::-1], bool)
    mask[box[1] : box[3], box[0] : box[2]] = True
    return mask


def fill(editor, session, photo, mask, choice=SCENES, seeds=(1, 2), **named) -> list[Result]:
    return [step for step in editor.fill(session, photo, mask, choice, seeds, **named) if isinstance(step, Result)]


def pixels(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture, int)


@pytest.mark.parametrize("size", [(256, 256), (40, 33), (1500, 60), (60, 1500), (900, 700)])
@pytest.mark.parametrize("choice", [FACES, SCENES], ids=["faces", "scenes"])
def test_known_pixels_come_back_exactly(editor, session, tmp_path, size, choice) -> None:
    photo = editor.open(session, comodgan_fakes.ramp(tmp_path / "ramp.png", size))
    width, height = size
    mask = box_mask(size, (width // 3, height // 4, width // 2, height // 2))
    first, second = fill(editor, session, photo, mask, choice)
    for result in (first, second):
        assert result.picture.size == size
        assert (pixels(result.picture)[~mask] == pixels(photo.picture)[~mask]).all()
    assert np.abs(pixels(first.picture)[mask] - pixels(photo.picture)[mask]).mean() > 5
    assert np.abs(pixels(first.picture)[mask] - pixels(second.picture)[mask]).mean() > 0.1
    again = fill(editor, session, photo, mask, choice, seeds=[2])[0]
    assert (pixels(again.picture) == pixels(second.picture)).all()


def test_nearly_everything_and_everything(editor, session, tmp_path) -> None:
    photo = editor.open(session, comodgan_fakes.ramp(tmp_path / "ramp.png", (300, 200)))
    one_known = np.ones((200, 300), bool)
    one_known[17, 23] = False
    for mask in (one_known, np.ones_like(one_known)):
        (result,) = fill(editor, session, photo, mask, seeds=[0])
        assert (pixels(result.picture)[~mask] == pixels(photo.picture)[~mask]).all()


def test_another_seed_only_decodes(editor, session, registry, tmp_path) -> None:
    photo = editor.open(session, comodgan_fakes.ramp(tmp_path / "ramp.png"))
    mask = box_mask((256, 256), (50, 50, 100, 100))

    def counts() -> tuple[int, int]:
        with registry.use(comodgan_fakes.SCENES) as pipeline:
            return pipeline.prepared, pipeline.completed

    fill(editor, session, photo, mask, seeds=[0, 1])
    fill(editor, session, photo, mask, seeds=[2])
    assert counts() == (1, 3)
    fill(editor, session, photo, ~mask, seeds=[2])
    assert counts() == (2, 4)
    session._store._results.clear()  # what had to go is made again
    fill(editor, session, photo, mask, seeds=[2])
    assert counts() == (3, 5)
    steps = editor.fill(session, photo, mask, SCENES, [0, 1, 2])
    assert isinstance(next(step for step in steps if isinstance(step, Result)), Result)
    steps.close()
    assert counts() == (3, 6)  # nothing went on after the stop


def test_reports_come_between_the_results(editor, session, tmp_path) -> None:
    photo = editor.open(session, comodgan_fakes.ramp(tmp_path / "ramp.png"))
    steps = list(editor.fill(session, photo, box_mask((256, 256), (0, 0, 9, 9)), SCENES, [5, 6]))
    kinds = ["result" if isinstance(step, Result) else step.text for step in steps]
    assert kinds == ["Reading the picture", "Filling, 1 of 2", "result", "Filling, 2 of 2", "result"]
    assert all(isinstance(step, Step | Result) for step in steps)


def test_a_face_in_a_large_photo_is_framed(editor, session, tmp_path, monkeypatch) -> None:
    path = fakes.save(fakes.draw_photo((1600, 900), ((1200, 400, 90),)), tmp_path / "photo.png")
    photo, regions = editor.open(session, path), []
    real = gpu.run

    def spy(call, progress=None):
        if call.task is tasks.prepare:
            _, picture, _, region = call.args
            regions.append((region, picture.size))
        return real(call, progress)

    monkeypatch.setattr(gpu, "run", spy)
    eyes = box_mask((1600, 900), (1140, 350, 1260, 390))
    (result,) = fill(editor, session, photo, eyes, FACES, seeds=[0])
    assert not result.remark
    region, window = regions.pop()
    assert 250 < region.side < 450 and window[0] <= region.side and window[1] <= region.side
    corner = box_mask((1600, 900), (10, 10, 60, 60))
    (result,) = fill(editor, session, photo, corner, FACES, seeds=[0])
    assert "not on the face" in result.remark
    assert not fill(editor, session, photo, corner, SCENES, seeds=[0])[0].remark
    regions.pop()
    region, _ = regions.pop()  # no face there: as much of the picture as a square holds
    assert region.side == 900
    crop = fakes.save(fakes.draw_photo((300, 300), ((150, 140, 75),)), tmp_path / "crop.png")
    fill(editor, session, editor.open(session, crop), box_mask((300, 300), (100, 100, 200, 140)), FACES, seeds=[0])
    region, _ = regions.pop()  # a face cut out already is taken whole
    assert (region.left, region.top, region.side) == (0, 0, 300)
    nobody = editor.open(session, fakes.save(Image.new("RGB", (300, 200), "teal"), tmp_path / "teal.png"))
    (result,) = fill(editor, session, nobody, box_mask((300, 200), (10, 10, 60, 60)), FACES, seeds=[0])
    assert "No face was found" in result.remark


@pytest.mark.parametrize("name", READY_MADE)
def test_ready_made_masks(editor, session, tmp_path, name) -> None:
    path = fakes.save(fakes.draw_photo((640, 480), ((200, 240, 70),)), tmp_path / "photo.png")
    photo = editor.open(session, path)
    mask, note = editor.ready_made(session, photo, name, seed=3)
    assert mask.shape == (480, 640) and 0 < mask.mean() < 1 and not note
    if name in ("eyes", "all_but_eyes"):
        left, right, corner = mask[219, 172], mask[219, 228], mask[5, 600]
        assert left == right == (name == "eyes") and corner == (name != "eyes")


def test_ready_made_without_a_face_and_unknown_ones(editor, session, tmp_path) -> None:
    photo = editor.open(session, fakes.save(Image.new("RGB", (256, 256), "teal"), tmp_path / "teal.png"))
    mask, note = editor.ready_made(session, photo, "eyes")
    assert "No face was found" in note and mask[300, 240] and not mask[600, 240]
    assert (
        editor.ready_made(session, photo, "random", 1)[0] != editor.ready_made(session, photo, "random", 2)[0]
    ).any()
    with pytest.raises(UnknownName, match="left, right"):
        editor.ready_made(session, photo, "nose")


@pytest.mark.parametrize(
    ("size", "expected"), [((256, 256), (640, 640)), ((2000, 1000), (1024, 512)), ((700, 35), (700, 35))]
)
def test_size_of_what_is_painted_on(size, expected) -> None:
    assert Photo("", Image.new("RGB", size)).painting_size == expected


def test_layers_to_begin_with(tmp_path) -> None:
    mask = box_mask((100, 60), (10, 20, 50, 40))
    layer_of(mask).save(tmp_path / "layer.png")
    assert (painted([str(tmp_path / "layer.png")], (100, 60)) == mask).all()
    lines = np.linspace(0, 1, 60, dtype=np.float32)[:, None].repeat(100, 1)
    layer_of(lines, PEN).save(tmp_path / "lines.png")
    assert np.abs(painted_strength([str(tmp_path / "lines.png")], (100, 60)) - lines).max() < 0.01
    assert painted_strength((), (10, 10)).max() == 0


def test_masks_that_are_sent(tmp_path) -> None:
    def sent(picture: Image.Image, size=(100, 60), suffix="png") -> np.ndarray:
        picture.save(tmp_path / f"mask.{suffix}")
        return sent_mask((tmp_path / f"mask.{suffix}").read_bytes(), size)

    box = box_mask((100, 60), (10, 20, 50, 40))
    white_box = Image.fromarray(box.astype(np.uint8) * 255)
    for mode in ("L", "RGB", "P", "1", "LA"):
        assert (sent(white_box.convert(mode)) == box).all(), mode
    assert (sent(white_box.convert("RGB"), suffix="jpg") == box).mean() > 0.98
    assert (sent(white_box, (300, 180)) == np.kron(box, np.ones((3, 3), bool))).mean() > 0.99
    assert (sent(white_box.resize((1000, 600), Image.Resampling.NEAREST)) == box).all()
    cut_out = Image.new("RGBA", (100, 60), (255, 255, 255, 0))  # white, but transparent
    cut_out.paste((255, 255, 255, 255), (10, 20, 50, 40))
    assert (sent(cut_out) == box).all()
    assert sent(Image.new("L", (100, 60), 255)).all()
    with pytest.raises(BadValue, match="no white"):
        sent(Image.new("L", (100, 60)))
    with pytest.raises(BadValue, match="no white"):
        sent(Image.new("L", (100, 60), 127))
    with pytest.raises(BadValue, match="60 x 100 pixels and the picture 100 x 60"):
        sent(Image.new("L", (60, 100), 255))
    with pytest.raises(BadImage, match="The mask: The file is not a picture"):
        sent_mask(b"no picture", (100, 60))


def test_transparency(tmp_path, editor, session) -> None:
    picture = Image.new("RGBA", (64, 64), (10, 200, 30, 255))
    picture.paste((0, 0, 0, 0), (0, 0, 20, 64))
    picture.save(tmp_path / "clear.png")
    photo = editor.open(session, str(tmp_path / "clear.png"))
    assert (photo.clear == box_mask((64, 64), (0, 0, 20, 64))).all()
    opaque = editor.open(session, comodgan_fakes.ramp(tmp_path / "ramp.png"))
    assert opaque.clear is None
    assert transparent(b"\xff\xd8 a JPEG is not even opened", opaque.picture) is None
    (result,) = editor.fill_once(session, str(tmp_path / "clear.png"), None, 3, 1, "portraits")
    assert (pixels(result.picture)[:, 20:] == (10, 200, 30)).all()


def test_api_call(editor, session, tmp_path) -> None:
    image = comodgan_fakes.ramp(tmp_path / "ramp.png", (200, 120))
    mask = comodgan_fakes.mask(tmp_path / "mask.png", (200, 120), (50, 20, 100, 90))
    results = editor.fill_once(session, image, mask, 7, 3, "portraits")
    assert [result.seed for result in results] == [7, 8, 9]
    saved = editor.save(session, results[1])
    with Image.open(saved) as picture:
        assert "15% filled in" in picture.text["Description"] and "seed 8" in picture.text["Description"]
    with pytest.raises(BadValue, match="send a mask"):
        editor.fill_once(session, image, None, 0, 1, "portraits")
    with pytest.raises(BadImage, match="choose a picture first"):
        editor.fill_once(session, "", mask, 0, 1, "portraits")
    with pytest.raises(BadImage, match="not there any more"):
        editor.fill_once(session, image, str(tmp_path / "gone.png"), 0, 1, "portraits")
    with pytest.raises(UnknownName, match="auto, portraits, places, scenes"):
        editor.fill_once(session, image, mask, 0, 1, "drawing")
    for seed, samples in ((-1, 1), (1.5, 1), (None, 1), ("x", 1), (2**31, 1), (0, 0), (0, 9), (0, float("nan"))):
        with pytest.raises(BadValue, match="whole number"):
            editor.fill_once(session, image, mask, seed, samples, "portraits")
    for psi in (-0.1, 1.1, float("nan"), None):
        with pytest.raises(BadValue, match="variety"):
            fill(editor, session, editor.open(session, image), np.ones((120, 200), bool), psi=psi)
    for nothing in (None, np.zeros((120, 200), bool)):
        with pytest.raises(BadValue, match="Nothing is marked"):
            fill(editor, session, editor.open(session, image), nothing)
    assert seeds_from(3.0, 2.0) == [3, 4]


def test_too_small_and_damaged_pictures(editor, session, tmp_path) -> None:
    Image.new("RGB", (20, 400)).save(tmp_path / "thin.png")
    with pytest.raises(BadImage, match="20 x 400"):
        editor.open(session, str(tmp_path / "thin.png"))
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(BadImage, match="not a picture"):
        editor.open(session, str(tmp_path / "text.png"))


def test_earlier_runs_are_kept_within_limits(session) -> None:
    with pytest.raises(BadValue, match="fill the hole again"):
        History.of(session).result(0)
    with pytest.raises(BadValue, match="fill the hole again"):
        History.of(session).step(-1)
    base, small = Image.new("RGB", (600, 400)), Image.new("RGB", (60, 40))
    for number in range(3):
        History.of(session).begin(session, small)
        for seed in (10 * number, 10 * number + 1):
            History.of(session).add(session, Result(seed, Image.new("RGB", (50, 50)), base))
        History.of(session).say(f"run {number}")
    history = History.of(session)
    assert history.result(1).seed == 21
    for index in (2, -1, None, "0"):
        with pytest.raises(BadValue):
            history.result(index)
    assert history.step(-1).message == "run 1" and history.result(0).seed == 10
    assert history.step(-1).message == history.step(-1).message == "run 0", "no farther than the first"
    assert history.step(1).message == "run 1"
    # 6 patches, one base and one small picture
    assert session._store.kept_bytes() == history.size == 4 * (6 * 50 * 50 + 600 * 400 + 60 * 40)
    history.begin(session, small)
    assert history.at == 3, "a new run is shown, and none is lost"
    history.add(session, Result(1, Image.new("RGB", (50, 50)), base))
    for seed in range(MOST_RUNS):
        history.begin(session, small)
        history.add(session, Result(seed, Image.new("RGB", (50, 50)), base))
    assert len(history.runs) == MOST_RUNS and history.result(0).seed == MOST_RUNS - 1
    large = Image.new("RGB", (7000, 7000))  # larger than MOST_BYTES
    history.begin(session, small)
    history.add(session, Result(99, large, None))
    assert large.width * large.height * 3 > MOST_BYTES
    assert len(history.runs) == 1 and History.of(session).result(0).seed == 99


def nobody(picture: Image.Image) -> list:
    raise AssertionError("no face is looked for in a drawing")


def test_lines_of_drawings_and_photos(session, tmp_path) -> None:
    drawing = np.full((200, 100), 255, np.uint8)
    drawing[50:150, 48:52] = 0
    Image.fromarray(drawing).save(tmp_path / "drawing.png")
    lines, note = lines_of(session, str(tmp_path / "drawing.png"), nobody)
    assert lines.shape == (CANVAS, CANVAS) and lines.dtype == np.float32 and "drawing's lines" in note
    assert lines[256, 250:262].max() > 0.9 and lines[256, 100] == 0 and lines[20, 256] == 0
    assert not is_drawing(Image.open(comodgan_fakes.ramp(tmp_path / "ramp.png")))
    clear = Image.new("RGBA", (300, 300))  # lines on transparent paper
    clear.paste((0, 0, 0, 255), (0, 140, 300, 160))
    clear.save(tmp_path / "clear.png")
    assert lines_of(session, str(tmp_path / "clear.png"), nobody)[0][246:266, 256].max() > 0.9


def test_what_is_drawn_on_the_canvas(tmp_path) -> None:
    assert painted_lines(()).max() == 0
    layer = Image.new("RGBA", (CANVAS, CANVAS))
    layer.paste(PEN, (100, 200, 400, 260))  # a brush far too thick
    layer.save(tmp_path / "layer.png")
    lines = painted_lines([str(tmp_path / "layer.png")])
    assert lines.shape == (CANVAS, CANVAS) and lines.max() > 0.9 and lines[:190].max() == 0
    assert 0 < lines.sum() < 0.3 * 300 * 60


def test_lines_of_a_photo_are_those_of_its_face(editor, session, tmp_path) -> None:
    path = fakes.save(fakes.draw_photo((640, 480), ((200, 240, 70),)), tmp_path / "photo.png")
    lines, note = lines_of(session, path, editor.find_faces)
    assert "edges of the face" in note and 0 < lines.mean() < 0.5 and lines.min() >= 0 and lines.max() <= 1
    teal = fakes.save(Image.new("RGB", (300, 200), "teal"), tmp_path / "teal.png")
    assert "No face was found" in lines_of(session, teal, editor.find_faces)[1]


def test_the_finders_settings_reach_every_search(editor, session, tmp_path, monkeypatch) -> None:
    asked = []

    def find_faces(picture: Image.Image, **settings: object) -> list:
        asked.append(settings)
        raise NoFaceFound("Nobody.")

    monkeypatch.setattr("gan_core.faces.find_faces", find_faces)
    strict = Editor(editor.models, weights=tmp_path / "finder", allow_fetch=True)
    path = fakes.save(Image.new("RGB", (300, 200), "teal"), tmp_path / "teal.png")
    strict.face(session, strict.open(session, path))
    lines_of(session, path, strict.find_faces)
    assert asked == [{"allow_fetch": True, "weights": tmp_path / "finder"}] * 2


def test_drawing_portraits(editor, session) -> None:
    lines = np.zeros((CANVAS, CANVAS), np.float32)
    lines[100:400, 200:210] = 1
    first, second = (step for step in editor.draw(lines, DRAW, [1, 2]) if isinstance(step, Result))
    assert first.picture.size == (comodgan_fakes.SIDE, comodgan_fakes.SIDE) and "from a drawing" in first.note
    assert (pixels(first.picture) != pixels(second.picture)).any()
    with pytest.raises(BadValue, match="Nothing is drawn"):
        list(editor.draw(np.zeros_like(lines), DRAW, [1]))


def test_without_weights(registry, session, tmp_path) -> None:
    empty = Editor({})
    empty.warm_up()
    with pytest.raises(WeightsMissing, match="fills holes are not on this machine"):
        empty.fill_once(session, comodgan_fakes.ramp(tmp_path / "ramp.png"), None, 0, 1, "portraits")
    with pytest.raises(WeightsMissing, match="drawings are not on this machine"):
        empty.model("drawing", DRAWING)
    only_drawing = Editor({"drawing": DRAW})
    only_drawing.warm_up()
    assert not only_drawing.of_kind(HOLE) and only_drawing.model("drawing", DRAWING) is DRAW


def test_holes_that_lie_apart_are_filled_apart(editor, session, registry, tmp_path) -> None:
    """Each with its own surroundings, also hundreds of specks; a model of portraits sees one square as before."""
    photo = editor.open(session, comodgan_fakes.ramp(tmp_path / "ramp.png", (400, 300)))
    mask = box_mask((400, 300), (20, 20, 60, 50)) | box_mask((400, 300), (330, 240, 380, 290))

    def counts(choice) -> tuple[int, int]:
        with registry.use(choice.model) as pipeline:
            return pipeline.prepared, pipeline.completed

    first, second = fill(editor, session, photo, mask)
    assert counts(SCENES) == (2, 4)
    fill(editor, session, photo, mask, seeds=(3,))
    assert counts(SCENES) == (2, 6), "kept for other seeds"
    old = pixels(photo.picture)
    for one in (first, second):
        new = pixels(one.picture)
        assert np.array_equal(new[~mask], old[~mask])
        for box in ((20, 20, 60, 50), (330, 240, 380, 290)):
            left, top, right, bottom = box
            assert (new[top:bottom, left:right] != old[top:bottom, left:right]).mean() > 0.5
    assert (pixels(first.picture) != pixels(second.picture)).any()
    specks = np.zeros((300, 400), bool)
    rng = np.random.default_rng(0)
    specks[rng.integers(0, 300, 400), rng.integers(0, 400, 400)] = True
    (one,) = fill(editor, session, photo, specks, seeds=(1,))
    assert np.array_equal(pixels(one.picture)[~specks], old[~specks])
    fill(editor, session, photo, mask, FACES)
    assert counts(FACES) == (1, 2)


def test_what_is_kept_is_on_the_cpu_and_counted(editor, session, registry, tmp_path) -> None:
    photo = editor.open(session, comodgan_fakes.ramp(tmp_path / "ramp.png"))
    fill(editor, session, photo, box_mask((256, 256), (0, 0, 50, 50)), seeds=[0])
    kept = [entry for (_, key), entry in session._store._results.items() if key[0] == "comodgan-prepared"]
    ((prepared, size, _),) = kept
    assert prepared.image.device == torch.device("cpu") and size > 4 * 3 * 128 * 128


def test_a_model_named_otherwise(editor, session, tmp_path) -> None:
    renamed = Editor({"mine": replace(SCENES, name="mine")})
    assert renamed.model("mine", HOLE).name == "mine"
    with pytest.raises(UnknownName, match="mine"):
        renamed.model("portraits", HOLE)


def test_results_come_group_by_group_where_several_are_decoded_together(editor, session, tmp_path, monkeypatch) -> None:
    photo = editor.open(session, comodgan_fakes.ramp(tmp_path / "ramp.png", (64, 64)))
    mask = box_mask((64, 64), (20, 20, 44, 44))
    alone = fill(editor, session, photo, mask, seeds=(1, 2, 3, 4, 5))
    monkeypatch.setattr(CoModGANPipeline, "together", 4)
    groups, complete = [], CoModGANPipeline.complete
    monkeypatch.setattr(
        CoModGANPipeline,
        "complete",
        lambda self, prepared, seeds, **named: groups.append(list(seeds)) or complete(self, prepared, seeds, **named),
    )
    steps = editor.fill(session, photo, mask, SCENES, (1, 2, 3, 4, 5))
    together = [step for step in steps if isinstance(step, Result)]
    assert groups == [[1, 2, 3, 4], [5]]
    assert [result.seed for result in together] == [1, 2, 3, 4, 5]
    for one, other in zip(alone, together, strict=True):
        assert abs(pixels(one.picture) - pixels(other.picture)).max() <= 1

    groups.clear()
    steps = editor.fill(session, photo, mask, SCENES, (1, 2, 3, 4, 5))
    next(step for step in steps if isinstance(step, Result))
    steps.close()
    assert groups == [[1, 2, 3, 4]], "stopped after the first group"


def boxes_mask(size: tuple[int, int], *boxes: tuple[int, int, int, int]) -> np.ndarray:
    return np.any([box_mask(size, box) for box in boxes], 0)


def test_the_automatic_choice_looks_at_the_picture(editor, session, registry, tmp_path) -> None:
    """On a face the very pixels of the network for faces, elsewhere those of the network for any photo."""
    auto = editor.model("auto", HOLE)
    assert next(iter(editor.of_kind(HOLE))) == "auto"
    path = fakes.save(fakes.draw_photo((800, 500), ((200, 250, 60),)), tmp_path / "photo.png")
    photo = editor.open(session, path)
    eyes, corner = (160, 225, 240, 245), (650, 400, 700, 450)
    for box, expected, words in (
        (eyes, FACES, "on a face, so the network for faces"),
        (corner, PLACES, "not on a face"),
    ):
        mask = box_mask((800, 500), box)
        (found,) = fill(editor, session, photo, mask, auto, seeds=[5])
        (direct,) = fill(editor, session, photo, mask, expected, seeds=[5])
        assert (pixels(found.picture) == pixels(direct.picture)).all()
        assert words in found.remark and expected.label in found.note
    both = boxes_mask((800, 500), eyes, corner)
    (found,) = fill(editor, session, photo, both, auto, seeds=[5])
    assert "holes on a face, the network for any photo the others" in found.remark
    assert FACES.label in found.note and PLACES.label in found.note
    (direct,) = fill(editor, session, photo, box_mask((800, 500), eyes), FACES, seeds=[5])
    assert (pixels(found.picture)[225:245, 160:240] == pixels(direct.picture)[225:245, 160:240]).all()
    assert (pixels(found.picture)[~both] == pixels(photo.picture)[~both]).all()
    nobody = editor.open(session, fakes.save(Image.new("RGB", (256, 256), "teal"), tmp_path / "teal.png"))
    (found,) = fill(editor, session, nobody, box_mask((256, 256), (9, 9, 60, 60)), auto, seeds=[5])
    assert "no face here" in found.remark
    assert editor.fill_once(session, path, comodgan_fakes.mask(tmp_path / "m.png", (800, 500), eyes), 5, 1, "auto")


def test_without_the_network_for_any_photo_all_is_as_before(registry, session, tmp_path) -> None:
    editor = Editor(WITHOUT_PLACES)
    assert list(editor.of_kind(HOLE)) == ["portraits", "scenes"]
    photo = editor.open(session, fakes.save(Image.new("RGB", (300, 200), "teal"), tmp_path / "teal.png"))
    (result,) = fill(editor, session, photo, box_mask((300, 200), (10, 10, 60, 60)), FACES, seeds=[0])
    assert result.remark == "No face was found in this picture, and these weights know portraits only."
    with pytest.raises(UnknownName, match="'auto'. Choose one of: portraits, scenes"):
        editor.model("auto", HOLE)


def test_warming_up_runs_both_networks_of_the_automatic_choice(editor, registry) -> None:
    editor.warm_up()
    for choice in (FACES, PLACES, DRAW):
        with registry.use(choice.model) as pipeline:
            assert pipeline.prepared + pipeline.completed == (0 if choice is DRAW else 2)
    with registry.use(SCENES.model) as pipeline:
        assert not pipeline.completed
