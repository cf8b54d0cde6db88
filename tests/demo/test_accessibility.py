"""Every tab as it is first seen, looked through by axe-core, and what a stranger sees there."""

from __future__ import annotations

import json
from importlib.resources import files

import pytest

from demo.layout import TABS
from tests.demo.tabs import choose_file, click_tab

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def axe() -> str:
    pytest.importorskip("axe_playwright_python", reason="axe-core is in requirements-dev.txt")
    return (files("axe_playwright_python") / "axe.min.js").read_text()


def findings(page, axe: str) -> list[str]:
    """What axe-core calls serious or critical."""
    page.evaluate(f"window.axe || eval({json.dumps(axe)})")
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']}).then(result => result.violations)")
    return [
        f"{one['id']}: {node['html'][:200]}"
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_no_serious_findings_on_any_tab(papers_server, open_page, axe, scheme, width) -> None:
    page = open_page(papers_server.url, width, 844)
    page.emulate_media(color_scheme=scheme)
    page.evaluate("dark => document.body.classList.toggle('dark', dark)", scheme == "dark")
    for tab in TABS:
        click_tab(page, tab.label)
        page.get_by_role("tab", name=tab.label, exact=True, selected=True).first.wait_for()
        page.wait_for_function("!document.querySelector('.wrap.generating, .progress-text')")
        # Names are given to Gradio's nameless buttons a moment after they appear.
        page.wait_for_function(
            "[...document.querySelectorAll('button:not([aria-label]) img')]"
            ".every(one => one.closest('button').textContent.trim())"
        )
        assert not findings(page, axe), tab.label
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{tab.label} is wider than the screen"


def test_a_finished_example_gives_way_to_a_result_and_comes_back(papers_server, open_page, tmp_path) -> None:
    from tests.demo import fakes

    page = open_page(papers_server.url)
    example = page.locator(".first-sight").first
    example.locator("img").first.wait_for()
    assert example.locator("img").count() == 1 and not page.locator("#hfgi-compare").is_visible()
    page.get_by_text("What is this?").first.click()
    assert page.get_by_text("the consultation").first.is_visible()
    choose_file(page, "#hfgi-photo", fakes.save(fakes.draw_photo(), tmp_path / "one.jpg"))
    page.wait_for_selector("#hfgi-compare img")
    assert not example.is_visible()
    page.locator("#hfgi-photo button[aria-label='Clear'], #hfgi-photo button[aria-label='Remove Image']").first.click()
    example.wait_for(state="visible")
