"""The tab in a real browser, over small random networks, and as it is shipped."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from PIL import Image

from tests.demo import fakes
from tests.demo.self_conditioned import fakes as self_conditioned_fakes
from tests.demo.tabs import choose_file, click_tab, settle

pytestmark = pytest.mark.browser

WAIT = 120_000  # milliseconds; a busy machine takes its time, a broken page takes for ever
FIRST = "#self-conditioned-value-0 input[type=range]"


def open_tab(page) -> None:
    click_tab(page, "Edit at the edges")
    page.wait_for_selector("#self-conditioned-seed")


def address(page, place: str = "own") -> str:
    page.wait_for_selector(f"#self-conditioned-{place} img", timeout=WAIT)
    return page.locator(f"#self-conditioned-{place} img").get_attribute("src")


def other_than(page, before: str, place: str = "own") -> str:
    page.wait_for_function(
        "([place, before]) => { const image = document.querySelector(`#self-conditioned-${place} img`);"
        " return image && image.getAttribute('src') !== before; }",
        arg=[place, before],
        timeout=WAIT,
    )
    return address(page, place)


def settled(page, place: str = "own") -> str:
    """The result once no newer one comes."""
    latest = None
    while latest != address(page, place):
        latest = address(page, place)
        settle(page, 800)
    return latest


def fetched(page, address: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(page.request.get(address).body())).convert("RGB"), float)


def wait_for_text(page, place: str, pattern: str) -> str:
    page.wait_for_function(
        "([place, pattern]) => "
        "new RegExp(pattern).test(document.querySelector(`#self-conditioned-${place}`)?.innerText ?? '')",
        arg=[place, pattern],
        timeout=WAIT,
    )
    return page.inner_text(f"#self-conditioned-{place}")


def value(page, index: int) -> float:
    return float(page.locator(f"#self-conditioned-value-{index} input[type=range]").input_value())


def press(page, key: str, selector: str = FIRST) -> None:
    page.focus(selector)
    page.keyboard.press(key)


@pytest.fixture
def photo(tmp_path):
    return fakes.save(fakes.draw_photo(), tmp_path / "photo.png")


@pytest.fixture
def page(papers_server, open_page):
    """The tab with its first random face."""
    page = open_page(papers_server.url)
    open_tab(page)
    wait_for_text(page, "message", "An example: Age 0.95. Move a slider")
    edited = settled(page)
    assert value(page, 0) == 0.95 and edited != address(page, "before")
    page.click("#self-conditioned-reset")
    other_than(page, edited)
    settled(page)
    return page


def test_a_face_is_there_by_itself_and_sliders_draw_live(page) -> None:
    first = address(page)
    unedited = fetched(page, first)
    assert np.abs(unedited - fetched(page, address(page, "before"))).mean() < 3
    assert re.search(rf"Age\s+{value(page, 0):.2f}", page.inner_text("#self-conditioned-readout"))
    ends = page.locator(".ends").first
    assert "young" in ends.inner_text() and "old" in ends.inner_text()
    box = page.locator(FIRST).bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * value(page, 0), middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 4, middle, steps=8)
    other_than(page, first)  # drawn although the button is still down
    page.mouse.up()
    edited = settled(page)
    assert value(page, 0) > 0.95
    assert np.abs(fetched(page, edited) - unedited).mean() > 1
    assert np.abs(fetched(page, edited) - fetched(page, settled(page, "plain"))).mean() > 1
    assert re.search(rf"Age\s+\S+\s+\S+ years\s+{value(page, 0):.2f}", page.inner_text("#self-conditioned-readout"))


def test_reset_and_download(page) -> None:
    first, start = fetched(page, address(page)), value(page, 0)
    press(page, "End")
    second = settled(page)
    with page.expect_download() as download:
        page.click("#self-conditioned-download")
    with Image.open(download.value.path()) as saved:
        assert saved.size == (self_conditioned_fakes.SIDE,) * 2
        assert re.search("edited with .* self-conditioned, age .* to 1.00", saved.text["Description"])
    page.click("#self-conditioned-reset")
    other_than(page, second)
    assert np.abs(fetched(page, settled(page)) - first).mean() < 1
    assert value(page, 0) == start


def test_another_face(page) -> None:
    first, seed = address(page), page.input_value("#self-conditioned-seed input")
    page.click("#self-conditioned-dice")
    other_than(page, first, "own")
    assert page.input_value("#self-conditioned-seed input") != seed
    second = settled(page)
    page.fill("#self-conditioned-seed input", "7")
    other_than(page, second)
    seventh = fetched(page, settled(page))
    page.click("#self-conditioned-dice")
    settle(page, 500)
    settled(page)
    page.fill("#self-conditioned-seed input", "7")
    settle(page, 500)
    assert np.array_equal(fetched(page, settled(page)), seventh)


def test_a_picture_is_read_refined_and_put_away(page, photo) -> None:
    random = address(page, "before")
    assert page.locator("#self-conditioned-refine").count() == 0 or not page.is_visible("#self-conditioned-refine")
    choose_file(page, "#self-conditioned-photo", photo)
    other_than(page, random, "before")
    wait_for_text(page, "message", "Move a slider")
    read = fetched(page, settled(page))
    page.wait_for_selector("#self-conditioned-refine")
    page.click("#self-conditioned-refine")
    wait_for_text(page, "bar", "Refined by 60 steps")
    refined, cut = fetched(page, settled(page)), fetched(page, address(page, "before"))
    assert np.abs(refined - cut).mean() < np.abs(read - cut).mean(), "it comes nearer to the picture"
    with page.expect_download() as download:
        page.click("#self-conditioned-download")
    with Image.open(download.value.path()) as saved:
        assert "an uploaded picture refined by 60 steps" in saved.text["Description"]
    before = address(page, "before")
    page.click("#self-conditioned-dice")
    other_than(page, before, "before")
    page.wait_for_function("!document.querySelector('#self-conditioned-photo img')", timeout=WAIT)


def test_refining_is_stopped(page, photo) -> None:
    choose_file(page, "#self-conditioned-photo", photo)
    page.wait_for_selector("#self-conditioned-refine")
    wait_for_text(page, "message", "Move a slider")
    field = page.locator("#self-conditioned-steps input[type=number]")
    field.fill("200")
    field.press("Enter")
    page.click("#self-conditioned-refine")
    wait_for_text(page, "bar", r"^\s*\d+ of 200")
    page.click("#self-conditioned-stop")
    bar = wait_for_text(page, "bar", "Refined by")
    assert 0 < int(re.search(r"by (\d+)", bar).group(1)) < 200
    page.wait_for_function("!document.querySelector('#self-conditioned-refine').disabled", timeout=WAIT)


def test_no_face_then_a_good_picture(page, photo, tmp_path) -> None:
    nobody = fakes.save(fakes.draw_photo(faces=()), tmp_path / "nobody.png")
    choose_file(page, "#self-conditioned-photo", nobody)
    wait_for_text(page, "message", "No face was found")
    page.locator(
        "#self-conditioned-photo button[aria-label='Clear'], #self-conditioned-photo button[aria-label='Remove Image']"
    ).first.click()
    wait_for_text(page, "message", "Move a slider")
    choose_file(page, "#self-conditioned-photo", photo)
    page.wait_for_selector("#self-conditioned-refine")
    wait_for_text(page, "message", "Move a slider")


def test_filmstrip_click_and_download(page) -> None:
    click_tab(page, "Filmstrip")
    strips = [fetched(page, address(page, f"strip-{method}")) for method in ("own", "plain")]
    assert all(strip.shape == (160, 9 * 160 + 8 * 2, 3) for strip in strips)
    assert np.abs(strips[0] - strips[1]).mean() > 1
    first = address(page, "strip-own")
    page.get_by_label("Smile", exact=True).last.check()
    other_than(page, first, "strip-own")
    settled(page, "strip-plain")
    second = address(page, "strip-own")
    page.click("#self-conditioned-dice")  # the strip is in sight: it follows
    other_than(page, second, "strip-own")
    settled(page, "strip-plain")
    with page.expect_download() as download:
        page.click("#self-conditioned-strip-download")
    with Image.open(download.value.path()) as saved:
        assert (
            saved.width == 9 * self_conditioned_fakes.SIDE + 8 * 2 and "smile from 0 to 1" in saved.text["Description"]
        )
    strip = page.locator("#self-conditioned-strip-own img")
    box = strip.bounding_box()
    strip.click(position={"x": box["width"] * 7.5 / 9, "y": box["height"] / 2})
    page.wait_for_function(
        "Math.abs(document.querySelector('#self-conditioned-value-2 input[type=range]').value - 0.88) < 0.001",
        timeout=WAIT,
    )
    page.wait_for_selector("#self-conditioned-own", state="visible")
    wait_for_text(page, "readout", r"Smile\s+\S+\s+\S+ %\s+0\.88")


def test_grid_click_stop_and_download(page) -> None:
    click_tab(page, "Grid")
    page.click("#self-conditioned-grid-start")
    wait_for_text(page, "grid-state", "Click a picture")
    grids = [fetched(page, address(page, f"grid-{method}")) for method in ("own", "plain")]
    assert all(grid.shape == (5 * 128 + 8, 5 * 128 + 8, 3) for grid in grids)
    with page.expect_download() as download:
        page.click("#self-conditioned-grid-download")
    with Image.open(download.value.path()) as saved:
        assert "grid of age across and pose down" in saved.text["Description"]
    grid = page.locator("#self-conditioned-grid-plain img")
    box = grid.bounding_box()
    grid.click(position={"x": box["width"] * 0.9, "y": box["height"] * 0.1})
    page.wait_for_function(
        "document.querySelector('#self-conditioned-value-0 input[type=range]').value === '1'", timeout=WAIT
    )
    assert value(page, 1) == 0


def test_the_result_is_sent_to_another_tab(page) -> None:
    page.get_by_role("button", name="Send to Edit a face").last.click()
    page.wait_for_selector("#hfgi-photo img", timeout=WAIT)


def test_a_picture_sent_from_another_tab_is_read(papers_server, open_page, photo) -> None:
    page = open_page(papers_server.url)
    choose_file(page, "#hfgi-photo", photo)
    page.wait_for_selector("#hfgi-compare img", timeout=WAIT)
    page.get_by_role("button", name="Send to Edit at the edges").first.click()
    page.wait_for_selector("#self-conditioned-refine", timeout=WAIT)
    wait_for_text(page, "message", "Move a slider")
    assert page.locator("#self-conditioned-photo img").count() == 1


def test_closing_in_the_middle_leaves_nothing(papers_server, page, photo) -> None:
    choose_file(page, "#self-conditioned-photo", photo)
    page.wait_for_selector("#self-conditioned-refine")
    page.click("#self-conditioned-refine")
    wait_for_text(page, "bar", "of 60")
    page.close()
    assert papers_server.files_after_leaving() == []


def test_phone(papers_server, open_page) -> None:
    page = open_page(papers_server.url, width=390, height=800)
    open_tab(page)
    settled(page)
    position = "getComputedStyle(document.querySelector('.work-result:has(#self-conditioned-own)')).position"
    assert page.evaluate(position) == "sticky", "both results stay in sight while sliders are moved"
    click_tab(page, "Filmstrip")
    address(page, "strip-plain")
    assert page.evaluate(position) == "static", "what is taller than the screen must not hide the sliders"
    assert page.evaluate("document.documentElement.scrollWidth") <= 390, "the page scrolls sideways"


def test_without_weights_the_tab_says_so(fake_server, open_page) -> None:
    page = open_page(fake_server.url)
    page.get_by_role("tab", name="Edit at the edges").click()
    page.get_by_text("The weights of the self-conditioned generator are not on this machine").wait_for()
