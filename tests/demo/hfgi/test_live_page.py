"""The live camera of "Edit a face" by this server, in a browser whose camera shows a film."""

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.demo import fakes
from tests.demo.conftest import FLAGS

pytestmark = pytest.mark.browser

FACES = {"one": ((320, 240, 90),), "two": ((180, 240, 80), (460, 240, 90)), "none": ()}


@pytest.fixture(scope="module")
def chromium(browser, tmp_path_factory):
    """Another one, with a camera that shows a drawn face."""
    film = tmp_path_factory.mktemp("camera") / "film.mjpeg"
    picture = io.BytesIO()
    fakes.draw_photo().save(picture, "JPEG", quality=95)
    film.write_bytes(picture.getvalue() * 10)
    kind = browser.browser_type
    path = kind.executable_path if Path(kind.executable_path).is_file() else "/usr/bin/chromium"
    camera = ["--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={film}"]
    with_camera = kind.launch(executable_path=path, args=[*FLAGS, "--use-fake-ui-for-media-stream", *camera])
    yield with_camera
    with_camera.close()


@pytest.fixture(scope="module")
def opened(chromium):
    """Pages of the tests, by the server's address: opening one takes seconds of processor time."""
    pages = {}
    yield pages
    for page in pages.values():
        page.close()


@pytest.fixture
def live(chromium, fake_server, opened):
    """The page with the live camera switched on, not started. At the end: nothing was complained of."""
    page = opened.pop(fake_server.url, None)  # after a test that failed it is another one
    if page is None:
        page = chromium.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(120_000)
        page.complaints = []
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.on("console", lambda message: message.type == "error" and page.complaints.append(message.text))
        page.goto(fake_server.url)
        page.wait_for_selector("body[data-listening]")
        page.evaluate("void (window.sender = window.fetch)")
        page.click("#hfgi-live-switch input")
    page.wait_for_selector("#hfgi-live-view .camera[data-state=ready]")
    yield page
    page.evaluate("delete navigator.mediaDevices.getUserMedia; void (window.fetch = window.sender)")
    page.evaluate(
        """async () => {
            const { Camera } = await import(new URL("live/js/camera.js", location.href));
            if (Camera.prototype.own) Camera.prototype.frame = Camera.prototype.own;
        }"""
    )
    if page.is_enabled("#hfgi-live-stop"):
        page.click("#hfgi-live-stop")
    page.click("#hfgi-reset")
    page.evaluate("document.querySelector('#hfgi-live-view .camera').dataset.state = 'ready'")
    assert page.complaints == []
    opened[fake_server.url] = page


def wait_for(page, sentence):
    page.wait_for_function(
        "sentence => document.querySelector('#hfgi-live-view .camera-message')?.textContent.includes(sentence)",
        arg=sentence,
    )


def start(page):
    page.click("#hfgi-live-start")
    page.wait_for_selector("#hfgi-live-view img:not([hidden])")


def smile(page):
    page.focus("#hfgi-named-0 input[type=range]")
    page.keyboard.press("End")


def shown(page):
    """The picture that is seen, and the bytes of its JPEG."""
    address = page.get_attribute("#hfgi-live-view img", "src")
    data = base64.b64decode(address.removeprefix("data:image/jpeg;base64,"))
    return Image.open(io.BytesIO(data)), data


def show_faces(page, which):
    """Have the camera give other pictures."""
    picture = io.BytesIO()
    fakes.draw_photo(faces=FACES[which]).save(picture, "JPEG", quality=95)
    page.evaluate(
        """async data => {
            const { Camera } = await import(new URL("live/js/camera.js", location.href));
            const bitmap = await createImageBitmap(await (await fetch("data:image/jpeg;base64," + data)).blob());
            Camera.prototype.own ??= Camera.prototype.frame;
            Camera.prototype.frame = async () => ({
                bitmap: await createImageBitmap(bitmap), time: performance.now() / 1000,
            });
        }""",
        base64.b64encode(picture.getvalue()).decode(),
    )


def test_the_sliders_edit_the_camera_and_nothing_is_left(live, fake_server):
    earlier = set(fake_server.files())  # of visitors of earlier tests, who may be leaving still
    start(live)
    wait_for(live, "One face: move a slider.")
    before, plain = shown(live)
    assert b"edited with" not in plain, "nothing is edited yet"
    smile(live)
    live.wait_for_function(
        "before => { const now = document.querySelector('#hfgi-live-view img').src; return now.length > 100"
        " && atob(now.split(',')[1]).includes('edited with'); }",
        arg=None,
    )
    for _ in range(60):  # the change comes nearer to the new one
        live.wait_for_timeout(1000)
        after, marked = shown(live)
        if brighter := np.asarray(after)[240, 320].mean() > np.asarray(before)[240, 320].mean() + 12:
            break
    assert brighter
    assert b"smile +3" in marked and b"compositeWithTrainedAlgorithmicMedia" in marked
    numbers = live.locator("#hfgi-live-view .camera-numbers")
    live.wait_for_selector("#hfgi-live-view .camera-numbers[data-rate]")
    assert float(numbers.get_attribute("data-rate")) > 0.5
    assert int(numbers.get_attribute("data-came")) >= int(numbers.get_attribute("data-dropped")) > 0
    assert "frames a second" in numbers.inner_text() and "dropped" in numbers.inner_text()
    assert set(fake_server.files()) <= earlier, "a frame is written to no file"
    live.click("#hfgi-live-stop")
    wait_for(live, "Stopped.")
    assert live.evaluate("document.querySelector('#hfgi-live-view video').srcObject") is None
    start(live)  # and once more
    wait_for(live, "One face")


def test_no_face_several_faces_and_a_hidden_tab(live):
    start(live)
    for which, sentence in (
        ("none", "No face is in the picture: come into it"),
        ("two", "2 faces: the largest one is edited."),
        ("one", "One face"),
    ):
        show_faces(live, which)
        wait_for(live, sentence)
    live.evaluate(
        "Object.defineProperty(document, 'hidden', { value: true, configurable: true });"
        "document.dispatchEvent(new Event('visibilitychange'))"
    )
    wait_for(live, "Paused while this tab is hidden.")
    live.evaluate("delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))")
    wait_for(live, "One face")


@pytest.mark.parametrize(
    ("name", "sentence"), [("NotFoundError", "No camera was found."), ("NotAllowedError", "not allowed")]
)
def test_no_camera(live, name, sentence):
    live.evaluate(
        "name => { navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', name)); }", name
    )
    live.click("#hfgi-live-start")
    wait_for(live, sentence)
    assert live.is_enabled("#hfgi-live-start") and not live.is_enabled("#hfgi-live-stop")


def test_one_frame_at_a_time_the_newest_first(live):
    """Over a slow line no second frame is sent while one is under way, and the next one is the camera's newest."""
    live.evaluate(
        """() => {
            const send = window.fetch;
            window.seen = [];
            window.fetch = async (target, options) => {
                const frame = String(options?.body ?? "").match(/"number":\\d+,"time":([\\d.]+)/);
                if (frame) {
                    window.seen.push(["taken", Number(frame[1])]);
                    await new Promise((resolve) => setTimeout(resolve, 400));
                }
                return send(target, options);
            };
            const picture = document.querySelector("#hfgi-live-view img");
            const answered = () => window.seen.push(["answered", performance.now() / 1000]);
            new MutationObserver(answered).observe(picture, { attributeFilter: ["src"] });
        }"""
    )
    start(live)
    live.wait_for_function("window.seen.length > 9")
    seen = live.evaluate("window.seen")
    assert [what for what, _ in seen] == ["taken", "answered"] * (len(seen) // 2) + ["taken"] * (len(seen) % 2)
    times = [when for _, when in seen]
    assert times == sorted(times), "a frame was taken before the last one was answered"


def test_leaving_the_switch_stops_the_camera(live):
    start(live)
    live.evaluate("window.view = document.querySelector('#hfgi-live-view video')")
    live.click("#hfgi-live-switch input")
    live.wait_for_selector("#hfgi-photo")
    live.wait_for_function("!window.view.srcObject")
    live.click("#hfgi-on-device input")
    live.wait_for_selector("#hfgi-photo", state="hidden")
    live.click("#hfgi-live-switch input")  # instead of the other one
    live.wait_for_selector("#hfgi-live-view")
    assert not live.is_checked("#hfgi-on-device input")
