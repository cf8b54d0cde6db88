"""The tab in a real browser, over small random networks, and as it is shipped."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from PIL import Image

from tests.demo import fakes
from tests.demo.tabs import choose_file, click_tab, mounted_by, unfold

pytestmark = pytest.mark.browser

WAIT = 120_000  # milliseconds; a busy machine takes its time, a broken page takes for ever


def open_tab(page) -> None:
    click_tab(page, "Compose a body", then="#insetgan-start")
    page.wait_for_selector("#insetgan-start")


def wait_for_message(page, pattern: str, timeout: int = WAIT) -> str:
    page.wait_for_function(
        "pattern => new RegExp(pattern).test(document.querySelector('#insetgan-message')?.innerText ?? '')",
        arg=pattern,
        timeout=timeout,
    )
    return page.inner_text("#insetgan-message")


def thumbnails(page, kind: str) -> list[str]:
    page.wait_for_function(f"document.querySelectorAll('#insetgan-{kind}-gallery img').length >= 12", timeout=WAIT)
    return [image.get_attribute("src") for image in page.locator(f"#insetgan-{kind}-gallery img").all()]


def fetched(page, address: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(page.request.get(address).body())).convert("RGB"), float)


def compared(page) -> tuple[np.ndarray, np.ndarray]:
    """The plain paste and the result."""
    page.wait_for_selector("#insetgan-compare img")
    images = page.locator("#insetgan-compare img")
    return fetched(page, images.first.get_attribute("src")), fetched(page, images.last.get_attribute("src"))


def set_steps(page, steps: int) -> None:
    field = page.locator("#insetgan-steps input[type=number]")
    field.fill(str(steps))
    field.press("Enter")


def stop(page) -> None:
    """Stop the composition, if it is still under way, and wait until the server is done with it."""
    button = page.locator("#insetgan-stop")
    if button.is_enabled():
        button.dispatch_event("click")  # not `click`, which waits for ever where it ends just now
    wait_for_message(page, "^(Done|Stopped)", 3 * WAIT)
    page.wait_for_function("!document.querySelector('#insetgan-start').disabled", timeout=WAIT)


@pytest.fixture
def page(papers_server, open_page):
    page = open_page(papers_server.url)
    open_tab(page)
    return page


def test_galleries_fill_by_themselves_and_a_click_chooses(page) -> None:
    before = thumbnails(page, "body")
    assert len(thumbnails(page, "face")) == 12
    page.locator("#insetgan-body-gallery button.gallery-item, #insetgan-body-gallery .thumbnail-item").nth(4).click()
    page.wait_for_function("document.querySelector('#insetgan-body-seed input').value === '4'", timeout=WAIT)
    page.click("#insetgan-body-roll")
    page.wait_for_function(
        "before => document.querySelector('#insetgan-body-gallery img').getAttribute('src') !== before",
        arg=before[0],
        timeout=WAIT,
    )
    page.locator("#insetgan-body-gallery button.gallery-item, #insetgan-body-gallery .thumbnail-item").nth(1).click()
    page.wait_for_function("document.querySelector('#insetgan-body-seed input').value === '13'", timeout=WAIT)


def test_compose_and_download(page) -> None:
    thumbnails(page, "face")
    set_steps(page, 20)
    page.click("#insetgan-start")
    message = wait_for_message(page, "^Done")
    assert "not LPIPS" in message or "LPIPS" in message
    pasted, result = compared(page)
    assert pasted.shape == result.shape == (64, 64, 3) and np.abs(pasted - result).mean() > 1
    assert page.locator("#insetgan-plot polyline").count() == 6
    with page.expect_download() as download:
        page.click("#insetgan-download")
    with Image.open(download.value.path()) as saved:
        assert saved.size == (64, 64) and "20 of 20 steps" in saved.text["Description"]
    click_tab(page, "Behind it")
    for place in ("body", "face"):
        page.wait_for_selector(f"#insetgan-{place} img")


def choose_bodies(page) -> None:
    page.click("#insetgan-model input")
    page.get_by_role("option", name="Whole body (embedded)").click()
    page.get_by_text("learnt from rendered (CG) pictures, the faces").wait_for(timeout=WAIT)


def test_whole_bodies_their_sliders_and_the_larger_view(page) -> None:
    before = thumbnails(page, "body")
    assert not page.locator("#insetgan-body-slider-0").is_visible(), "portraits have no sliders"
    choose_bodies(page)
    page.wait_for_selector(
        ".tall#insetgan-body-gallery, #insetgan-body-gallery .tall, .tall:has(#insetgan-body-gallery)"
    )
    unfold(page, "Change the bodies", then="#insetgan-body-slider-1 input[type=range]")
    changed = "b => document.querySelector('#insetgan-body-gallery img')?.getAttribute('src') !== b"
    page.wait_for_function(changed, arg=before[0], timeout=WAIT)
    young = thumbnails(page, "body")[0]
    page.focus("#insetgan-body-slider-0 input[type=range]")
    page.keyboard.press("End")
    page.wait_for_function(changed, arg=young, timeout=WAIT)
    older = thumbnails(page, "body")[0]
    figures = page.locator("#insetgan-body-poses .thumbnail-item, #insetgan-body-poses button.gallery-item")
    assert figures.count() == 3, "as it is, and two poses"
    figures.nth(2).click()
    page.wait_for_function(changed, arg=older, timeout=WAIT)
    set_steps(page, 20)
    page.click("#insetgan-start")
    assert "of 255 levels to the body's light" in wait_for_message(page, "^Done")
    assert compared(page)[1].shape == (64, 32, 3)
    click_tab(page, "Large")
    page.wait_for_selector("#insetgan-large img")
    with page.expect_download() as download:
        page.click("#insetgan-download-large")
    with Image.open(download.value.path()) as saved:
        assert saved.size == (64, 128) and "age +2" in saved.text["Description"]


def test_stop_keeps_what_there_is(page) -> None:
    thumbnails(page, "face")
    set_steps(page, 400)
    page.click("#insetgan-start")
    wait_for_message(page, "Step [1-9][0-9]+ of 400")
    page.click("#insetgan-stop")
    message = wait_for_message(page, "Stopped at step")
    step = int(re.search(r"step (\d+)", message).group(1))
    assert 0 < step < 400
    with page.expect_download() as download:
        page.click("#insetgan-download")
    with Image.open(download.value.path()) as saved:
        assert f"{step} of 400 steps" in saved.text["Description"]
    page.wait_for_function("!document.querySelector('#insetgan-start').disabled", timeout=WAIT)


def test_several_results_and_choosing_one(page) -> None:
    thumbnails(page, "face")
    set_steps(page, 20)
    page.locator("#insetgan-count input[type=number]").fill("2")
    page.locator("#insetgan-count input[type=number]").press("Enter")
    page.click("#insetgan-start")
    wait_for_message(page, "Result 2 of 2: Done")
    page.wait_for_function("document.querySelectorAll('#insetgan-results img').length === 2", timeout=WAIT)
    second, shown = compared(page)[1], page.locator("#insetgan-compare img").last.get_attribute("src")
    page.locator("#insetgan-results button.gallery-item, #insetgan-results .thumbnail-item").first.click()
    page.wait_for_function(
        "before => [...document.querySelectorAll('#insetgan-compare img')].pop()?.getAttribute('src') !== before",
        arg=shown,
        timeout=WAIT,
    )
    assert np.abs(compared(page)[1] - second).mean() > 1


def test_a_photo_with_and_without_a_face(page, tmp_path) -> None:
    thumbnails(page, "face")
    set_steps(page, 20)
    photo = page.get_by_role("tab", name="Photo", exact=True).last
    mounted_by(page, photo.click, then="#insetgan-face-photo input[type=file]")
    nobody = fakes.save(fakes.draw_photo(faces=()), tmp_path / "nobody.png")
    choose_file(page, "#insetgan-face-photo", nobody)
    page.wait_for_selector("#insetgan-face-photo img")
    page.click("#insetgan-start")
    wait_for_message(page, "No face was found")
    page.wait_for_function("!document.querySelector('#insetgan-start').disabled", timeout=WAIT)


def test_the_result_is_sent_to_another_tab(page) -> None:
    thumbnails(page, "face")
    set_steps(page, 20)
    page.click("#insetgan-start")
    wait_for_message(page, "^Done")
    page.get_by_role("button", name="Send to Edit a face").last.click()
    page.wait_for_selector("#hfgi-photo img", timeout=WAIT)


def test_a_face_sent_from_another_tab_arrives(papers_server, open_page, tmp_path) -> None:
    page = open_page(papers_server.url)
    choose_file(page, "#hfgi-photo", fakes.save(fakes.draw_photo(), tmp_path / "photo.png"))
    page.wait_for_selector("#hfgi-compare img", timeout=WAIT)
    page.get_by_role("button", name="Send to Compose a body").first.click()
    page.wait_for_selector("#insetgan-start")
    set_steps(page, 20)
    page.click("#insetgan-start")
    wait_for_message(page, "^Done", 3 * WAIT)  # the face is found by optimisation first
    with page.expect_download() as download:
        page.click("#insetgan-download")
    with Image.open(download.value.path()) as saved:
        assert "an uploaded face" in saved.text["Description"]


def test_closing_in_the_middle_leaves_nothing(papers_server, page) -> None:
    thumbnails(page, "face")
    set_steps(page, 400)
    page.click("#insetgan-start")
    wait_for_message(page, "Step [1-9][0-9]+ of 400")
    page.close()
    assert papers_server.files_after_leaving() == []


def test_phone(papers_server, open_page) -> None:
    page = open_page(papers_server.url, width=390, height=800)
    open_tab(page)
    thumbnails(page, "body")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390, "the page scrolls sideways"


def test_without_weights_the_tab_says_so(fake_server, open_page) -> None:
    page = open_page(fake_server.url)
    page.get_by_role("tab", name="Compose a body").click()
    page.get_by_text("nothing to compose").wait_for()
