"""The live page in a real browser: the same results as the server's, a camera, and what can be in the way."""

from __future__ import annotations

import hashlib
import io
import re
import threading
from pathlib import Path

import numpy as np
import pytest
import uvicorn
from PIL import Image
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from demo import live
from demo.hfgi.device_panel import _FRAME
from gan_core.faces import align, find_faces, paste_back
from gan_core.faces.reference import reference_for
from gan_core.hfgi.pipeline import load_embedded
from gan_core.images import open_image, save_png, to_pil, to_tensor
from tests.demo.conftest import FLAGS

EXAMPLES = live.PAGE.parent / "examples"
FACE, OTHER = EXAMPLES / "person_1003.jpg", EXAMPLES / "person_1059.jpg"
PLACE = EXAMPLES / "place_garden.jpg"


# ---------------------------------------------------------------- files and routes


@pytest.fixture
def client() -> TestClient:
    return TestClient(Starlette(routes=[Mount("/below", routes=live.routes())]), follow_redirects=False)


def test_routes_give_the_page_and_nothing_else(client: TestClient) -> None:
    assert client.get("/below/live").headers["location"] == "live/"
    page = client.get("/below/live/")
    assert page.status_code == 200 and page.headers["cross-origin-embedder-policy"] == "require-corp"
    assert client.get("/below/live/", headers={"if-none-match": page.headers["etag"]}).status_code == 304
    weights = client.get(f"/below/live/weights/{live.WEIGHTS_FILES[0]}")
    assert "max-age" in weights.headers["cache-control"] and len(weights.content) > 1e6
    assert client.get("/below/live/vendor/ort.wasm.min.mjs").headers["content-type"].startswith("text/javascript")
    for path in ("weights/people_face/discriminator.safetensors", "weights/", "..%2f..%2flive.py", "%2e%2e/style.css"):
        assert client.get(f"/below/live/{path}").status_code == 404, path
    assert client.post("/below/live/").status_code == 405
    assert 'src="live/"' in _FRAME and "camera" in _FRAME


def test_static_site_has_every_file_that_is_named(tmp_path: Path) -> None:
    assert live.main([str(tmp_path)]) == 0
    written = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert {"index.html", "README.md", "graphs/index.json", "graphs/consult.onnx"} <= written
    assert {"LICENSE", "vendor/LICENSE", "vendor/ThirdPartyNotices.txt", "weights/people_hfgi/README.md"} <= written
    assert {f"weights/{name}" for name in live.WEIGHTS_FILES} <= written
    assert "sdk: static" in (tmp_path / "README.md").read_text()
    for path in (tmp_path / "js").iterdir():
        for name in re.findall(r'(?:from|import\(|new URL\()\s*"(\.[^"]+\.m?js)"', path.read_text()):
            assert (path.parent / name).is_file(), f"{path.name} names {name}"


def test_onnxruntime_is_the_one_that_the_readme_names() -> None:
    vendor = live.PAGE / "vendor"
    rows = re.findall(r"\| `(\S+)` \| (\d+) \| `(\w{64})` \|", (vendor / "README.md").read_text())
    assert {name for name, _, _ in rows} == {path.name for path in vendor.glob("ort*")}
    for name, size, digest in rows:
        data = (vendor / name).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (int(size), digest), name


# ---------------------------------------------------------------- the page


class Recorder:
    """An ASGI layer that keeps the paths that were asked for."""

    def __init__(self, app: Starlette) -> None:
        self.app, self.paths = app, []

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] == "http":
            self.paths.append(scope["path"])
        await self.app(scope, receive, send)


@pytest.fixture(scope="module")
def site():
    recorder = Recorder(Starlette(routes=live.routes()))
    server = uvicorn.Server(uvicorn.Config(recorder, port=0, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}/live/", recorder
    server.should_exit = True
    thread.join()


def camera_film(path: Path) -> Path:
    """A face that moves a little, as a camera's frames."""
    place, face = Image.open(PLACE).convert("RGB").resize((480, 360)), Image.open(FACE).resize((300, 300))
    with path.open("wb") as film:
        for frame in range(60):
            picture = place.copy()
            picture.paste(face, (90 + round(20 * np.sin(2 * np.pi * frame / 60)), 40))
            picture.save(film, "JPEG", quality=90)
    return path


@pytest.fixture(scope="module")
def chromium(browser, tmp_path_factory):
    """Another one, with a camera that shows a film."""
    film = camera_film(tmp_path_factory.mktemp("camera") / "film.mjpeg")
    camera = ["--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={film}"]
    kind = browser.browser_type
    path = next((path for path in (kind.executable_path,) if Path(path).is_file()), "/usr/bin/chromium")
    with_camera = kind.launch(executable_path=path, args=[*FLAGS, "--use-fake-ui-for-media-stream", *camera])
    yield with_camera
    with_camera.close()


@pytest.fixture(scope="module")
def loaded(chromium, site):
    """The page with its models, for all tests: loading them takes seconds of processor time."""
    page = chromium.new_page(viewport={"width": 1000, "height": 800})
    page.set_default_timeout(120_000)
    page.complaints = []
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("console", lambda message: message.type == "error" and page.complaints.append(message.text))
    page.goto(site[0])
    page.wait_for_selector("body[data-state=ready]")
    page.asked = []
    page.on("request", lambda request: page.asked.append(request.url))
    yield page
    page.close()


@pytest.fixture
def page(loaded, site):
    """Sliders at 0, no camera. After the test: no error, and nothing was asked for since the models were loaded."""
    loaded.evaluate("live.camera.on && document.querySelector('#start').click()")
    loaded.evaluate("document.querySelectorAll('#sliders input').forEach(slider => { slider.value = 0; })")
    loaded.evaluate("document.body.dataset.state = 'ready'; document.querySelector('#numbers').dataset.edits = 0")
    before = len(site[1].paths)
    yield loaded
    assert loaded.complaints == []
    assert site[1].paths[before:] == [] and [url for url in loaded.asked if not url.startswith("blob:")] == []


def set_sliders(page, **values: float) -> None:
    page.evaluate(
        "values => { for (const [name, value] of Object.entries(values))"
        " document.querySelector(`#sliders input[name=${name}]`).value = value; }",
        values,
    )


POLLING = 100  # milliseconds: a busy machine's headless browser may draw no frame for a long time


def wait_for(page, sentence: str) -> None:
    page.wait_for_function(
        "sentence => document.querySelector('#message').textContent.includes(sentence)", arg=sentence, polling=POLLING
    )


def wait_for_edit(page) -> None:
    """Until the chosen photo is edited. Where the page says that it cannot be, or nothing, that is the error."""
    done = "() => document.querySelector('#numbers').dataset.edits > 0 || document.body.dataset.state === 'trouble'"
    try:
        page.wait_for_function(done, polling=POLLING)
    finally:
        said = f"{page.get_attribute('body', 'data-state')}: {page.inner_text('#message')}"
        assert page.get_attribute("#numbers", "data-edits") == "1", said


def saved(page, path: Path) -> Image.Image:
    with page.expect_download() as download:
        page.click("#save")
    download.value.save_as(path)
    return Image.open(path)


def edited_by_the_server(path: Path, strengths: dict[str, float]) -> np.ndarray:
    pipeline, photo = load_embedded(live.WEIGHTS), open_image(path)
    aligned = align(photo, find_faces(photo, backend="embedded")[0], 256)
    inversion = pipeline.invert(to_tensor(aligned.crop))
    unchanged, edited = (to_pil(pipeline.edit(inversion, values)) for values in ({}, strengths))
    result = paste_back(photo, aligned, edited, reference=reference_for(aligned.crop, unchanged, edited))
    return np.asarray(result, float)


@pytest.mark.browser
@pytest.mark.parametrize(
    ("path", "strengths"),
    [
        (FACE, {"smile": 2.0}),
        (OTHER, {"pose": -2.0, "gender": 1.5}),
        (FACE, {"lips": 2.0}),
        (OTHER, {"glasses": 3.0, "lips": 2.0}),  # eyes and mouth: the face
    ],
)
def test_a_photo_comes_out_as_the_servers(page, tmp_path: Path, path: Path, strengths: dict[str, float]) -> None:
    set_sliders(page, **strengths)
    page.set_input_files("#file", str(path))
    wait_for_edit(page)
    wait_for(page, "Move a slider")
    picture = saved(page, tmp_path / "edited.png")
    expected, before = edited_by_the_server(path, strengths), np.asarray(open_image(path), float)
    apart = np.abs(np.asarray(picture.convert("RGB"), float) - expected).mean()
    assert apart < 1, "grey levels; 2 are allowed"
    moved = np.abs(expected - before).mean()  # lips are a small part of a picture
    assert moved > 0.2 and apart < moved / 2, "else nothing was edited"
    assert page.is_visible("#marked")
    marked = Image.open(save_png(picture.convert("RGB"), tmp_path / "server.png", picture.info["Description"]))
    assert {key: picture.info[key] for key in marked.info} == marked.info  # text chunks and XMP
    assert ", ".join(f"{name} {value:+g}" for name, value in strengths.items()) in picture.info["Description"]


@pytest.mark.browser
def test_a_slider_moved_while_a_face_is_read_is_drawn_once(page, tmp_path: Path) -> None:
    page.set_input_files("#file", str(OTHER))
    wait_for(page, "Looking for faces")
    set_sliders(page, smile=2.0)
    page.dispatch_event("#sliders input[name=smile]", "input")
    wait_for_edit(page)
    wait_for(page, "Move a slider")
    picture = np.asarray(saved(page, tmp_path / "edited.png").convert("RGB"), float)
    assert np.abs(picture - edited_by_the_server(OTHER, {"smile": 2.0})).mean() < 1
    assert page.get_attribute("#numbers", "data-edits") == "1"


@pytest.mark.browser
def test_sliders_at_zero_leave_the_photo(page, tmp_path: Path) -> None:
    page.set_input_files("#file", str(FACE))
    wait_for_edit(page)
    picture = saved(page, tmp_path / "same.png")
    assert np.array_equal(np.asarray(picture.convert("RGB")), np.asarray(Image.open(FACE)))
    assert "Description" not in picture.info and not page.is_visible("#marked")


@pytest.mark.browser
def test_four_faces(page) -> None:
    photo = Image.new("RGB", (1200, 300), "grey")
    for i, name in enumerate((1003, 1014, 1006, 1059)):
        photo.paste(Image.open(EXAMPLES / f"person_{name}.jpg").resize((280, 280)), (10 + 300 * i, 10))
    data = io.BytesIO()
    photo.save(data, "PNG")
    page.set_input_files("#file", {"name": "four.png", "mimeType": "image/png", "buffer": data.getvalue()})
    wait_for(page, "4 faces found; face 1 is edited. Click another")
    assert page.locator("#boxes button").count() == 4
    page.locator("#boxes button").nth(2).click()
    wait_for(page, "4 faces found; face 3 is edited. Click another")


@pytest.mark.browser
def test_pictures_that_cannot_be_edited(page) -> None:
    page.set_input_files("#file", str(PLACE))
    wait_for(page, "No face was found in this picture.")
    page.set_input_files("#file", {"name": "a.png", "mimeType": "image/png", "buffer": b"no picture"})
    wait_for(page, "The file is not a picture that this browser can read.")


@pytest.mark.browser
def test_the_camera(page) -> None:
    """A face that leaves and comes back, and a tab that is hidden for a while."""
    set_sliders(page, smile=2)
    page.click("#start")
    page.wait_for_selector("body[data-edited=yes]")
    wait_for(page, "One face: move a slider.")
    page.evaluate(
        "void (live.camera.frame = async () =>"
        " ({ bitmap: await createImageBitmap(new ImageData(480, 360)), time: performance.now() / 1000 }))"
    )
    wait_for(page, "No face is in the picture")
    assert page.get_attribute("body", "data-edited") == "no"
    page.evaluate("delete live.camera.frame")
    page.wait_for_selector("body[data-edited=yes]")
    page.evaluate(
        "Object.defineProperty(document, 'hidden', { value: true, configurable: true });"
        "document.dispatchEvent(new Event('visibilitychange'))"
    )
    page.wait_for_selector("body[data-state=paused]")
    page.evaluate("delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))")
    page.wait_for_selector("body[data-state=live]")
    page.click("#start")
    wait_for(page, "Start the camera, or choose a photo")
    assert page.evaluate("document.querySelector('#video').srcObject") is None


@pytest.mark.browser
@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("NotFoundError", "No camera was found."),
        ("NotAllowedError", "not allowed"),
        ("NotReadableError", "another program"),
    ],
)
def test_no_camera(page, name: str, sentence: str) -> None:
    page.evaluate(
        "name => { navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', name)); }",
        name,
    )
    page.click("#start")
    wait_for(page, sentence)
    page.evaluate("delete navigator.mediaDevices.getUserMedia")
    assert page.inner_text("#start") == "Start the camera"


@pytest.mark.browser
def test_several_cameras_are_offered(page) -> None:
    cameras = (
        "[{ kind: 'videoinput', deviceId: 'a', label: 'Front' }, { kind: 'videoinput', deviceId: 'b', label: '' }]"
    )
    page.evaluate(f"void (navigator.mediaDevices.enumerateDevices = async () => {cameras})")
    page.click("#start")
    page.wait_for_selector("#cameras:not([hidden])")
    assert page.locator("#camera option").all_text_contents() == ["Front", "Camera 2"]
    page.evaluate("delete navigator.mediaDevices.enumerateDevices")
    page.select_option("#camera", "b")
    wait_for(page, "This camera is not there any more.")


@pytest.mark.browser
@pytest.mark.parametrize("ending", ["throws", "never answers"])
def test_a_lost_gpu(page, site, ending: str) -> None:
    """With an onnxruntime whose GPU sessions end so: the same is computed by WebAssembly, and the person is told."""
    result = page.evaluate(
        """async ending => {
            const { Models } = await import(new URL("js/models.js", location.href));
            let lose;
            const device = { lost: new Promise(resolve => { lose = resolve; }) }, told = [];
            const models = new Models(["encode"], { gpu: true, threads: 1, told() {}, lost: text => told.push(text) });
            const run = kind => async feeds => {
                if (kind === "wasm") return { codes: { data: feeds.face.data } };
                if (ending === "throws") throw new Error("device");
                lose({ reason: "destroyed" });
                return new Promise(() => {});
            };
            models.ort = {
                env: { webgpu: { device } },
                Tensor: class { constructor(type, data) { this.data = data; } },
                InferenceSession: { create: async (_, { executionProviders: [kind] }) => ({ run: run(kind) }) },
            };
            Object.assign(models, { index: { graphs: { encode: [] } }, files: new Map() });
            await models.open("webgpu");
            const answers = await Promise.all([1, 2].map(x => models.run("encode", { face: [[x], [1]] })));
            return [answers.map(answer => answer.codes[0]), models.device, told];
        }""",
        ending,
    )
    site[1].paths.clear()
    page.asked.clear()  # of the import
    assert result[:2] == [[1, 2], "wasm"]
    assert len(result[2]) == 1 and "graphics processor was lost" in result[2][0]


@pytest.mark.browser
def test_an_old_browser_is_told_what_it_lacks(chromium, site) -> None:
    page = chromium.new_page()
    page.add_init_script("delete window.OffscreenCanvas; WebAssembly.validate = () => false")
    page.goto(site[0])
    sentence = page.inner_text("body[data-state=trouble] #message")
    assert "too old" in sentence and "OffscreenCanvas" in sentence and "SIMD" in sentence
    page.close()


@pytest.mark.browser
def test_latents_are_smoothed_and_another_face_begins_anew(page, site) -> None:
    trembling, other = page.evaluate(
        """async () => {
            const { LatentSmoother } = await import(new URL("js/latents.js", location.href));
            const smoother = new LatentSmoother(), steps = [];
            for (let i = 0; i < 40; i++) steps.push(smoother.smoothed(Float32Array.of(i % 2 ? 0.1 : -0.1), i / 12)[0]);
            return [steps.slice(20), smoother.smoothed(Float32Array.of(5), 4)[0]];
        }"""
    )
    site[1].paths.clear()
    page.asked.clear()
    assert max(map(abs, trembling)) < 0.03 and other == 5
