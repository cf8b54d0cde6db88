"""A real Chromium controlled without Playwright, on a page of a few lines."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from PIL import Image

from gan_core.benchmarks import live
from gan_core.benchmarks.devtools import BrowserFailed, Chromium
from gan_core.benchmarks.sites import site
from gan_core.errors import BadValue, NotInstalled
from tests.import_graph import ImportGraph

BROWSER = os.environ.get("STUDIO_BROWSER") or shutil.which("chromium")
PAGE = """<!doctype html><title>Page</title><input type=file id=file><script type=module src=later.mjs></script>"""
LATER = """setTimeout(() => { document.body.dataset.state = "ready"; }, 100);
setTimeout(() => { throw new Error("of the page"); }, 200);"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "index.html").write_text(PAGE)
    (tmp_path / "later.mjs").write_text(LATER)
    return tmp_path


@pytest.mark.browser
@pytest.mark.skipif(not BROWSER, reason="no Chromium")
def test_a_page_is_controlled(folder: Path) -> None:
    with site(folder) as url, Chromium(BROWSER, ["--disable-gpu"]) as page:
        page.open(url)
        page.wait_for("body[data-state=ready]", 20)
        assert page.evaluate("self.crossOriginIsolated") is True, "else WebAssembly has one thread"
        assert len(page.evaluate("Promise.resolve('x'.repeat(1e6))")) == 1e6, "an answer of many reads"
        page.choose_file("#file", folder / "index.html")
        assert page.evaluate("document.querySelector('#file').files[0].text()") == PAGE
        assert page.screenshot().startswith(b"\x89PNG")
        with pytest.raises(BrowserFailed, match="nothing is not defined"):
            page.evaluate("nothing")
        with pytest.raises(BrowserFailed, match="#never did not come"):
            page.wait_for("#never", 0.3)
        assert any("of the page" in complaint for complaint in page.complaints)
        profile = Path(page._profile.name)
        page._process.kill()
        with pytest.raises(BrowserFailed, match="The browser ended"):
            page.evaluate("1")
    assert not profile.exists()


def test_what_is_missing_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(NotInstalled, match="--browser"):
        Chromium(tmp_path / "none")
    with pytest.raises(BadValue, match="gan-studio static"), site(tmp_path):
        pass
    assert live.main(["--site", str(tmp_path), "--browser", "none"]) == 1
    assert "index.html" in capsys.readouterr().err


def test_a_program_that_is_no_browser(tmp_path: Path) -> None:
    with pytest.raises(BrowserFailed, match="The browser ended"):
        Chromium(shutil.which("true"), log=tmp_path / "log")


def test_a_film_is_a_row_of_pictures(tmp_path: Path) -> None:
    live.film(tmp_path / "film.mjpeg", 3)
    data = (tmp_path / "film.mjpeg").read_bytes()
    assert data.count(b"\xff\xd8\xff") == 3
    assert Image.open(tmp_path / "film.mjpeg").size == (640, 480)


def test_a_bare_machine_is_enough() -> None:
    """The live page of a static site is measured without the app's packages and without Playwright."""
    graph = ImportGraph()
    named = {target.split(".")[0] for name in graph.reached(live.__name__) for target in graph.named(name)}
    assert not named & {"gradio", "starlette", "fastapi", "numpy"}
