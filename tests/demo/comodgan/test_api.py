"""The endpoints `comodgan_inpaint` and `comodgan_draw` through gradio_client, good requests and hostile ones."""

from __future__ import annotations

import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from tests.demo import fakes
from tests.demo.comodgan import fakes as comodgan_fakes
from tests.demo.hfgi.test_api import hostile_pictures

SIZE, BOX = (200, 120), (50, 20, 100, 90)


def connect(server, tmp_path) -> Client:
    return Client(server.url, download_files=str(tmp_path / "downloads"), verbose=False, analytics_enabled=False)


def inpaint(client: Client, image, mask, *arguments) -> list[str]:
    mask = None if mask is None else handle_file(str(mask))
    images = client.predict(handle_file(str(image)), mask, *arguments, api_name="/comodgan_inpaint")
    return [entry["image"] for entry in images]


def draw(client: Client, drawing, *arguments) -> list[str]:
    images = client.predict(handle_file(str(drawing)), *arguments, api_name="/comodgan_draw")
    return [entry["image"] for entry in images]


def pixels(path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"), int)


@pytest.fixture
def client(comodgan_server, tmp_path):
    return connect(comodgan_server, tmp_path)


@pytest.fixture
def image(tmp_path):
    return comodgan_fakes.ramp(tmp_path / "image.png", SIZE)


@pytest.fixture
def mask(tmp_path):
    return comodgan_fakes.mask(tmp_path / "mask.png", SIZE, BOX)


def test_documented_signatures(client) -> None:
    endpoints = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    for name, parameters in (("inpaint", ["image", "mask"]), ("draw", ["drawing"])):
        endpoint = endpoints[f"/comodgan_{name}"]
        names = [parameter["parameter_name"] for parameter in endpoint["parameters"]]
        assert names == [*parameters, "seed", "samples", "model"]
        assert len(endpoint["returns"]) == 1


def test_several_completions_with_known_pixels_untouched(client, image, mask) -> None:
    paths = inpaint(client, image, mask, 7, 3)
    original, hole = pixels(image), pixels(mask)[..., 0] > 127
    results = [pixels(path) for path in paths]
    assert len(results) == 3
    for result in results:
        assert (result[~hole] == original[~hole]).all() and (result[hole] != original[hole]).mean() > 0.5
    assert (results[0] != results[1]).any()
    (again,) = inpaint(client, image, mask, 8, 1, "auto")
    assert (pixels(again) == results[1]).all(), "the default"
    with Image.open(paths[0]) as saved:
        assert saved.format == "PNG" and "seed 7" in saved.text["Description"] and not saved.getexif()


def test_the_network_for_a_hole_is_asked_for_or_chosen(client, tmp_path) -> None:
    """A face and another place in one picture: by default each hole is filled by its own network."""
    size = (500, 300)
    photo = fakes.save(fakes.draw_photo(size, ((120, 150, 50),)), tmp_path / "photo.png")
    eyes, place = (90, 125, 150, 145), (400, 200, 460, 260)
    holes = Image.open(comodgan_fakes.mask(tmp_path / "eyes.png", size, eyes))
    holes.paste(255, place)
    holes.save(tmp_path / "both.png")
    comodgan_fakes.mask(tmp_path / "place.png", size, place)
    found = {}
    for name, mask, model in (
        ("both", "both.png", []), ("eyes", "eyes.png", []), ("face", "eyes.png", ["portraits"]),
        ("place", "place.png", []), ("any", "place.png", ["places"]),
    ):  # fmt: skip
        (path,) = inpaint(client, photo, tmp_path / mask, 3, 1, *model)
        with Image.open(path) as saved:
            found[name] = pixels(path), saved.text["Description"]
    assert (found["eyes"][0] == found["face"][0]).all() and (found["place"][0] == found["any"][0]).all()
    assert "(portraits (embedded))" in found["eyes"][1] and "(any photo (embedded))" in found["place"][1]
    assert "(portraits (embedded) and any photo (embedded))" in found["both"][1]


def test_masks_of_every_kind(client, image, mask, tmp_path) -> None:
    original = pixels(image)
    everything = comodgan_fakes.mask(tmp_path / "all.png", SIZE, (0, 0, *SIZE))
    (result,) = inpaint(client, image, everything, 0, 1)
    assert (pixels(result) != original).mean() > 0.5
    larger = comodgan_fakes.mask(tmp_path / "large.png", (600, 360), tuple(3 * edge for edge in BOX))
    hole = pixels(mask)[..., 0] > 127
    (result,) = inpaint(client, image, larger, 0, 1)
    assert (pixels(result)[~hole] == original[~hole]).all()
    grey = np.linspace(0, 255, SIZE[0], dtype=np.uint8)[None].repeat(SIZE[1], 0)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    (result,) = inpaint(client, image, tmp_path / "grey.png", 0, 1)
    assert (pixels(result)[grey <= 127] == original[grey <= 127]).all(), "brighter than half is filled"
    assert (pixels(result)[grey > 127] != original[grey > 127]).mean() > 0.5
    for name, picture, words in (
        ("empty", Image.new("L", SIZE), "no white in it"),
        ("other", Image.new("L", (120, 200), 255), "120 x 200 pixels and the picture 200 x 120"),
    ):
        picture.save(tmp_path / f"{name}.png")
        with pytest.raises(AppError, match=words):
            inpaint(client, image, tmp_path / f"{name}.png", 0, 1)
    with pytest.raises(AppError, match="send a mask"):
        inpaint(client, image, None, 0, 1)


def test_the_transparent_part_is_the_hole(client, tmp_path) -> None:
    picture = Image.new("RGBA", SIZE, (200, 30, 90, 255))
    picture.paste((0, 0, 0, 0), BOX)
    picture.save(tmp_path / "clear.png")
    (result,) = inpaint(client, tmp_path / "clear.png", None, 0, 1)
    left, top, right, bottom = BOX
    known = np.ones(SIZE[::-1], bool)
    known[top:bottom, left:right] = False
    assert (pixels(result)[known] == (200, 30, 90)).all() and (pixels(result)[~known] != 255).any()


@pytest.mark.parametrize("size", [(33, 32), (1600, 40), (40, 1600)])
def test_small_and_long_pictures(client, tmp_path, size) -> None:
    image = comodgan_fakes.ramp(tmp_path / "image.png", size)
    mask = comodgan_fakes.mask(tmp_path / "mask.png", size, (5, 5, 25, 25))
    (result,) = inpaint(client, image, mask, 0, 1, "scenes")
    assert pixels(result).shape == (*size[::-1], 3)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((-1, 1), "A seed must be a whole number"),
        ((0.5, 1), "A seed must be a whole number"),
        ((0, 0), "number of results must be a whole number from 1 to 8"),
        ((0, 99), "number of results must be a whole number from 1 to 8"),
        ((0, 1, "nowhere"), "Choose one of: auto, portraits, places, scenes"),
        ((0, 1, "drawing"), "Choose one of: auto, portraits, places, scenes"),
    ],
)
def test_wrong_values_are_explained(client, image, mask, arguments, words) -> None:
    with pytest.raises(AppError, match=words):
        inpaint(client, image, mask, *arguments)


def test_pictures_too_small_and_too_large(client, mask, tmp_path) -> None:
    """One sentence each; a JPEG of any size is read at a reduced scale."""
    for size, words in (
        ((1, 1), "only 1 x 1 pixels"), ((8000, 20), "only 8000 x 20 pixels"), ((10_000, 10_000), "is too large"),
    ):  # fmt: skip
        Image.new("1", size).save(tmp_path / "odd.png")
        with pytest.raises(AppError, match=words):
            inpaint(client, tmp_path / "odd.png", mask, 0, 1)
    image = comodgan_fakes.ramp(tmp_path / "long.png", (8000, 40))
    hole = comodgan_fakes.mask(tmp_path / "hole.png", (8000, 40), (7900, 0, 8000, 40))  # cuts three borders
    (result,) = inpaint(client, image, hole, 0, 1)
    new, old = pixels(result), pixels(image)
    assert (new[:, :7900] == old[:, :7900]).all() and (new[:, 7900:] != old[:, 7900:]).mean() > 0.5


def test_hostile_pictures_are_explained_in_either_place(client, image, mask, tmp_path) -> None:
    for name, words in hostile_pictures(tmp_path).items():
        if name == "nobody.png":  # a picture without a face is fine here
            assert inpaint(client, tmp_path / name, comodgan_fakes.mask(tmp_path / "m.png", (400, 300), BOX), 0, 1)
            continue
        with pytest.raises(AppError, match=words):
            inpaint(client, tmp_path / name, mask, 0, 1)
        with pytest.raises(AppError, match="proportions differ" if name == "dot.png" else words):
            inpaint(client, image, tmp_path / name, 0, 1)
    assert inpaint(client, image, mask, 0, 1)


def test_portraits_of_a_drawing(client, tmp_path) -> None:
    paper = Image.new("L", (300, 300), 255)
    paper.paste(0, (100, 100, 106, 200))
    paper.save(tmp_path / "drawing.png")
    first, second = draw(client, tmp_path / "drawing.png", 1, 2, "drawing")
    assert pixels(first).shape == (comodgan_fakes.SIDE, comodgan_fakes.SIDE, 3)
    assert (pixels(first) != pixels(second)).any()
    assert draw(client, fakes.save(fakes.draw_photo(), tmp_path / "photo.png"), 1, 1)
    Image.new("L", (300, 300), 255).save(tmp_path / "blank.png")
    with pytest.raises(AppError, match="Nothing is drawn"):
        draw(client, tmp_path / "blank.png", 1, 1)
    with pytest.raises(AppError, match="Choose one of: drawing"):
        draw(client, tmp_path / "drawing.png", 1, 1, "portraits")
    with pytest.raises(AppError, match="choose a picture first"):
        client.predict(None, 1, 1, "drawing", api_name="/comodgan_draw")


def test_without_weights_it_says_so(fake_server, tmp_path, image, mask) -> None:
    client = connect(fake_server, tmp_path)
    with pytest.raises(AppError, match="not on this machine"):
        inpaint(client, image, mask, 0, 1)
    with pytest.raises(AppError, match="not on this machine"):
        draw(client, image, 0, 1)
