"""The tab in a real browser, over the fake swapper, and as it is shipped."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from tests.demo.swapping_autoencoder import fakes as swapping_autoencoder_fakes
from tests.demo.tabs import choose_file, click_tab, settle, unfold

pytestmark = pytest.mark.browser

WAIT = 120_000  # milliseconds; a busy machine takes its time, a broken page takes for ever


def open_tab(page) -> None:
    click_tab(page, "Swap structure and texture")
    page.wait_for_selector("#swapping-autoencoder-structure input[type=file]", state="attached")


def upload(page, place: str, *paths: str) -> None:
    choose_file(page, f"#swapping-autoencoder-{place}", *paths)


def wait_for_text(page, place: str, text: str) -> None:
    page.wait_for_function(
        "([id, text]) => document.querySelector('#swapping-autoencoder-' + id)?.innerText.includes(text)",
        arg=[place, text],
        timeout=WAIT,
    )


def result_address(page) -> str:
    page.wait_for_selector("#swapping-autoencoder-compare img")
    return page.locator("#swapping-autoencoder-compare img").last.get_attribute("src")


def other_result(page, before: str) -> str:
    page.wait_for_function(
        "before => { const all = document.querySelectorAll('#swapping-autoencoder-compare img');"
        " return all.length && all[all.length - 1].getAttribute('src') !== before; }",
        arg=before,
        timeout=WAIT,
    )
    return result_address(page)


def settled(page, address: str) -> str:
    """The result once no newer one comes."""
    while True:
        settle(page, 700)
        latest = result_address(page)
        if latest == address:
            return address
        address = latest


def fetched(page, address: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(page.request.get(address).body())).convert("RGB"), float)


def set_slider(page, place: str, key: str) -> None:
    page.focus(f"#swapping-autoencoder-{place} input[type=range]")
    page.keyboard.press(key)


@pytest.fixture
def red(tmp_path):
    return swapping_autoencoder_fakes.plain("#a02020", tmp_path / "red.png")


@pytest.fixture
def blue(tmp_path):
    return swapping_autoencoder_fakes.plain("#2020a0", tmp_path / "blue.png", (400, 256))


@pytest.fixture
def page(papers_server, open_page, red, blue):
    """The tab with two pictures in it."""
    page = open_page(papers_server.url)
    open_tab(page)
    upload(page, "structure", red)
    wait_for_text(page, "message", "Now choose a texture picture")
    upload(page, "texture", blue)
    wait_for_text(page, "message", "Move the sliders")
    return page


def test_swap_then_the_amount_live(page, red) -> None:
    whole = settled(page, result_address(page))
    pictures = [fetched(page, whole)]  # at once: only the last few files are kept
    assert pictures[0][..., 2].mean() > 100 > pictures[0][..., 0].mean()
    slider = page.locator("#swapping-autoencoder-amount input[type=range]")
    box = slider.bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] - 9, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, middle, steps=8)
    halfway = settled(page, other_result(page, whole))  # drawn although the button is still down
    pictures.append(fetched(page, halfway))
    page.mouse.move(box["x"] + 4, middle, steps=8)
    page.mouse.up()
    none = settled(page, other_result(page, halfway))
    pictures.append(fetched(page, none))
    assert np.abs(pictures[2] - np.asarray(Image.open(red), float)).mean() < 2
    blues = [picture[..., 2].mean() for picture in pictures]
    assert blues == sorted(blues, reverse=True)


def test_directions_reset_and_download(page) -> None:
    first = settled(page, result_address(page))
    set_slider(page, "texture-0", "End")
    second = settled(page, other_result(page, first))
    assert (fetched(page, second) - fetched(page, first)).mean() > 15
    unfold(page, "Structure")
    set_slider(page, "structure-0", "Home")
    third = settled(page, other_result(page, second))
    with page.expect_download() as download:
        page.click("#swapping-autoencoder-download")
    with Image.open(download.value.path()) as saved:
        assert saved.size == (256, 256) and "bright +2, flip -3" in saved.text["Description"]
    page.click("#swapping-autoencoder-reset")
    fourth = settled(page, other_result(page, third))
    assert np.abs(fetched(page, fourth) - fetched(page, first)).mean() < 1


def test_a_painted_region(page) -> None:
    first = settled(page, result_address(page))
    click_tab(page, "Paint a region")
    page.wait_for_selector("#swapping-autoencoder-paint canvas")
    settle(page, 2500)  # the picture is loaded into the canvas
    page.click("#swapping-autoencoder-region-apply")
    wait_for_text(page, "region-state", "Nothing is painted")
    box = page.locator("#swapping-autoencoder-paint canvas").first.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x - 5, y)
    page.mouse.down()
    page.mouse.move(x + 20, y + 10, steps=6)
    page.mouse.move(x + 40, y + 20, steps=6)
    page.mouse.up()
    settle(page, 500)
    page.click("#swapping-autoencoder-region-apply")
    page.wait_for_selector("#swapping-autoencoder-compare", state="visible")
    second = settled(page, other_result(page, first))
    image = fetched(page, second)
    assert image[110:150, 110:150, 2].max() > image[110:150, 110:150, 0].min()  # blue where it was painted
    assert image[:40, :, 0].mean() > image[:40, :, 2].mean() + 50  # red elsewhere
    click_tab(page, "Paint a region")
    wait_for_text(page, "region-state", "are painted")
    page.click("#swapping-autoencoder-region-whole")
    page.get_by_role("tab", name="Result").click()
    third = settled(page, other_result(page, second))
    assert np.abs(fetched(page, third) - fetched(page, first)).mean() < 1


def test_several_textures_with_weights(page, tmp_path) -> None:
    green = swapping_autoencoder_fakes.plain("#20a020", tmp_path / "green.png")
    first = settled(page, result_address(page))
    unfold(page, "Several textures")
    upload(page, "more", green)
    second = settled(page, other_result(page, first))
    assert fetched(page, second)[..., 1].mean() > fetched(page, first)[..., 1].mean() + 30
    page.wait_for_selector("#swapping-autoencoder-weight-1 input[type=range]")
    assert page.locator("#swapping-autoencoder-weight-2 input[type=range]").count() == 0
    set_slider(page, "weight-0", "Home")
    third = settled(page, other_result(page, second))
    assert fetched(page, third)[..., 1].mean() > fetched(page, second)[..., 1].mean() + 15
    set_slider(page, "weight-1", "Home")
    page.get_by_text("All textures have the weight 0").first.wait_for()


def test_a_vector_of_ones_own(page, red, blue) -> None:
    first = settled(page, result_address(page))
    unfold(page, "A vector of your own")
    page.click("#swapping-autoencoder-vector-make")
    page.get_by_text("at least one picture for each").first.wait_for()
    upload(page, "having", red)
    upload(page, "lacking", blue)
    settle(page, 1000)
    page.click("#swapping-autoencoder-vector-make")
    wait_for_text(page, "vector-state", "Made from 1 and 1")
    second = settled(page, other_result(page, first))
    assert fetched(page, second)[..., 0].mean() > fetched(page, first)[..., 0].mean() + 50
    set_slider(page, "vector", "Home")
    third = settled(page, other_result(page, second))
    assert fetched(page, third)[..., 0].mean() < fetched(page, second)[..., 0].mean() - 30


def test_strip_video_and_codes(page) -> None:
    click_tab(page, "Strip and video")
    page.click("#swapping-autoencoder-strip-start")
    wait_for_text(page, "strip-state", "Done.")
    page.wait_for_selector("#swapping-autoencoder-strip img")
    page.wait_for_selector("#swapping-autoencoder-video video")
    strip = fetched(page, page.locator("#swapping-autoencoder-strip img").first.get_attribute("src"))
    assert strip.shape[0] == 256 and strip.shape[1] == 7 * 256
    blues = [strip[:, i * 256 : (i + 1) * 256, 2].mean() for i in range(7)]
    assert blues == sorted(blues)
    click_tab(page, "Codes")
    for name in ("code", "other-code"):
        page.wait_for_selector(f"#swapping-autoencoder-{name} img")


def test_bad_file_then_a_good_one(papers_server, open_page, red, tmp_path) -> None:
    page = open_page(papers_server.url)
    open_tab(page)
    bad = tmp_path / "picture.png"
    bad.write_text("this is text")
    upload(page, "structure", bad)
    wait_for_text(page, "message", "not a picture that can be read")
    page.locator("#swapping-autoencoder-structure").locator(
        "button[aria-label='Clear'], button[aria-label='Remove Image']"
    ).first.click()
    wait_for_text(page, "message", "Give it two pictures")
    upload(page, "texture", red)
    wait_for_text(page, "message", "Now choose a structure picture")
    upload(page, "structure", red)
    wait_for_text(page, "message", "Move the sliders")


def test_other_weights_have_other_sliders(page) -> None:
    assert page.locator("#swapping-autoencoder-texture-0 input[type=range]").count() == 1
    page.locator("#swapping-autoencoder-model input").click()
    page.get_by_role("option", name="scenes (published)").click()
    page.wait_for_function("!document.querySelector('#swapping-autoencoder-texture-0')", timeout=WAIT)
    page.get_by_text("Licence: none").wait_for()


def test_sent_to_the_other_tab(page) -> None:
    settled(page, result_address(page))
    page.get_by_role("button", name="Send to Edit a face").click()
    page.wait_for_function("document.querySelector('#hfgi-message').innerText.includes('face')", timeout=WAIT)
    page.wait_for_selector("#hfgi-photo img")


def test_closing_the_page_leaves_nothing(papers_server, page) -> None:
    assert papers_server.files()
    page.close()
    assert papers_server.files_after_leaving() == []


def test_phone(papers_server, open_page, red) -> None:
    page = open_page(papers_server.url, width=390, height=800)
    open_tab(page)
    upload(page, "structure", red)
    wait_for_text(page, "message", "Now choose")
    result_address(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390, "the page scrolls sideways"


def test_without_weights_the_tab_says_so(fake_server, open_page) -> None:
    page = open_page(fake_server.url)
    page.get_by_role("tab", name="Swap structure and texture").click()
    page.get_by_text("not on this machine").wait_for()
