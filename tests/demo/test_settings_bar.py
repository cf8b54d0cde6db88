"""Presets, undo and redo, the page's address, and the API call, on "Edit a face" over the fake editor."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from tests.demo import fakes
from tests.demo.tabs import choose_file

pytestmark = pytest.mark.browser


def values(page) -> list[float]:
    sliders = page.locator("[id^=hfgi-named-] input[type=range]")
    return [float(sliders.nth(i).input_value()) for i in range(3)]


def wait_for(page, *wanted: float) -> None:
    page.wait_for_function(
        "wanted => [...document.querySelectorAll('[id^=hfgi-named-] input[type=range]')].slice(0, wanted.length)"
        ".every((one, i) => Number(one.value) === wanted[i])",
        arg=list(wanted),
    )


def wait_for_address(page, end: str) -> None:
    page.wait_for_function("end => location.hash === end", arg=end)


def test_presets_undo_redo_and_the_call_that_does_the_same(fake_server, open_page, tmp_path) -> None:
    page = open_page(fake_server.url)
    page.get_by_role("button", name="Subtle smile").click()
    wait_for(page, 1, 0, 0)
    page.focus("#hfgi-named-1 input[type=range]")
    page.keyboard.press("End")
    wait_for_address(page, "#hfgi?smile=1&age=3")
    page.get_by_role("button", name="Undo").click()
    wait_for(page, 1, 0, 0)
    page.get_by_role("button", name="Undo").click()
    wait_for(page, 0, 0, 0)
    wait_for_address(page, "#hfgi")
    page.get_by_role("button", name="Undo").click()  # nothing is left to undo
    for _ in range(2):
        page.get_by_role("button", name="Redo").click()
    wait_for(page, 1, 3, 0)
    wait_for_address(page, "#hfgi?smile=1&age=3")
    assert page.get_by_role("button", name="Black and white").is_hidden(), "these weights have no such slider"

    photo = fakes.save(fakes.draw_photo(), tmp_path / "a private name.png")
    choose_file(page, "#hfgi-photo", photo)
    page.wait_for_selector("#hfgi-compare img")
    assert page.url.endswith("#hfgi?smile=1&age=3"), "neither the picture nor its name"
    page.get_by_role("button", name="As API call").click()
    page.wait_for_function("document.querySelector('#hfgi-call-text textarea')?.value.includes('client')")
    script = page.locator("#hfgi-call-text textarea").input_value()
    assert '{"smile": 1, "age": 3}' in script and "private" not in script
    named: dict = {}
    exec(script.replace("photo.jpg", str(photo)), named)
    with Image.open(Path(named["result"])) as edited:
        assert "smile +1, age +3" in edited.text["Description"]


@pytest.mark.parametrize(
    ("address", "wanted"),
    [
        ("#hfgi?smile=99&age=-1.5&nose=3&pose=wide&model=none", (3, -1.5, 0)),
        ("#nothing?smile=2", (0, 0, 0)),
        ("#<script>?smile=2", (0, 0, 0)),
    ],
)
def test_an_address_sets_what_it_can(fake_server, open_page, address, wanted) -> None:
    page = open_page(fake_server.url + "/" + address)
    wait_for(page, *wanted)
