"""The Models page in a real browser: fetch, stop, continue, give a file by path and by upload, remove."""

from __future__ import annotations

import hashlib
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch

from tests.demo.conftest import started
from tests.demo.tabs import choose_file, click_tab
from tests.gan_core.checkpoints.test_adapters import nvidia_names, random_generator
from tests.gan_core.checkpoints.test_library import NARROW, canvas

pytestmark = pytest.mark.browser


class Slow(BaseHTTPRequestHandler):
    """Gives /slow in about four seconds, from where it is asked to."""

    body = b""
    starts: list[int] = []

    def do_GET(self) -> None:  # noqa: N802 (the base class's name)
        if self.path != "/slow":
            self.send_error(404)
            return
        asked = self.headers.get("Range")
        start = int(asked[6:-1]) if asked else 0
        self.starts.append(start)
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(self.body) - start))
        self.end_headers()
        step = len(self.body) // 40
        for at in range(start, len(self.body), step):
            try:
                self.wfile.write(self.body[at : at + step])
            except OSError:
                return
            time.sleep(0.1)

    def log_message(self, *_args: object) -> None:
        pass


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("file") / "no_telling_name.bin"
    torch.manual_seed(0)
    torch.save(canvas(), path)
    return path


@pytest.fixture(scope="module")
def models_server(tmp_path_factory, model_file):
    Slow.body, Slow.starts = model_file.read_bytes(), []
    with ThreadingHTTPServer(("127.0.0.1", 0), Slow) as http, pytest.MonkeyPatch.context() as patch:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        patch.setenv("STUDIO_TEST_SOURCE", f"http://127.0.0.1:{http.server_port}")
        patch.setenv("STUDIO_TEST_SIZE", str(len(Slow.body)))
        patch.setenv("STUDIO_TEST_SHA256", hashlib.sha256(Slow.body).hexdigest())
        folder = tmp_path_factory.mktemp("models")
        flags = ["--no-offline", "--weights", str(folder / "weights")]
        with started(["-m", "tests.demo.models_page.fake_app", *flags], folder) as server:
            yield server
        http.shutdown()


def open_models(page) -> None:
    click_tab(page, "Models")
    page.wait_for_selector("#models-fetch", state="visible")


def says(page, place: str, text: str) -> None:
    page.locator(f"#models-{place}").get_by_text(text).first.wait_for(timeout=120_000)


def choose(page, place: str, text: str) -> None:
    page.locator(f"#models-{place} input").first.click()
    page.get_by_role("option", name=text).first.click()


def test_fetch_stop_continue_then_give_files_and_remove(models_server, open_page, model_file, tmp_path) -> None:
    page = open_page(models_server.url)
    open_models(page)
    says(page, "installed", "No published model is installed")
    choose(page, "choice", "StyleGAN-Human bodies, 512x256")
    says(page, "facts", "non-commercial")
    page.click("#models-fetch")
    page.get_by_text("tick that you accept").wait_for()
    page.check("#models-accept input")
    page.click("#models-fetch")
    page.wait_for_selector("#models-job progress")
    page.wait_for_timeout(1500)
    page.screenshot(path=tmp_path / "fetching.png")
    page.click("#models-stop")
    says(page, "job", "goes on from there")
    choose(page, "choice", "SHHQ-1.0 bodies, 512x256")
    page.wait_for_function("!document.querySelector('#models-accept input').checked")
    choose(page, "choice", "StyleGAN-Human bodies, 512x256")
    page.locator("#models-facts").get_by_text("Partly here").wait_for()
    page.check("#models-accept input")
    page.click("#models-fetch")
    says(page, "job", '"Compose a body" offers it once FFHQ faces')
    assert Slow.starts[0] == 0 and Slow.starts[1] > 0, "it went on from where it was stopped"
    says(page, "installed", "StyleGAN-Human bodies, 512x256")
    says(page, "installed", "converted from body.pkl")

    page.fill("#models-path textarea, #models-path input", str(model_file))
    page.click("#models-look")
    says(page, "found", "512 x 256 pixels")
    choose(page, "place", "SHHQ-1.0 bodies, 512x256")
    page.check("#models-given-accept input")
    page.click("#models-install")
    says(page, "installed", "SHHQ-1.0 bodies, 512x256")
    assert model_file.is_file()

    choose(page, "removed", "SHHQ-1.0 bodies, 512x256")
    page.click("#models-remove")
    page.wait_for_function("!document.querySelector('#models-installed').textContent.includes('SHHQ-1.0')")

    page.fill("#models-path textarea, #models-path input", "")
    choose_file(page, "#models-upload", model_file)
    page.locator("#models-upload").get_by_text("no_telling_name").first.wait_for()
    page.click("#models-look")
    says(page, "found", "512 x 256 pixels")
    choose(page, "place", "SHHQ-1.0 bodies, 512x256")
    page.check("#models-given-accept input")
    page.click("#models-install")
    says(page, "installed", "SHHQ-1.0 bodies, 512x256")
    page.screenshot(path=tmp_path / "installed.png", full_page=True)
    left = [path for path in models_server.files() if path.suffix == ".bin"]
    assert left == [], "an upload is deleted once it is converted"


def test_what_is_no_checkpoint_is_said(models_server, open_page, tmp_path) -> None:
    page = open_page(models_server.url, width=390)
    click_tab(page, "Models")
    path = tmp_path / "holiday.jpg"
    path.write_bytes(b"\xff\xd8 not weights")
    page.fill("#models-path textarea, #models-path input", str(path))
    page.click("#models-look")
    page.get_by_text("no checkpoint of a kind known here").wait_for()
    page.screenshot(path=tmp_path / "phone.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth + 1")


def offered(page) -> list[str]:
    """What the menu of weights of "Compose a body" offers; it is opened and closed. Nothing while it is hidden."""
    box = page.locator("#insetgan-model input")
    if not box.count() or not box.is_visible():
        return []
    box.click()
    page.get_by_role("option", name="Portrait (embedded)").wait_for()
    names = [name.lstrip("✓").strip() for name in page.get_by_role("option").all_inner_texts()]
    page.keyboard.press("Escape")
    box.blur()
    return names


def compose(page) -> None:
    """Open the tab anew. Its menu is brought up to date meanwhile."""
    click_tab(page, "Models")
    page.wait_for_selector("#models-installed", state="visible")
    click_tab(page, "Compose a body")
    page.wait_for_selector("#insetgan-start", state="visible")


def is_offered(page, label: str, wanted: bool) -> bool:
    """Whether the menu comes to offer the weights (or no more), which it does some time after the tab is opened."""
    for _ in range(120):
        page.wait_for_timeout(1000)
        names = offered(page)
        if names and (label in names) == wanted:
            return True
    return False


def weights_shown(page, text: str) -> None:
    page.get_by_text(f"Weights: {text} pixels").first.wait_for()


def give(page, path, is_what: str, says_what: str) -> None:
    """Install a file of this machine."""
    click_tab(page, "Models")
    page.wait_for_selector("#models-installed", state="visible")
    page.fill("#models-path textarea, #models-path input", str(path))
    page.click("#models-look")
    says(page, "found", "pixels")
    choose(page, "place", is_what)
    page.check("#models-given-accept input")
    page.click("#models-install")
    says(page, "job", says_what)


def test_an_installed_model_is_in_its_menu_at_once_and_leaves_it_again(models_server, open_page, tmp_path) -> None:
    body, face, label = tmp_path / "body.bin", tmp_path / "face.bin", "shhq (published)"
    torch.save(canvas(1024), body)
    torch.save({"G_ema": nvidia_names(random_generator(1024, **NARROW))}, face)
    other = open_page(models_server.url)  # a visitor who was there before
    page = open_page(models_server.url)
    for one in (other, page):
        compose(one)
        assert is_offered(one, label, False)

    give(page, body, "SHHQ-1.0 bodies, 1024x512", "once FFHQ faces")
    compose(page)
    page.wait_for_timeout(2000)
    assert label not in offered(page), "bodies are of no use without the face"
    give(page, face, "InsetGAN's inset", 'It is in the menu of "Compose a body" now.')
    compose(page)
    assert is_offered(page, label, True)
    page.locator("#insetgan-model input").fill("shhq (")
    page.keyboard.press("Enter")
    weights_shown(page, f"{label}, 512 x 1024")
    page.wait_for_function(  # its bodies are drawn
        "[...document.querySelectorAll('#insetgan-body-gallery img')].some(i => i.naturalHeight === 2 * i.naturalWidth)"
    )
    compose(other)
    assert is_offered(other, label, True)
    late = open_page(models_server.url)
    compose(late)
    assert is_offered(late, label, True)

    click_tab(page, "Models")
    choose(page, "removed", "SHHQ-1.0 bodies, 1024x512")
    page.click("#models-remove")
    page.wait_for_function("!document.querySelector('#models-installed').textContent.includes('SHHQ-1.0 bodies, 1024')")
    compose(page)
    weights_shown(page, "Whole body (embedded), 256 x 512")
    compose(other)
    assert is_offered(page, label, False) and is_offered(other, label, False)
