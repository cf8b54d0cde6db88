"""The tab "Fill a hole" in a real browser, over small random networks: masks are drawn with the mouse."""

from __future__ import annotations

import io
import time

import numpy as np
import pytest
from PIL import Image, ImageDraw

from tests.demo import fakes
from tests.demo.comodgan import fakes as comodgan_fakes
from tests.demo.tabs import choose_file, click_tab, settle

pytestmark = pytest.mark.browser

WAIT = 120_000  # milliseconds; a busy machine takes its time, a broken page takes for ever


def open_tab(page) -> None:
    click_tab(page, "Fill a hole")
    wait_for_text(page, "comodgan-message", "A mask is ready")
    settle(page, 1500)  # the picture is loaded into the canvas


def wait_for_text(page, place: str, text: str) -> None:
    page.wait_for_function(
        "([id, text]) => document.querySelector('#' + id)?.innerText.includes(text)", arg=[place, text], timeout=WAIT
    )


def clear(page) -> None:
    """Put the picture away, if there is one."""
    button = page.locator(
        "#comodgan-photo button[aria-label='Clear'], #comodgan-photo button[aria-label='Remove Image']"
    )
    if button.count():
        button.first.click()
        wait_for_text(page, "comodgan-message", "Give it a picture")


def upload(page, path) -> None:
    clear(page)
    choose_file(page, "#comodgan-photo", path)


def examples(page):
    source = page.locator("#comodgan-photo").locator("xpath=ancestor::*[contains(@class,'comodgan-source')]")
    return source.locator(".gallery-item")


def upload_and_wait(page, path) -> None:
    upload(page, path)
    wait_for_text(page, "comodgan-message", "Paint over what should be filled")
    settle(page, 1500)  # the picture is loaded into the canvas


def canvas(page, place: str = "comodgan-paint") -> dict[str, float]:
    return page.locator(f"#{place} canvas").first.bounding_box()


def stroke(page, place: str = "comodgan-paint", length: int = 60) -> None:
    """Draw with the mouse from the canvas's middle to the right."""
    box = canvas(page, place)
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + length / 2, y + 5, steps=6)
    page.mouse.move(x + length, y + 10, steps=6)
    page.mouse.up()
    settle(page, 500)


def run(page, button: str = "comodgan-start", results: int = 4) -> None:
    """Press the button and wait until all its results are there."""
    page.wait_for_selector(f"#{button}:enabled")
    images = "[...document.querySelectorAll('#comodgan-gallery .grid-container img')].map(i => i.getAttribute('src'))"
    before = page.evaluate(images)
    page.click(f"#{button}")
    page.wait_for_function(
        f"([before, count]) => {{ const now = {images}; "
        "return now.length === count && !now.some(one => before.includes(one)); }",
        arg=[before, results],
        timeout=WAIT,
    )
    wait_for_text(page, "comodgan-state", "1 result." if results == 1 else f"{results} results.")
    page.wait_for_selector(f"#{button}:enabled")


def compared(page) -> list[np.ndarray]:
    """Before and after, as shown."""
    page.wait_for_selector("#comodgan-compare img")
    addresses = page.eval_on_selector_all("#comodgan-compare img", "all => all.map(i => i.getAttribute('src'))")
    return [fetched(page, address) for address in addresses]


def fetched(page, address: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(page.request.get(address).body())).convert("RGB"), int)


def downloaded(page) -> tuple[np.ndarray, dict[str, str]]:
    with page.expect_download() as download:
        page.click("#comodgan-download")
    with Image.open(download.value.path()) as saved:
        return np.asarray(saved.convert("RGB"), int), dict(saved.text)


@pytest.fixture
def teal(tmp_path):
    return fakes.save(Image.new("RGB", (300, 200), "teal"), tmp_path / "teal.png")


def set_number(page, name: str, value: str) -> None:
    field = page.locator(f"#comodgan-{name} input:not([type=range])")
    field.fill(value)
    field.press("Enter")


@pytest.fixture
def kept(comodgan_server, keep_page):
    page, new = keep_page(comodgan_server.url)
    if new:
        open_tab(page)
    return page, new


@pytest.fixture
def page(kept):
    """The tab with an example in it, and a mask on that."""
    page, new = kept
    if not new:
        clear(page)
        examples(page).nth(2).click()
        wait_for_text(page, "comodgan-message", "A mask is ready")
        settle(page, 1500)
    return page


@pytest.fixture
def own_page(comodgan_server, open_page):
    """As `page`, of this test only."""
    page = open_page(comodgan_server.url)
    open_tab(page)
    return page


@pytest.fixture
def any_page(kept):
    """The tab, with whatever picture is in it: for tests that choose their own."""
    return kept[0]


def test_one_click_fills_the_example(page) -> None:
    run(page)
    wait_for_text(page, "comodgan-state", "There is no face here, so the network for any photo filled the hole")
    before, after = compared(page)
    changed = np.abs(after - before).max(-1) > 10
    assert 0.02 < changed.mean() < 0.1  # a tower is gone, which took 6 % of the picture
    page.locator("#comodgan-gallery .grid-container button").nth(2).click()
    settle(page, 1500)
    assert np.abs(compared(page)[1] - after)[changed].mean() > 0.3
    _, text = downloaded(page)
    assert "seed 4" in text["Description"] and "% filled in" in text["Description"]


def test_an_example_brings_its_own_mask(page) -> None:
    clear(page)
    examples(page).nth(5).click()  # the second portrait, behind four places
    wait_for_text(page, "comodgan-message", "A mask is ready")
    settle(page, 1500)
    run(page)
    _, text = downloaded(page)
    assert "50% filled in" in text["Description"]


def test_a_mask_drawn_by_mouse(any_page, teal) -> None:
    page = any_page
    upload_and_wait(page, teal)
    page.click("#comodgan-start")
    wait_for_text(page, "comodgan-state", "Nothing is marked yet")
    stroke(page)
    run(page)
    result, text = downloaded(page)
    changed = (result != np.array([0, 128, 128])).any(-1)
    assert result.shape == (200, 300, 3) and 0.002 < changed.mean() < 0.2
    rows, columns = changed.nonzero()
    assert 80 < rows.mean() < 125 and 150 < columns.mean() < 200  # right of the middle, as drawn
    assert (result[~changed] == (0, 128, 128)).all()
    page.click("#comodgan-invert")
    wait_for_text(page, "comodgan-message", "of the picture will be filled")
    settle(page, 1500)
    run(page)
    inverse, _ = downloaded(page)
    assert (inverse[changed] == (0, 128, 128)).mean() > 0.9
    page.click("#comodgan-clear")
    wait_for_text(page, "comodgan-message", "Paint over what should be filled")
    settle(page, 1500)
    page.click("#comodgan-start")
    wait_for_text(page, "comodgan-state", "Nothing is marked yet")


def test_eraser(any_page, teal) -> None:
    page = any_page
    upload_and_wait(page, teal)
    page.click("#comodgan-mask-centre")
    wait_for_text(page, "comodgan-message", "25% of the picture")
    settle(page, 1500)
    page.click("#comodgan-paint button[aria-label='Erase']")
    stroke(page)
    run(page)
    result, _ = downloaded(page)
    changed = (result != (0, 128, 128)).any(-1)
    assert changed[60, 100] and not changed[20, 20]
    assert not changed[101:103, 160:165].any()  # erased


def test_ready_made_masks_and_their_shapes(any_page, teal) -> None:
    page = any_page
    upload_and_wait(page, teal)
    for name, inside in (("left", (100, 20)), ("bottom", (190, 150)), ("random", None)):
        page.click(f"#comodgan-mask-{name}")
        wait_for_text(page, "comodgan-message", "of the picture will be filled")
        settle(page, 1500)
        run(page)
        changed = (downloaded(page)[0] != (0, 128, 128)).any(-1)
        assert 0 < changed.mean() <= 1
        if inside:
            assert changed[inside] and not changed[5, 295] and 0.45 < changed.mean() < 0.55
    page.click("#comodgan-mask-eyes")
    wait_for_text(page, "comodgan-message", "No face was found")


def test_number_of_results_seed_and_dice(page) -> None:
    page.locator("#comodgan-count input[type=number]").fill("2")
    page.locator("#comodgan-count input[type=number]").press("Enter")
    run(page, results=2)
    page.click("#comodgan-dice")
    page.wait_for_function("document.querySelector('#comodgan-seed input').value !== '2'")
    wait_for_text(page, "comodgan-state", "2 results.")
    seed = page.input_value("#comodgan-seed input")
    page.wait_for_function(
        "seed => document.querySelector('#comodgan-gallery').innerText.includes('seed ' + seed)", arg=seed, timeout=WAIT
    )
    page.locator("#comodgan-seed input").fill("-4")
    page.click("#comodgan-start")
    page.get_by_text("A seed must be a whole number").first.wait_for()
    set_number(page, "seed", "1")
    set_number(page, "count", "4")


COUNT_READING = """() => {
    const readPixels = WebGL2RenderingContext.prototype.readPixels;
    window.read = 0;
    WebGL2RenderingContext.prototype.readPixels = function (...how) {
        window.read += 1;
        return readPixels.apply(this, how);
    };
}"""


def test_what_is_painted_is_read_once_a_run(page) -> None:
    stroke(page)
    page.evaluate(COUNT_READING)
    run(page)
    page.click("#comodgan-mask-left")
    wait_for_text(page, "comodgan-message", "of the picture will be filled")
    settle(page, 500)
    assert page.evaluate("window.read") == 3, "picture, layer, both; not at each report of the run and of what follows"


def mark_half_of_the_result(page) -> None:
    """Go on with the result that is shown, and mark its lower half."""
    page.click("#comodgan-again")
    wait_for_text(page, "comodgan-message", "Paint over what should be filled")
    settle(page, 1500)
    page.click("#comodgan-mask-bottom")
    wait_for_text(page, "comodgan-message", "50% of the picture")
    settle(page, 1500)


def test_keep_painting_on_a_result(page) -> None:
    run(page)
    _, after = compared(page)
    mark_half_of_the_result(page)
    run(page)
    before, _ = compared(page)
    assert np.abs(before - after).mean() < 2  # the result is what is filled now
    for _ in range(2):  # the second time it is the very picture that is there
        page.click("#comodgan-again")
        settle(page, 2500)
    page.click("#comodgan-start")
    wait_for_text(page, "comodgan-state", "Nothing is marked yet")


def on_canvas(page, picture: tuple[int, int], x: float, y: float) -> tuple[float, float]:
    """Where a pixel of the picture is on the page: the editor shows it whole, in the middle of its canvas."""
    box = canvas(page)
    shown = page.evaluate("parseInt(document.querySelector('#comodgan-paint').innerText.match(/(\\d+)%/)[1]) / 100")
    scale = shown * min(max(max(picture), 256), 384) / max(picture)  # the fakes' size of the painting
    across, down = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    return across + scale * (x - picture[0] / 2), down + scale * (y - picture[1] / 2)


def test_the_network_is_chosen_by_the_picture_and_earlier_results_stay(any_page, teal, tmp_path) -> None:
    page = any_page
    set_number(page, "count", "1")
    upload_and_wait(page, fakes.save(fakes.draw_photo((400, 300), ((200, 150, 60),)), tmp_path / "face.png"))
    page.click("#comodgan-mask-eyes")
    wait_for_text(page, "comodgan-message", "of the picture will be filled")
    settle(page, 1500)
    run(page, results=1)
    wait_for_text(page, "comodgan-state", "The hole is on a face, so the network for faces filled it")
    _, on_face = compared(page)
    mark_half_of_the_result(page)
    run(page, results=1)
    upload_and_wait(page, teal)
    stroke(page)
    run(page, results=1)
    wait_for_text(page, "comodgan-state", "There is no face here, so the network for any photo filled the hole")
    _, on_teal = compared(page)
    assert page.is_disabled("#comodgan-later")
    for _ in range(2):
        said = page.inner_text("#comodgan-state")
        page.wait_for_selector("#comodgan-earlier:enabled")
        page.click("#comodgan-earlier")
        page.wait_for_function("said => document.querySelector('#comodgan-state').innerText !== said", arg=said)
    wait_for_text(page, "comodgan-state", "The hole is on a face")
    settle(page, 1000)
    assert np.array_equal(compared(page)[1], on_face)
    result, _ = downloaded(page)
    assert result.shape == (300, 400, 3), "the earlier one is what is downloaded"
    for _ in range(2):
        page.wait_for_selector("#comodgan-later:enabled")
        said = page.inner_text("#comodgan-state")
        page.click("#comodgan-later")
        page.wait_for_function("said => document.querySelector('#comodgan-state').innerText !== said", arg=said)
    settle(page, 1000)
    assert np.array_equal(compared(page)[1], on_teal)
    set_number(page, "count", "4")


def test_keys_for_painting(any_page, teal) -> None:
    page = any_page
    upload_and_wait(page, teal)

    def tool() -> str:
        return page.get_attribute("#comodgan-paint .toolbar-wrap button.highlight", "aria-label")

    def wait_for_size(size: int) -> None:
        slider = "document.querySelector('#comodgan-paint .toolbar-wrap input[type=range]')?.value"
        page.wait_for_function(f"{slider} === '{size}'")

    undo = "#comodgan-paint button[aria-label='Undo']"
    page.locator("#comodgan-photo").hover()
    assert tool() == "Brush" and page.is_disabled(undo), "the picture itself cannot be undone"
    page.keyboard.press("]")
    wait_for_size(30)
    page.keyboard.press("[")
    wait_for_size(24)
    page.wait_for_function("!document.querySelector('#comodgan-paint .toolbar-wrap input[type=range]')")  # it closes
    field = page.locator("#comodgan-seed input")
    field.fill("1")
    for key in ("e", "[", "Control+z"):
        field.press(key)
    assert tool() == "Brush" and page.locator("#comodgan-paint input[type=range]").count() == 0, "someone types"
    field.fill("1")
    field.press("Enter")
    page.keyboard.press("e")
    page.wait_for_function("document.querySelector('#comodgan-paint button[aria-label=Erase].highlight')")
    page.keyboard.press("e")
    page.wait_for_function("document.querySelector('#comodgan-paint button[aria-label=Brush].highlight')")
    stroke(page)
    page.wait_for_selector(f"{undo}:enabled")
    page.keyboard.press("Control+z")
    page.wait_for_selector(f"{undo}:disabled")
    page.click("#comodgan-start")
    wait_for_text(page, "comodgan-state", "Nothing is marked yet")
    page.keyboard.press("Control+Shift+z")
    page.wait_for_selector(f"{undo}:enabled")


def test_a_click_selects_the_thing_under_it(any_page, tmp_path) -> None:
    page, size = any_page, (300, 200)
    photo = Image.new("RGB", size, (90, 150, 90))
    pen = ImageDraw.Draw(photo)
    pen.ellipse((60, 60, 120, 120), fill=(220, 60, 40))
    pen.rectangle((200, 80, 230, 160), fill=(40, 40, 160))
    upload_and_wait(page, fakes.save(photo, tmp_path / "things.png"))

    def click(x: float, y: float, expected: str) -> None:
        page.mouse.click(*on_canvas(page, size, x, y))
        page.wait_for_selector("#comodgan-paint.waiting")
        page.wait_for_selector("#comodgan-paint:not(.waiting)")
        wait_for_text(page, "comodgan-message", expected)
        settle(page, 2500)  # the mask is loaded into the canvas

    page.click("#comodgan-pick")
    wait_for_text(page, "comodgan-message", "Click on a thing")
    click(90, 90, "Selected.")
    click(270, 30, "Nothing that stands out")
    page.keyboard.press("Control+z")
    wait_for_text(page, "comodgan-message", "The last selection is taken back")
    settle(page, 1500)
    click(215, 120, "Selected.")
    page.click("#comodgan-pick")
    wait_for_text(page, "comodgan-message", "Paint over what should be filled")
    run(page)
    result, _ = downloaded(page)
    changed = (result != np.asarray(photo, int)).any(-1)
    assert changed[80:160, 200:230].mean() > 0.95, "the post, with its rim"
    assert changed[65:175, 185:245].sum() == changed.sum(), "nothing else"


def test_a_transparent_picture_brings_its_hole(any_page, tmp_path) -> None:
    page = any_page
    picture = Image.new("RGBA", (200, 200), (10, 150, 60, 255))
    picture.paste((0, 0, 0, 0), (0, 0, 80, 80))
    picture.save(tmp_path / "clear.png")
    upload(page, tmp_path / "clear.png")
    wait_for_text(page, "comodgan-message", "transparent part is marked")
    settle(page, 1500)
    run(page)
    result, _ = downloaded(page)
    changed = (result != (10, 150, 60)).any(-1)
    assert changed[:75, :75].mean() > 0.9 and not changed[85:].any() and not changed[:, 85:].any()


def test_from_a_drawing(own_page) -> None:
    page = own_page
    click_tab(page, "From a drawing")
    wait_for_text(page, "comodgan-drawing-message", "Then press Draw portraits")
    for _ in range(10):  # on a busy machine the page may not listen yet, as a person would notice
        settle(page, 1500)
        page.click("#comodgan-drawing-blank")
        settle(page, 1500)
        if "White paper" in page.inner_text("#comodgan-drawing-message"):
            break
    wait_for_text(page, "comodgan-drawing-message", "White paper")
    settle(page, 1500)
    page.click("#comodgan-drawing-start")
    wait_for_text(page, "comodgan-state", "Nothing is drawn yet")
    stroke(page, "comodgan-drawing-paint")
    run(page, "comodgan-drawing-start")
    before, after = compared(page)
    assert before.shape == after.shape == (comodgan_fakes.SIDE, comodgan_fakes.SIDE, 3)
    assert before.min() < 120 and np.median(before) > 240
    page.click("#comodgan-again")
    wait_for_text(page, "comodgan-message", "Paint over what should be filled")


def test_bad_file_then_a_good_one(own_page, teal, tmp_path) -> None:
    page = own_page
    bad = tmp_path / "picture.png"
    bad.write_text("this is text")
    upload(page, bad)
    page.get_by_text("not a picture that can be read").first.wait_for()
    page.click("#comodgan-start")
    wait_for_text(page, "comodgan-state", "not a picture that can be read")
    upload_and_wait(page, teal)
    stroke(page)
    run(page)


def test_sent_to_and_from_another_tab(own_page) -> None:
    page = own_page
    run(page)
    page.get_by_role("button", name="Send to Edit a face").click()
    page.wait_for_selector("#hfgi-photo img")
    page.wait_for_function("document.querySelector('#hfgi-message').innerText.includes('face')", timeout=WAIT)


def test_closing_the_page_leaves_nothing(comodgan_server, open_page) -> None:
    # An editor that a test left in the middle of sending may have left a stray, which only goes in time.
    strays = set(comodgan_server.files())
    page = open_page(comodgan_server.url)
    open_tab(page)
    run(page)
    assert set(comodgan_server.files()) - strays
    page.close()
    deadline = time.monotonic() + 120
    while set(comodgan_server.files()) - strays and time.monotonic() < deadline:
        time.sleep(0.3)
    assert set(comodgan_server.files()) - strays == set()


def test_phone(comodgan_server, open_page) -> None:
    page = open_page(comodgan_server.url, width=390, height=800)
    open_tab(page)
    run(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390, "the page scrolls sideways"
    settle(page, 800)
    box = page.locator("#comodgan-state").bounding_box()
    assert 0 <= box["y"] < 800, "the results are out of sight"


def test_without_weights_the_tab_says_so(fake_server, open_page) -> None:
    page = open_page(fake_server.url)
    page.get_by_role("tab", name="Fill a hole").click()
    page.get_by_text("nothing to fill with").wait_for()
