"""Which network fills which hole: each pixel once, those on a face by the network of portraits."""

import numpy as np
import pytest

from gan_core.comodgan.models import AUTOMATIC, CoModGANModel, comodgan_models, declare_comodgan_models, hole_choices
from gan_core.comodgan.plan import FillPlan, bounds, plan
from gan_core.errors import BadValue
from gan_core.faces.geometry import Face, face_from_points
from gan_core.registry import ModelRegistry


def model(name: str, alignment: str) -> CoModGANModel:
    return CoModGANModel(name, name, name, "hole", 64, "CC0-1.0", alignment, "")


MODELS = {"portraits": model("portraits", "bust"), "places": model("places", "any")}
SIZE = (800, 500)  # width and height


def face_at(x: float, y: float, r: float = 40) -> Face:
    """Its FFHQ square is about 2.9 r a side, its box about 1.6 r wide and 1.9 r high."""
    return face_from_points((x - 0.4 * r, y - 0.3 * r), (x + 0.4 * r, y - 0.3 * r), (x, y + r / 2))


def marked(*boxes: tuple[int, int, int, int], size: tuple[int, int] = SIZE) -> np.ndarray:
    mask = np.zeros(size[::-1], bool)
    for left, top, right, bottom in boxes:
        mask[top:bottom, left:right] = True
    return mask


def planned(mask: np.ndarray, faces: list[Face], name: str = AUTOMATIC) -> FillPlan:
    found = plan(mask, hole_choices(MODELS)[name], MODELS, lambda: faces)
    counted = np.zeros(mask.shape, int)
    for part in found.parts:
        left, top, right, bottom = part.hole.box
        counted[top:bottom, left:right] += part.hole.mask
        region = part.region
        assert region.left <= left and region.top <= top, "the square has the whole hole"
        assert right <= region.left + region.side and bottom <= region.top + region.side
    assert np.array_equal(counted, mask), "each pixel once"
    return found


def names(found: FillPlan) -> list[str]:
    return [part.choice.name for part in found.parts]


def test_automatic() -> None:
    face, near, far = face_at(200, 200), (170, 180, 230, 200), (600, 300, 640, 340)
    hair, shoulder = (180, 140, 220, 155), (150, 250, 180, 262)
    assert names(planned(marked(near), [face])) == ["portraits"]
    assert names(planned(marked(far), [face])) == ["places"]
    assert names(planned(marked(near, hair, shoulder), [face])) == ["portraits"], "together"
    both = planned(marked(near, far), [face])
    assert names(both) == ["portraits", "places"] and "the others" in both.remark
    assert both.parts[0].region == planned(marked(near), [face], "portraits").parts[0].region
    beside = (290, 190, 320, 220)  # near enough to be filled together with the other, but not on the face
    assert names(planned(marked(near, beside), [face])) == ["portraits", "places"]
    assert names(planned(marked(near), [])) == ["places"]
    assert "no face" in planned(marked(near), []).remark


def test_automatic_prefers_the_network_of_faces_to_that_of_portraits() -> None:
    """Shown the face's own square; what is on the shoulders is filled as any photo is."""
    three = {**MODELS, "faces": model("faces", "face")}
    found = plan(marked((170, 180, 230, 200), (180, 290, 220, 310)), hole_choices(three)[AUTOMATIC], three,
                 lambda: [face_at(200, 200)])  # fmt: skip
    assert names(found) == ["faces", "places"]
    assert found.parts[0].region.side < planned(marked((170, 180, 230, 200)), [face_at(200, 200)]).parts[0].region.side


def test_each_face_has_its_own_square() -> None:
    left, right = face_at(200, 200), face_at(600, 260)
    found = planned(marked((170, 180, 230, 200), (580, 250, 620, 270)), [left, right])
    assert names(found) == ["portraits", "portraits"]
    assert abs(found.parts[0].region.left - found.parts[1].region.left) > 300
    one = planned(marked((580, 250, 620, 270)), [left, right], "portraits")
    assert one.parts[0].region == found.parts[1].region and not one.remark, "not that of the largest face"


def test_large_holes() -> None:
    """A hole that hides the picture's main face is one for the portraits network, not one that hides a small face."""
    everything = marked((0, 0, *SIZE))
    assert names(planned(everything, [face_at(400, 230, 110)])) == ["portraits"]
    assert names(planned(everything, [face_at(400, 250, 40)])) == ["places"]
    square = marked((0, 0, 20, 20), size=(300, 300))
    assert names(planned(square, [face_at(150, 150, 100)])) == ["portraits"], "the picture is hardly more than the face"


def test_hundreds_of_specks_and_faces_at_the_border() -> None:
    rng = np.random.default_rng(0)
    mask = np.zeros((500, 800), bool)
    mask[rng.integers(0, 500, 600), rng.integers(0, 800, 600)] = True
    found = planned(mask, [face_at(200, 200), face_at(795, 20)])
    assert 3 <= len(found.parts) <= 10 and set(names(found)) == {"portraits", "places"}


def test_what_is_said_of_a_choice_that_does_not_fit() -> None:
    face, on, off = face_at(200, 200), (170, 180, 230, 200), (600, 300, 640, 340)
    assert "No face was found" in planned(marked(on), [], "portraits").remark
    assert "not on the face" in planned(marked(off), [face], "portraits").remark
    assert "less well" in planned(marked(on), [face], "places").remark
    assert not planned(marked(off), [face], "places").remark and not planned(marked(on), [face], "portraits").remark
    with pytest.raises(BadValue, match="Nothing is marked"):
        planned(marked(), [face])


def test_bounds() -> None:
    assert bounds(marked((3, 4, 9, 11), size=(30, 20))) == (3, 4, 9, 11)
    with pytest.raises(BadValue, match="Nothing is marked"):
        bounds(np.zeros((4, 4), bool))


def test_places_are_offered_where_their_file_is(tmp_path) -> None:
    nothing = tmp_path / "published"
    for folder in ("portraits_fill_bust", "places_fill"):
        assert AUTOMATIC not in hole_choices(comodgan_models(nothing, tmp_path))
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "generator.safetensors").touch()
    models = comodgan_models(nothing, tmp_path)
    places = models["places"]
    assert (places.label, places.model, places.alignment) == ("any photo (embedded)", "places/fill", "any")
    assert places.resolution == 256 and list(hole_choices(models)) == [AUTOMATIC, "portraits", "places"]
    registry = ModelRegistry(lambda: ("cpu",))
    declare_comodgan_models(registry, nothing, tmp_path)
    assert set(registry.names()) == {"portraits/fill_bust", "places/fill"}
