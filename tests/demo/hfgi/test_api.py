"""The endpoints through gradio_client, against really started servers: good requests and hostile ones."""

import concurrent.futures
import json
import urllib.error
import urllib.request

import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from tests.demo import fakes
from tests.gan_core.faces.clips import read_clip, write_clip

ATTRIBUTES = ("smile", "age", "pose")


def connect(server, tmp_path):
    return Client(server.url, download_files=str(tmp_path / "downloads"), verbose=False, analytics_enabled=False)


def ask(client, path, *arguments, **named):
    return client.predict(handle_file(str(path)), *arguments, api_name="/hfgi_edit", **named)


def pixels(path):
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"), float)


@pytest.fixture
def client(fake_server, tmp_path):
    return connect(fake_server, tmp_path)


@pytest.fixture
def photo(tmp_path):
    return fakes.save(fakes.draw_photo(), tmp_path / "photo.png")


def test_documented_signatures(client):
    endpoints = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    assert set(endpoints) == {
        "/hfgi_edit", "/hfgi_edit_many", "/hfgi_sweep", "/hfgi_video", "/self_conditioned_edit",
        "/self_conditioned_values", "/comodgan_inpaint", "/comodgan_draw", "/insetgan_compose",
        "/autoencoder_swap", "/models",
    }  # fmt: skip
    names = [parameter["parameter_name"] for parameter in endpoints["/hfgi_edit"]["parameters"]]
    assert names == ["image", "attribute", "strength", "align", "model", "refine"]
    assert len(endpoints["/hfgi_edit"]["returns"]) == 2


def test_edit(client, photo):
    edited, plain = ask(client, photo, "smile", 2)
    original = pixels(photo)
    assert pixels(edited).shape == pixels(plain).shape == original.shape
    assert (pixels(edited) - original)[240, 320].mean() > 15
    with Image.open(edited) as saved:
        assert saved.format == "PNG" and "smile +2" in saved.text["Description"] and not saved.getexif()


def test_refined(client, photo):
    edited, plain = ask(client, photo, "smile", 1, True, "portraits", True)
    other, before = ask(client, photo, "smile", 1)
    original = pixels(photo)
    assert np.abs(pixels(edited) - original).mean() > 1.5 * np.abs(pixels(other) - original).mean()
    assert np.abs(pixels(plain) - original).mean() < np.abs(pixels(before) - original).mean()
    for path, says in ((edited, True), (plain, True), (other, False)):
        with Image.open(path) as saved:
            assert ("refined on the photo in 12 steps" in saved.text["Description"]) == says


def test_cut_out_faces(client, tmp_path):
    crop = fakes.save(fakes.draw_photo((300, 300), ((150, 150, 90),)), tmp_path / "crop.png")
    edited, plain = ask(client, crop, "age", -1, False, "portraits")
    assert pixels(edited).shape == pixels(plain).shape == (256, 256, 3)


def test_models(client):
    (info,) = client.predict(api_name="/models")
    assert info["name"] == fakes.MODEL and info["licence"] and info["resolution"] == 256
    assert info["loaded"] is True and info["device"] and info["memory_bytes"] > 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("smile", 3.5), "from -3 to 3"),
        (("smile", -99), "from -3 to 3"),
        (("smiel", 1), "Choose one of: smile"),
        (("", 1), "Choose one of: smile"),
        (("smile", 1, True, "ffhq-secret"), "Choose one of: portraits"),
        (("smile", 1, False), "square"),
    ],
)
def test_wrong_values_are_explained(client, photo, arguments, words):
    with pytest.raises(AppError, match=words):
        ask(client, photo, *arguments)


def hostile_pictures(folder):
    (folder / "text.png").write_text("no picture at all")
    (folder / "empty.jpg").write_bytes(b"")
    Image.new("RGB", (1, 1)).save(folder / "dot.png")
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (400, 400, 3), dtype=np.uint8))
    noise.save(folder / "whole.jpg")
    (folder / "cut.jpg").write_bytes((folder / "whole.jpg").read_bytes()[:9000])
    Image.new("L", (10_000, 10_000)).save(folder / "huge.png")
    (folder / "drawing.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    Image.new("RGB", (400, 300), "teal").save(folder / "nobody.png")
    return {
        "text.png": "not a picture",
        "empty.jpg": "empty",
        "dot.png": "1 x 1",
        "cut.jpg": "damaged or cut short",
        "huge.png": "too large",
        "drawing.svg": "not a picture",
        "nobody.png": "No face was found",
    }


def test_hostile_pictures_are_explained_and_the_server_goes_on(client, photo, tmp_path):
    for name, words in hostile_pictures(tmp_path).items():
        with pytest.raises(AppError, match=words):
            ask(client, tmp_path / name, "smile", 1)
    assert ask(client, photo, "smile", 1)


@pytest.mark.parametrize("mode", ["CMYK", "L", "1", "P", "RGBA", "I;16"])
def test_unusual_pictures_are_read(client, tmp_path, mode):
    picture = fakes.draw_photo()
    if mode == "I;16":
        picture = Image.fromarray(np.asarray(picture.convert("L"), np.uint16) * 257)
    else:
        picture = picture.convert(mode)
    path = fakes.save(picture, tmp_path / ("picture.tif" if mode == "CMYK" else "picture.png"))
    try:
        assert ask(client, path, "smile", 1)
    except AppError as error:  # the fake finder knows faces by their colour
        assert "No face" in str(error) and mode in ("L", "1", "I;16", "P")


def test_two_requests_at_once(fake_server, photo, tmp_path):
    clients = [connect(fake_server, tmp_path / str(index)) for index in range(2)]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        jobs = [pool.submit(ask, client, photo, "smile", strength) for strength in (-2, -1, 1, 2) for client in clients]
        brightness = [pixels(job.result(60)[0])[240, 320].mean() for job in jobs]
    assert brightness[::2] == brightness[1::2] and brightness[::2] == sorted(brightness[::2])


def post(url, payload):
    request = urllib.request.Request(url, json.dumps(payload).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read())


def stream(url):
    with urllib.request.urlopen(url, timeout=30) as answer:
        return answer.read().decode()


@pytest.mark.parametrize("path", ["/etc/passwd", "../../etc/passwd", "app.py", "weights/catalogue.py"])
def test_files_of_the_server_cannot_be_named(fake_server, path):
    call = f"{fake_server.url}/gradio_api/call/hfgi_edit"
    file = {"path": path, "meta": {"_type": "gradio.FileData"}}
    event = post(call, {"data": [file, "smile", 1, True, "portraits", False]})["event_id"]
    answer = stream(f"{call}/{event}")
    assert "event: error" in answer and "root:" not in answer
    with pytest.raises(urllib.error.HTTPError):
        stream(f"{fake_server.url}/gradio_api/file={path}")


@pytest.mark.parametrize(
    "data",
    [
        [None, "smile", 1, True, "portraits", True],
        ["text", "smile", 1, True, "portraits", False],
        [{}, "smile", "a lot", True, "portraits", False],
        [None, None, None, None, None, None],
        [
            {"url": "data:image/png;base64,AAAA", "meta": {"_type": "gradio.FileData"}},
            "smile",
            1,
            True,
            "portraits",
            {},
        ],
        [[], {}, [], {}, []],
        [],
    ],
)
def test_malformed_requests_are_refused(fake_server, data):
    call = f"{fake_server.url}/gradio_api/call/hfgi_edit"
    try:
        event = post(call, {"data": data})["event_id"]
    except urllib.error.HTTPError as error:
        assert 400 <= error.code < 600
    else:
        assert "event: error" in stream(f"{call}/{event}")
    assert stream(fake_server.url)


def test_several_attributes_at_once(client, photo):
    path = client.predict(handle_file(photo), {"smile": 2, "age": -1}, api_name="/hfgi_edit_many")
    with Image.open(path) as edited:
        assert edited.size == (640, 480) and "smile +2, age -1" in edited.text["Description"]
    for strengths, sentence in (
        ({"nose": 1}, "no attribute 'nose'"),
        ({"age": 9}, "from -3 to 3"),
        ("x", "by attribute"),
    ):
        with pytest.raises(AppError, match=sentence):
            client.predict(handle_file(photo), strengths, api_name="/hfgi_edit_many")


def test_a_sweep(client, photo):
    path = client.predict(handle_file(photo), "smile", {"age": -1}, api_name="/hfgi_sweep")
    with Image.open(path) as animation:
        assert animation.format == "WEBP" and max(animation.size) == 512
        assert b"age -1; smile from -3 to +3 and back" in animation.info["xmp"]
        brightness = []
        for i in range(animation.n_frames):
            animation.seek(i)
            pixel = np.asarray(animation.convert("RGB"), float)[192, 256].mean()
            brightness += [pixel] * round(animation.info["duration"] / 67)  # like frames are kept as one, shown longer
    assert abs(len(brightness) - 48) < 3
    assert brightness[0] + 20 < brightness[12] < brightness[24] - 20 and abs(brightness[36] - brightness[12]) < 12
    for arguments, sentence in (
        (("nose", {}), "Choose one of: smile"),
        (("smile", {"age": 9}), "from -3 to 3"),
        (("smile", "much"), "by attribute"),
        (("smile", {}, "portraits", "avi"), "webp, gif"),
    ):
        with pytest.raises(AppError, match=sentence):
            client.predict(handle_file(photo), *arguments, api_name="/hfgi_sweep")


def test_a_video_side_by_side(client, tmp_path):
    frames = [fakes.draw_photo(faces=((290 + 4 * i, 240, 90),)) for i in range(6)]
    clip = write_clip(tmp_path / "clip.mp4", frames, rate=10)
    source = handle_file(str(clip))
    for beside, width in ((False, 640), (True, 1280)):
        found = client.predict(source, {"smile": 3}, "portraits", beside, api_name="/hfgi_video")
        pictures, _, metadata, _ = read_clip(found)
        assert pictures[0].shape == (480, width, 3) and len(pictures) == 6 and "dited" in metadata["comment"]
    left, right = pictures[3][:, :640].astype(float), pictures[3][:, 640:].astype(float)
    assert (right - left)[240, 302].mean() > 15 and abs((right - left)[20, 20]).max() < 6
    for arguments, sentence in (
        ((source, {"nose": 1}), "Choose one of: smile"),
        ((source, 5), "by attribute"),
        ((None, {"smile": 1}), "choose a video"),
    ):
        with pytest.raises(AppError, match=sentence):
            client.predict(*arguments, api_name="/hfgi_video")
