"""`self_conditioned_edit` and `self_conditioned_values` through gradio_client: good requests and hostile ones."""

from __future__ import annotations

import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from tests.demo import fakes
from tests.demo.hfgi.test_api import hostile_pictures
from tests.demo.self_conditioned import fakes as self_conditioned_fakes


def connect(server, tmp_path) -> Client:
    return Client(server.url, download_files=str(tmp_path / "downloads"), verbose=False, analytics_enabled=False)


def ask(client: Client, *arguments, **named):
    return client.predict(*arguments, **named, api_name="/self_conditioned_edit")


def pixels(path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"), float)


@pytest.fixture
def client(papers_server, tmp_path):
    return connect(papers_server, tmp_path)


@pytest.fixture
def photo(tmp_path):
    return handle_file(fakes.save(fakes.draw_photo(), tmp_path / "photo.jpg"))


def test_documented_signature(client) -> None:
    endpoint = client.view_api(return_format="dict", print_info=False)["named_endpoints"]["/self_conditioned_edit"]
    names = [parameter["parameter_name"] for parameter in endpoint["parameters"]]
    assert names == ["image_or_none", "seed", "attribute", "value", "model", "more_values"]
    assert len(endpoint["returns"]) == 2


def test_seeds(client) -> None:
    first, again, other = (ask(client, None, seed, "age", 1, "portraits") for seed in (5, 5, 6))
    edited, plain = (pixels(path) for path in first)
    assert edited.shape == plain.shape == (self_conditioned_fakes.SIDE, self_conditioned_fakes.SIDE, 3)
    assert np.array_equal(edited, pixels(again[0])) and not np.array_equal(edited, pixels(other[0]))
    assert not np.array_equal(edited, plain)
    for path, method in zip(first, ("self-conditioned", "plain direction"), strict=True):
        with Image.open(path) as saved:
            assert saved.format == "PNG" and not saved.getexif()
            note = saved.text["Description"]
            assert "seed 5" in note and method in note and "to 1.00" in note


def test_the_model_can_be_left_out(client) -> None:
    assert len(ask(client, None, 5, "age", 0.5)) == 2
    assert len(ask(client, image_or_none=None, seed=5, attribute="smile", value=0)) == 2


def test_a_picture(client, photo) -> None:
    young, old = (pixels(ask(client, photo, 0, "age", value, "portraits")[0]) for value in (0, 1))
    assert np.abs(young - old).mean() > 1
    with Image.open(ask(client, photo, 0, "age", 1, "portraits")[0]) as saved:
        assert "an uploaded picture" in saved.text["Description"]


def test_several_values_at_once(client) -> None:
    one = ask(client, None, 5, "age", 0.9, "portraits")
    two = ask(client, None, 5, "age", 0.9, "portraits", {"smile": 1.0})
    assert np.abs(pixels(one[0]) - pixels(two[0])).mean() > 0.1
    with Image.open(two[1]) as saved:
        assert "smile" in saved.text["Description"]


def test_present_values(client, photo) -> None:
    for image, seed in ((None, 5), (photo, 0)):
        found = client.predict(image, seed, "portraits", api_name="/self_conditioned_values")
        assert set(found) == {"age", "pose", "smile"}
        assert all(0 <= entry["value"] <= 1 for entry in found.values())
        assert (found["age"]["low"], found["age"]["high"]) == ("young", "old")


def test_present_values_change_nothing(client) -> None:
    now = client.predict(None, 5, "portraits", api_name="/self_conditioned_values")["age"]["value"]
    same, other = (pixels(ask(client, None, 5, "age", value, "portraits")[0]) for value in (now, 1 - round(now)))
    again = pixels(ask(client, None, 5, "pose", _value(client, 5, "pose"), "portraits")[0])
    assert np.abs(same - again).max() <= 1 < np.abs(same - other).max()


def _value(client: Client, seed: int, name: str) -> float:
    return client.predict(None, seed, "portraits", api_name="/self_conditioned_values")[name]["value"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((None, 0, "age", 1.5, "portraits"), "The value of age must be a number from 0 to 1"),
        ((None, 0, "age", -0.1, "portraits"), "The value of age must be a number from 0 to 1"),
        ((None, 0, "age", None, "portraits"), "The value of age must be a number from 0 to 1"),
        ((None, 0, "beard", 0.5, "portraits"), "Choose one of: age, pose, smile"),
        ((None, 0, "", 0.5, "portraits"), "Choose one of: age, pose, smile"),
        ((None, -1, "age", 0.5, "portraits"), "The seed must be"),
        ((None, 1.5, "age", 0.5, "portraits"), "The seed must be"),
        ((None, None, "age", 0.5, "portraits"), "The seed must be"),
        ((None, 0, "age", 0.5, "faces"), "Choose one of: portraits"),
        ((None, 0, "age", 0.5, "portraits", {"smile": 3}), "The value of smile must be"),
        ((None, 0, "age", 0.5, "portraits", {"hat": 0.3}), "There is no attribute 'hat'"),
        ((None, 0, "age", 0.5, "portraits", [0.3]), "given by name"),
    ],
)
def test_wrong_values_are_explained(client, arguments, words) -> None:
    with pytest.raises(AppError, match=words):
        ask(client, *arguments)


def test_hostile_pictures_are_explained(client, tmp_path) -> None:
    for name, words in hostile_pictures(tmp_path).items():
        with pytest.raises(AppError, match=words):
            ask(client, handle_file(str(tmp_path / name)), 0, "age", 1, "portraits")
    assert len(ask(client, None, 1, "age", 1, "portraits")) == 2


def test_models_are_listed(client) -> None:
    ask(client, None, 1, "age", 1, "portraits")
    infos = {info["name"]: info for info in client.predict(api_name="/models")}
    assert (
        infos[self_conditioned_fakes.MODEL]["loaded"] is True and infos[self_conditioned_fakes.MODEL]["busy"] is False
    )


def test_without_weights_it_says_so(fake_server, tmp_path) -> None:
    with pytest.raises(AppError, match="not on this machine"):
        ask(connect(fake_server, tmp_path), None, 1, "age", 1, "portraits")
