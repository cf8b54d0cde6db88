"""The endpoint `autoencoder_swap` through gradio_client: good requests, hostile ones, and the app without weights."""

from __future__ import annotations

import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from tests.demo.hfgi.test_api import hostile_pictures
from tests.demo.swapping_autoencoder import fakes as swapping_autoencoder_fakes


def connect(server, tmp_path) -> Client:
    return Client(server.url, download_files=str(tmp_path / "downloads"), verbose=False, analytics_enabled=False)


def ask(client: Client, structure: str, texture: str, *arguments) -> str:
    return client.predict(
        handle_file(str(structure)), handle_file(str(texture)), *arguments, api_name="/autoencoder_swap"
    )


def pixels(path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"), float)


@pytest.fixture
def client(papers_server, tmp_path):
    return connect(papers_server, tmp_path)


@pytest.fixture
def red(tmp_path):
    return swapping_autoencoder_fakes.plain("#a02020", tmp_path / "red.png")


@pytest.fixture
def blue(tmp_path):
    return swapping_autoencoder_fakes.plain("#2020a0", tmp_path / "blue.jpg", (500, 300))


def test_documented_signature(client) -> None:
    endpoint = client.view_api(return_format="dict", print_info=False)["named_endpoints"]["/autoencoder_swap"]
    names = [parameter["parameter_name"] for parameter in endpoint["parameters"]]
    assert names == ["structure_image", "texture_image", "amount", "model", "more_settings"]
    assert len(endpoint["returns"]) == 1


def test_amount_from_reconstruction_to_swap(client, red, blue) -> None:
    same, whole = ask(client, red, blue, 0), ask(client, red, blue, 1.0, "portraits")
    assert np.abs(pixels(same) - pixels(red)).max() <= 1
    assert pixels(whole).shape == (256, 256, 3)
    assert pixels(whole)[..., 2].mean() > pixels(whole)[..., 0].mean() + 50
    with Image.open(whole) as saved:
        assert saved.format == "PNG" and "texture 1" in saved.text["Description"] and not saved.getexif()


def test_the_first_pictures_aspect(client, red, blue) -> None:
    assert pixels(ask(client, blue, red, 0.5)).shape == (256, 427, 3)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [((1.5,), "from 0 to 1"), ((-1,), "from 0 to 1"), ((1, "faces"), "Choose one of: portraits"), ((None,), "amount")],
)
def test_wrong_values_are_explained(client, red, blue, arguments, words) -> None:
    with pytest.raises(AppError, match=words):
        ask(client, red, blue, *arguments)


def test_hostile_pictures_are_explained_in_either_place(client, red, tmp_path) -> None:
    for name, words in hostile_pictures(tmp_path).items():
        if name == "nobody.png":  # a picture without a face is fine here
            assert pixels(ask(client, tmp_path / name, red, 1)).shape == (256, 341, 3)
            continue
        for pair in ((tmp_path / name, red), (red, tmp_path / name)):
            with pytest.raises(AppError, match=words):
                ask(client, *pair, 1)
    assert pixels(ask(client, red, red, 1)).shape == (256, 256, 3)


def test_one_picture_missing(client, red) -> None:
    with pytest.raises(AppError, match="texture picture"):
        client.predict(handle_file(red), None, 1, api_name="/autoencoder_swap")


def test_models_are_listed(client, red) -> None:
    ask(client, red, red, 1)
    infos = {info["name"]: info for info in client.predict(api_name="/models")}
    assert infos[swapping_autoencoder_fakes.MODEL]["loaded"] is True


def test_without_weights_it_says_so(fake_server, tmp_path, red) -> None:
    with pytest.raises(AppError, match="not on this machine"):
        ask(connect(fake_server, tmp_path), red, red, 1)
