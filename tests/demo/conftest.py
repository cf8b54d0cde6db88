"""Really started servers and a real browser for the tests of the page and the API."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FLAGS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


@dataclass(frozen=True)
class Server:
    """A running app."""

    url: str
    process: subprocess.Popen
    log: Path
    temporary: Path
    """Where its own temporary folder lies."""
    seconds: float
    """From the start command to the first answer of the page."""
    own: frozenset[Path]
    """Files that it made itself at start (copies of the examples)."""

    def files(self) -> list[Path]:
        """What visitors have on its disk now."""
        return [path for path in files_below(self.temporary) if path not in self.own]


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@contextmanager
def started(command, folder):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log, temporary = folder / "server.log", folder / "tmp"
    temporary.mkdir()
    environment = {**os.environ, "TMPDIR": str(temporary), "OMP_NUM_THREADS": "2", "PYTHONPATH": str(ROOT)}
    begin = time.monotonic()
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, *command, "--port", str(port)],
            cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        while True:
            try:
                urllib.request.urlopen(url, timeout=5).read()
                break
            except OSError:
                assert process.poll() is None, log.read_text()
                assert time.monotonic() - begin < 90, log.read_text()
                time.sleep(0.1)
        seconds = time.monotonic() - begin
        yield Server(url, process, log, temporary, seconds, frozenset(files_below(temporary)))
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="session")
def fake_server(tmp_path_factory):
    """The app over the fake editor of fakes.py."""
    with started(["-m", "tests.demo.fake_app"], tmp_path_factory.mktemp("fake")) as server:
        yield server


@pytest.fixture(scope="session")
def swapping_autoencoder_server(tmp_path_factory):
    """The app over the fake editor and the fake swapper of swapping_autoencoder/fakes.py."""
    with started(
        ["-m", "tests.demo.swapping_autoencoder.fake_app"], tmp_path_factory.mktemp("swapping-autoencoder")
    ) as server:
        yield server


@pytest.fixture(scope="session")
def comodgan_server(tmp_path_factory):
    """The app over the fake editor and the small networks of comodgan/fakes.py."""
    with started(["-m", "tests.demo.comodgan.fake_app"], tmp_path_factory.mktemp("comodgan")) as server:
        yield server


@pytest.fixture(scope="session")
def insetgan_server(tmp_path_factory):
    """The app over the fake editor and the small random generators of insetgan/fakes.py."""
    with started(["-m", "tests.demo.insetgan.fake_app"], tmp_path_factory.mktemp("insetgan")) as server:
        yield server


@pytest.fixture(scope="session")
def self_conditioned_server(tmp_path_factory):
    """The app over the fake editor and the small random networks of self_conditioned/fakes.py."""
    with started(["-m", "tests.demo.self_conditioned.fake_app"], tmp_path_factory.mktemp("self-conditioned")) as server:
        yield server


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """The app as it is shipped."""
    with started(["app.py"], tmp_path_factory.mktemp("real")) as server:
        yield server


@pytest.fixture(scope="session")
def browser():
    """A headless Chromium: STUDIO_BROWSER, the system's, or Playwright's own."""
    from playwright.sync_api import Error, sync_playwright

    system = os.environ.get("STUDIO_BROWSER") or ("/usr/bin/chromium" if Path("/usr/bin/chromium").is_file() else None)
    with sync_playwright() as playwright:
        try:
            chromium = playwright.chromium.launch(executable_path=system, args=FLAGS)
        except Error as error:
            if os.environ.get("CI", "").lower() in ("1", "true", "yes"):
                pytest.fail(f"There is no Chromium, so the page cannot be tested: {error}")
            pytest.skip(f"no Chromium: {error}")
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser):
    """open_page(url) -> page; at the end: no console error, no page error, no request to anywhere else."""
    contexts, complaints = [], []

    def opener(url, width=1280, height=900):
        context = browser.new_context(viewport={"width": width, "height": height}, accept_downloads=True)
        context.set_default_timeout(120_000)  # a busy machine takes its time, a broken page takes for ever
        contexts.append(context)
        page = context.new_page()

        def on_console(message):
            if message.type == "error":
                complaints.append(f"console: {message.text}")

        def on_request(request):
            if not request.url.startswith((url, "data:", "blob:")):
                complaints.append(f"request to {request.url}")

        page.on("console", on_console)
        page.on("pageerror", lambda error: complaints.append(f"page error: {error}"))
        page.on("request", on_request)
        page.goto(url)
        page.wait_for_selector("#hfgi-photo input[type=file]", state="attached")
        page.wait_for_selector("body[data-listening]")  # keys and pasting work from here on
        return page

    yield opener
    for context in contexts:
        context.close()
    assert complaints == []
