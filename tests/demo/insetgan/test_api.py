"""The endpoint `insetgan_compose` through gradio_client: good requests, hostile ones, and the app without weights."""

from __future__ import annotations

import time

import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from tests.demo import fakes
from tests.demo.hfgi.test_api import hostile_pictures
from tests.demo.insetgan import fakes as insetgan_fakes

STEPS = 5  # enough to move


def connect(server, tmp_path) -> Client:
    return Client(server.url, download_files=str(tmp_path / "downloads"), verbose=False, analytics_enabled=False)


def ask(client: Client, *arguments):
    return client.predict(*arguments, api_name="/insetgan_compose")


def pixels(path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"), float)


@pytest.fixture
def client(papers_server, tmp_path):
    return connect(papers_server, tmp_path)


def test_documented_signature(client) -> None:
    endpoint = client.view_api(return_format="dict", print_info=False)["named_endpoints"]["/insetgan_compose"]
    names = [parameter["parameter_name"] for parameter in endpoint["parameters"]]
    assert names == ["face_image_or_none", "face_seed", "body_seed", "steps", "model", "body_pose", "feet_seed"]
    assert len(endpoint["returns"]) == 3


def test_seeds(client) -> None:
    first, again, other = (ask(client, None, 5, body, STEPS, "portraits") for body in (1, 1, 2))
    composite, body, face = (pixels(path) for path in first)
    assert composite.shape == body.shape == face.shape == (64, 64, 3)
    assert np.array_equal(composite, pixels(again[0])) and not np.array_equal(composite, pixels(other[0]))
    with Image.open(first[0]) as saved:
        assert saved.format == "PNG" and "body seed 1, face seed 5" in saved.text["Description"]
        assert not saved.getexif()
    corner = (slice(0, 8), slice(0, 8))
    assert np.abs(composite[corner] - body[corner]).max() <= 1  # outside the region it is the body's own picture


def test_whole_bodies_by_their_name(client) -> None:
    composite, body, face = (pixels(path) for path in ask(client, None, 5, 1, STEPS, "bodies"))
    assert composite.shape == body.shape == (64, 32, 3) and face.shape == (64, 64, 3)
    posed = ask(client, None, 5, 1, STEPS, "bodies", 2)
    assert np.abs(pixels(posed[1]) - body).mean() > 1
    with Image.open(posed[0]) as saved:
        assert "body seed 1, pose 2" in saved.text["Description"]


def test_other_feet_of_whole_bodies_only(client) -> None:
    own, other = (pixels(ask(client, None, 5, 1, STEPS, "bodies", 0, seed)[0]) for seed in (-1, 3))
    feet = np.s_[52:62, 8:24]
    assert np.abs(own[feet] - other[feet]).mean() > 1
    with pytest.raises(AppError, match="no region 'feet'"):
        ask(client, None, 5, 1, STEPS, "portraits", 0, 3)


def test_clients_hear_how_far_it_is(client) -> None:
    job = client.submit(None, 3, 4, 60, "portraits", api_name="/insetgan_compose")
    heard = set()
    while not job.done():
        for unit in job.status().progress_data or ():
            heard.add((unit.desc, unit.progress))
        time.sleep(0.02)
    job.result()
    assert any("of 60" in (text or "") for text, _ in heard), heard
    fractions = {fraction for _, fraction in heard if fraction}
    assert fractions and all(0 < fraction <= 1 for fraction in fractions)


def test_a_face_from_a_photo(client, tmp_path) -> None:
    photo = fakes.save(fakes.draw_photo(), tmp_path / "photo.jpg")
    composite, _, face = ask(client, handle_file(photo), 0, 1, STEPS, "portraits")
    assert pixels(composite).shape == (64, 64, 3)
    with Image.open(composite) as saved:
        assert "an uploaded face" in saved.text["Description"] and "mode body" in saved.text["Description"]
    other = ask(client, handle_file(photo), 0, 2, STEPS, "portraits")
    assert np.array_equal(pixels(face), pixels(other[2])), "a given face stays, whatever the body"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((None, -1, 1, STEPS, "portraits"), "The face's seed must be"),
        ((None, 1, 0.5, STEPS, "portraits"), "The body's seed must be"),
        ((None, 1, 1, 0, "portraits"), "The number of steps must be"),
        ((None, 1, 1, 10_000, "portraits"), "The number of steps must be"),
        ((None, 1, 1, None, "portraits"), "The number of steps must be"),
        ((None, 1, 1, STEPS, "faces"), "Choose one of: portraits"),
        ((None, 1, 1, STEPS, "bodies", 3), "The body's pose must be a whole number from 0 to 2"),
        ((None, 1, 1, STEPS, "portraits", 1), "The body's pose must be a whole number from 0 to 0"),
    ],
)
def test_wrong_values_are_explained(client, arguments, words) -> None:
    with pytest.raises(AppError, match=words):
        ask(client, *arguments)


def test_hostile_pictures_are_explained(client, tmp_path) -> None:
    for name, words in hostile_pictures(tmp_path).items():
        with pytest.raises(AppError, match=words):
            ask(client, handle_file(str(tmp_path / name)), 0, 1, STEPS, "portraits")
    assert len(ask(client, None, 1, 1, STEPS, "portraits")) == 3


def test_models_are_listed(client) -> None:
    ask(client, None, 1, 1, STEPS, "portraits")
    infos = {info["name"]: info for info in client.predict(api_name="/models")}
    assert infos[insetgan_fakes.MODEL]["loaded"] is True and infos[insetgan_fakes.MODEL]["busy"] is False


def test_without_weights_it_says_so(fake_server, tmp_path) -> None:
    with pytest.raises(AppError, match="not on this machine"):
        ask(connect(fake_server, tmp_path), None, 1, 1, STEPS, "portraits")
