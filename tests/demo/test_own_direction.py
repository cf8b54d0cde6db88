"""A direction of one's own on the page: made of random faces, drawn, saved, and loaded again."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tests.demo import fakes
from tests.demo.tabs import choose_file, unfold

pytestmark = pytest.mark.browser


def wait_for_state(page, text: str) -> None:
    page.wait_for_function(
        "text => document.querySelector('#hfgi-own-state')?.innerText.includes(text)", arg=text, timeout=120_000
    )


def result(page, other_than: str = "") -> str:
    page.wait_for_function(
        "before => { const all = [...document.querySelectorAll('#hfgi-compare img')];"
        " return all.length && all.at(-1).getAttribute('src') !== before; }",
        arg=other_than,
    )
    return page.locator("#hfgi-compare img").last.get_attribute("src")


def brightness(page, address: str, path) -> float:
    path.write_bytes(page.request.get(address).body())
    with Image.open(path) as picture:
        return float(np.asarray(picture.convert("L"))[240, 320])


def test_made_of_random_faces_saved_and_loaded(fake_server, open_page, tmp_path) -> None:
    page = open_page(fake_server.url)
    choose_file(page, "#hfgi-photo", fakes.save(fakes.draw_photo(), tmp_path / "one.png"))
    first = result(page)
    unfold(page, "A direction of your own")
    unfold(page, "Random faces instead", then="#hfgi-own-roll")
    page.click("#hfgi-own-roll")
    page.locator("#hfgi-own-gallery .grid-container button").nth(9).wait_for()
    page.click("#hfgi-own-make")
    wait_for_toast(page, "from 2 to 20 pictures or faces that have it, not 0")
    faces = page.locator("#hfgi-own-gallery .grid-container button")
    for number in (8, 9):
        faces.nth(number).click()
    page.wait_for_function(
        "document.querySelector('#hfgi-own-seeds-have textarea, #hfgi-own-seeds-have input').value === '8, 9'"
    )
    page.locator("#hfgi-own-seeds-lack textarea, #hfgi-own-seeds-lack input").fill("1")
    page.click("#hfgi-own-make")
    wait_for_toast(page, "that lack it, not 1. One of each would hold all that differs")
    page.locator("#hfgi-own-seeds-lack textarea, #hfgi-own-seeds-lack input").fill("1 2")
    page.locator("#hfgi-own-name textarea, #hfgi-own-name input").fill("Brighter")
    page.click("#hfgi-own-make")
    wait_for_state(page, "Brighter is a slider now")
    second = result(page, first)
    assert brightness(page, second, tmp_path / "b.jpg") > brightness(page, first, tmp_path / "a.jpg") + 15
    assert page.get_by_role("slider", name="Brighter").input_value() == "1"
    with page.expect_download() as download:
        page.click("#hfgi-download")
    with Image.open(download.value.path()) as saved:
        assert "own direction 'Brighter' +1" in saved.text["Description"]

    with page.expect_download() as download:
        page.click("#hfgi-own-save")
    file = tmp_path / "mine.safetensors"
    download.value.save_as(file)
    page.click("#hfgi-reset")
    third = result(page, second)
    (tmp_path / "no.safetensors").write_bytes(b"something else")
    choose_file(page, "#hfgi-own-load", tmp_path / "no.safetensors")
    wait_for_toast(page, "no direction that was saved here")
    page.locator(
        "#hfgi-own-load button[aria-label='Clear'], #hfgi-own-load button[aria-label='Remove this file']"
    ).first.click()
    choose_file(page, "#hfgi-own-load", file)
    fourth = result(page, third)
    assert abs(brightness(page, fourth, tmp_path / "d.jpg") - brightness(page, second, tmp_path / "b.jpg")) < 3


def wait_for_toast(page, text: str) -> None:
    page.get_by_text(text).first.wait_for()
