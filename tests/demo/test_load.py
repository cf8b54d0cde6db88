"""Visitors in browsers, as the load test sends them: what they see is timed, a refusal is read as a sentence."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from gan_core.benchmarks import browsers, load
from tests.demo import fakes


def visit(server, photo, until, seconds=120):
    """One visitor until that is seen."""
    stop = threading.Event()
    visits = browsers.Browsers(1, [photo], stop)
    thread = threading.Thread(target=visits.live, args=(server.url,), daemon=True)
    thread.start()
    for _ in range(10 * seconds):
        if until(visits.seen) or visits.seen.broken or not thread.is_alive():
            break
        thread.join(0.1)
    stop.set()
    thread.join(60)
    return visits.seen


@pytest.mark.browser
def test_a_visit_in_a_browser(comodgan_server, browser, tmp_path) -> None:
    wanted = {
        "until the page listens",
        "page's first byte",
        "photo to picture",
        "slider to picture",
        "hole to its results",
    }
    photo = Path(fakes.save(fakes.draw_photo(), tmp_path / "photo.jpg", quality=95))
    seen = visit(comodgan_server, photo, lambda seen: wanted <= seen.times.keys())
    assert seen.broken == [] and not seen.refused
    assert seen.times.keys() == wanted and all(time > 0 for times in seen.times.values() for time in times)
    figures = seen.figures()
    assert figures["in browsers, broken"] == 0 and "median" in figures["in browsers, slider to picture"]


def test_without_playwright_it_is_said_before_anything_is_started(monkeypatch, capsys) -> None:
    monkeypatch.setitem(sys.modules, "playwright", None)
    monkeypatch.setattr(load, "server", lambda *_: pytest.fail("the app was started"))
    with pytest.raises(SystemExit):
        load.main(["--browsers", "1"])
    assert "pip install playwright" in capsys.readouterr().err


@pytest.mark.browser
def test_what_a_visitor_reads_is_in_the_report(comodgan_server, browser, tmp_path) -> None:
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(b"no picture at all")
    seen = visit(comodgan_server, photo, lambda seen: False)
    assert "photo to picture" in seen.broken[0] and "not a picture that can be read" in seen.broken[0]
    assert "photo to picture" not in seen.times
