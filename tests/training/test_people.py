"""Collections of people as one stream: who is held out, what is drawn, what is changed."""

import numpy as np
import pytest
import torch
from PIL import Image

from gan_core.errors import BadImage, BadValue
from gan_core.training.people import (
    PeopleStream,
    Variation,
    foreground,
    is_held_out,
    parse_shares,
    person_of,
    read_people,
)
from gan_core.training.prepare_people import CUBE, cube_view

NOTHING = Variation(backdrop=0.0, light=0.0, side_light=0.0, soft=0.0)


def collection(folder, name, colour, count=30) -> None:
    (folder / name / "mattes").mkdir(parents=True)
    for i in range(count):
        Image.new("RGB", (16, 16), colour).save(folder / name / f"{name}x{i:03d}.png")
        matte = np.zeros((16, 16), np.uint8)
        matte[:, :8] = 255
        Image.fromarray(matte).save(folder / name / "mattes" / f"{name}x{i:03d}.png")


def test_pictures_of_one_person_stay_together() -> None:
    assert person_of("portraits", "h113_A000055") == person_of("portraits", "h118_A000055")
    assert person_of("london", "L001_03") == person_of("london", "L001_08")
    assert person_of("varied", "openpeople_P001_smile") == person_of("varied", "openpeople_P001_selfie")
    assert person_of("varied", "faker_0001") != person_of("varied", "faker_0002")
    for collection_name, first, second in (("london", "L001_03", "L001_08"), ("portraits", "h113_B1", "h118_B1")):
        assert is_held_out(collection_name, first) == is_held_out(collection_name, second)
    held = sum(is_held_out("varied", f"faker_{i:04d}") for i in range(2000))
    assert 150 < held < 250


def test_training_and_held_out_people_do_not_meet(tmp_path) -> None:
    collection(tmp_path, "one", (255, 0, 0), 60)
    trained, held = (read_people(tmp_path, 16, {"one": 1.0}, held_out=h) for h in (False, True))
    assert len(trained) + len(held) == 60 and len(held) > 0
    assert not set(trained.stems) & set(held.stems)


def test_shares_decide_how_often_a_collection_is_drawn(tmp_path) -> None:
    torch.manual_seed(0)
    collection(tmp_path, "red", (255, 0, 0), 40)
    collection(tmp_path, "blue", (0, 0, 255), 12)
    stream = PeopleStream(read_people(tmp_path, 16, {"red": 1.0, "blue": 3.0}), NOTHING)
    drawn = stream.draw(800)
    blue = (drawn[:, 2].mean((1, 2)) > 0.5).float().mean().item()
    assert 0.68 < blue < 0.82


def test_backdrops_come_behind_the_person(tmp_path) -> None:
    torch.manual_seed(0)
    collection(tmp_path, "red", (255, 0, 0))
    (tmp_path / "backdrops").mkdir()
    Image.new("RGB", (16, 16), (0, 255, 0)).save(tmp_path / "backdrops" / "green.png")
    people = read_people(tmp_path, 16, {"red": 1.0})
    stream = PeopleStream(people, Variation(backdrop=1.0, plain=0.0, light=0.0, side_light=0.0, soft=0.0))
    stream._blurred = lambda x, sigma: torch.nn.functional.avg_pool2d(x, 5, 1, 2, count_include_pad=False)
    drawn = stream.draw(8)
    left = torch.where(drawn[:, :1, :, :1] > 0, drawn, drawn.flip(3))  # some are mirrored
    assert (left[:, 0, :, :6] > 0.9).all() and (left[:, 1, :, :6] < -0.9).all()
    assert (left[:, 1, :, 10:] > 0.9).all() and (left[:, 0, :, 10:] < -0.9).all()


def test_light_changes_and_stays_in_range(tmp_path) -> None:
    torch.manual_seed(0)
    collection(tmp_path, "grey", (120, 120, 120))
    drawn = PeopleStream(read_people(tmp_path, 16, {"grey": 1.0}), Variation(light=1.0, side_light=1.0)).draw(32)
    assert drawn.abs().max() <= 1
    assert drawn.mean((1, 2, 3)).std() > 0.02
    assert (drawn[:, :, :, 0] - drawn[:, :, :, -1]).abs().mean() > 0.05


def test_foreground_forgets_the_old_backdrop() -> None:
    """At a half-transparent border the person's colour is the person's, not a mixture with what was behind."""
    ramp = ((10 - torch.arange(16.0)) / 4).clamp(0, 1)  # from 6 to 10
    matte = ramp.view(1, 1, 1, 16).expand(1, 1, 16, 16)
    person, behind = torch.tensor([0.8, -0.8, -0.8]).view(1, 3, 1, 1), torch.tensor([-0.8, -0.8, 0.8]).view(1, 3, 1, 1)
    picture = person * matte + behind * (1 - matte)
    own = foreground(picture, matte, lambda x: torch.nn.functional.avg_pool2d(x, 11, 1, 5, count_include_pad=False))
    middle = own[:, :, 8, 6:10]
    assert (middle - person[..., 0]).abs().mean() < 0.5 * (picture[:, :, 8, 6:10] - person[..., 0]).abs().mean()


def test_what_is_wrong_is_said(tmp_path) -> None:
    with pytest.raises(BadImage):
        read_people(tmp_path, 16, {"nobody": 1.0})
    with pytest.raises(BadValue, match="NAME=NUMBER"):
        parse_shares("portraits")
    with pytest.raises(BadValue, match="positive"):
        parse_shares("portraits=0,london=1")


def test_views_of_a_cube_map_look_where_they_should() -> None:
    """Each face in a colour of its own: ahead is +z, a quarter turn to the right +x, up +y."""
    colours = {face: (40 * i + 20, 255 - 40 * i, 10 * i) for i, face in enumerate(CUBE)}
    faces = {face: np.full((8, 8, 3), colour, np.uint8) for face, colour in colours.items()}
    for yaw, pitch, face in (
        (0, 0, "pz"),
        (90, 0, "px"),
        (180, 0, "nz"),
        (270, 0, "nx"),
        (0, 89, "py"),
        (0, -89, "ny"),
    ):
        view = cube_view(faces, 16, 30.0, yaw, pitch)
        assert tuple(view[8, 8]) == colours[face], (yaw, pitch)
