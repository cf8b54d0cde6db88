"""The page in a real browser, over the fake editor (fast, several faces, marking) and as it is shipped."""

import base64
import re
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from tests.demo import fakes
from tests.demo.tabs import choose_file, click_tab, mounted_by, settle, unfold

pytestmark = pytest.mark.browser

CLEAR = "#hfgi-photo button[aria-label='Clear'], #hfgi-photo button[aria-label='Remove Image']"


def _frame(picture: Image.Image) -> av.VideoFrame:
    """By one thread: see `gan_core.video.container.upright`."""
    return av.VideoFrame.from_image(picture).reformat(format="yuv420p", threads=1)


def upload(page, path):
    choose_file(page, "#hfgi-photo", path)


def wait_for_message(page, text):
    page.wait_for_function(
        "text => document.querySelector('#hfgi-message').innerText.includes(text)", arg=text, timeout=120_000
    )


def result_address(page):
    page.wait_for_selector("#hfgi-compare img")
    return page.locator("#hfgi-compare img").last.get_attribute("src")


def wait_for_other_result(page, before):
    page.wait_for_function(
        "before => { const all = document.querySelectorAll('#hfgi-compare img');"
        " return all.length && all[all.length - 1].getAttribute('src') !== before; }",
        arg=before,
        timeout=120_000,
    )
    return result_address(page)


def fetch_picture(page, address, path):
    path.write_bytes(page.request.get(address).body())
    return Image.open(path).convert("RGB")


@pytest.fixture
def one_face(tmp_path):
    return fakes.save(fakes.draw_photo(), tmp_path / "one.jpg", quality=95)


@pytest.fixture
def page(fake_server, keep_page):
    """The tab without a photo, all sliders at 0."""
    page, new = keep_page(fake_server.url)
    if not new:
        put_back(page)
    return page


def put_back(page):
    page.get_by_role("tab", name="Whole photo").click()
    if page.locator(CLEAR).count():
        page.locator(CLEAR).first.click()
    wait_for_message(page, "Upload a photo")
    page.wait_for_function("!document.querySelector('#hfgi-compare img')")
    moved = "[...document.querySelectorAll('[id^=hfgi-named-] input[type=range]')].some(one => one.value !== '0')"
    if page.evaluate(moved):
        page.click("#hfgi-reset")
        page.wait_for_function(f"!{moved}")
        settle(page, 500)  # what this draws has come


def test_upload_slider_reset_download(page, one_face, tmp_path):
    upload(page, one_face)
    wait_for_message(page, "Move a slider")
    first = result_address(page)
    slider = page.locator("#hfgi-named-0 input[type=range]")
    box = slider.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.95, box["y"] + box["height"] / 2, steps=6)
    page.wait_for_timeout(400)
    assert result_address(page) == first, "nothing is drawn before the slider is let go"
    page.mouse.up()
    second = wait_for_other_result(page, first)
    changed = fetch_picture(page, second, tmp_path / "after.jpg")
    original = Image.open(one_face)
    assert np.asarray(changed)[240, 320].mean() > np.asarray(original)[240, 320].mean() + 15

    with page.expect_download() as download:
        page.click("#hfgi-download")
    with Image.open(download.value.path()) as saved:
        assert saved.size == (640, 480) and "edited with" in saved.text["Description"]

    page.click("#hfgi-reset")
    wait_for_other_result(page, second)
    assert slider.input_value() == "0"


def test_slider_by_keyboard(page, one_face):
    upload(page, one_face)
    wait_for_message(page, "Move a slider")
    first = result_address(page)
    page.focus("#hfgi-named-1 input[type=range]")
    page.keyboard.press("End")
    second = wait_for_other_result(page, first)
    number = page.locator("#hfgi-named-1 input[type=number]")
    number.fill("-1.5")
    number.press("Enter")
    wait_for_other_result(page, second)


def test_several_faces_the_person_picks(page, tmp_path):
    photo = fakes.draw_photo((900, 600), ((250, 300, 120), (650, 280, 90)))
    upload(page, fakes.save(photo, tmp_path / "two.png"))
    wait_for_message(page, "2 faces found")
    wait_for_message(page, "Move a slider")
    page.locator("#hfgi-faces button img").nth(1).click()
    wait_for_message(page, "Face 2 of 2")
    before = result_address(page)
    page.focus("#hfgi-named-0 input[type=range]")
    page.keyboard.press("End")
    after = fetch_picture(page, wait_for_other_result(page, before), tmp_path / "after.jpg")
    change = np.asarray(after, float) - np.asarray(photo, float)
    assert change[280, 650].mean() > 15 and abs(change[300, 250].mean()) < 5


def test_no_face_is_said_and_marked_by_hand(page, tmp_path):
    upload(page, fakes.save(Image.new("RGB", (500, 400), "teal"), tmp_path / "none.png"))
    wait_for_message(page, "No face was found in this picture. Try another one. Or mark the eyes")
    canvas = page.locator("#hfgi-canvas img")
    canvas.wait_for()
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    for count, (x, y) in enumerate(((0.4, 0.4), (0.6, 0.4), (0.5, 0.6))):
        page.get_by_text(re.compile(rf"\({count + 1} of 3\)")).wait_for()
        page.wait_for_timeout(400)  # as long as a hand needs, and the picture with the new dot
        page.mouse.click(box["x"] + box["width"] * x, box["y"] + box["height"] * y)
    wait_for_message(page, "you marked")
    assert result_address(page)


def test_a_bad_file_is_a_sentence_and_the_next_one_works(page, one_face, tmp_path):
    bad = tmp_path / "picture.png"
    bad.write_text("this is text")
    upload(page, bad)
    wait_for_message(page, "not a picture that can be read")
    page.locator(CLEAR).first.click()
    wait_for_message(page, "Upload a photo")
    upload(page, one_face)
    wait_for_message(page, "Move a slider")


def test_close_up_shows_the_gain_of_the_consultation(page, one_face):
    upload(page, one_face)
    wait_for_message(page, "Move a slider")
    click_tab(page, "Close-up")
    for name in ("crop", "plain", "plain-edit", "crop-edit"):
        page.wait_for_selector(f"#hfgi-{name} img")


def test_a_slider_is_swept_from_end_to_end(page, one_face, tmp_path):
    def wait_for_sweep(text):
        page.wait_for_function("text => document.querySelector('#hfgi-sweep-state').innerText.includes(text)", arg=text)

    unfold(page, "Sweep", then="#hfgi-sweep-start")
    page.click("#hfgi-sweep-start")
    wait_for_sweep("Please choose a photo first")
    upload(page, one_face)
    wait_for_message(page, "Move a slider")
    page.click("#hfgi-sweep-start:enabled")
    wait_for_sweep("Done.")
    picture = page.get_attribute("#hfgi-sweep-result img", "src")
    (tmp_path / "sweep").write_bytes(page.request.get(picture).body())
    with Image.open(tmp_path / "sweep") as sweep:
        assert sweep.n_frames > 20 and b"smile from -3 to +3 and back" in sweep.info["xmp"]
    assert page.locator("#hfgi-sweep-files a").count() >= 2
    page.click("#hfgi-sweep button")


@pytest.fixture
def clip(tmp_path):
    """Three seconds with a face moving to the right."""
    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 640, 480, "yuv420p"
        for index in range(30):
            frame = _frame(fakes.draw_photo(faces=((290 + 2 * index, 240, 90),)))
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def start_video(page, clip):
    click_tab(page, "Video", then="#hfgi-video input[type=file]")
    choose_file(page, "#hfgi-video", clip)
    page.wait_for_selector("#hfgi-video video")
    page.focus("#hfgi-named-0 input[type=range]")
    page.keyboard.press("End")
    mounted_by(page, page.get_by_role("tab", name="Video").nth(1).click)
    page.click("#hfgi-video-start")
    wait_for_state(page, "Editing")


def wait_for_state(page, text):
    page.wait_for_function(
        "text => document.querySelector('#hfgi-video-state').innerText.includes(text)",
        arg=text,
        timeout=120_000,
    )


def test_video_is_edited_and_can_be_stopped(fake_server, open_page, clip):
    page = open_page(fake_server.url)
    start_video(page, clip)
    page.click("#hfgi-video-stop")
    wait_for_state(page, "Stopped")
    page.wait_for_function("!document.querySelector('#hfgi-video-start').disabled")
    page.click("#hfgi-video-start")
    wait_for_state(page, "Done.")
    page.wait_for_selector("#hfgi-video-result video")


def test_a_video_without_a_face_is_a_sentence_and_can_be_tried_again(fake_server, open_page, tmp_path):
    path = tmp_path / "empty.mp4"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for _ in range(10):
            output.mux(stream.encode(_frame(Image.new("RGB", (320, 240), "teal"))))
        output.mux(stream.encode(None))
    page = open_page(fake_server.url)
    click_tab(page, "Video", then="#hfgi-video input[type=file]")
    choose_file(page, "#hfgi-video", path)
    page.wait_for_selector("#hfgi-video video")
    page.click("#hfgi-video-start")
    wait_for_state(page, "All sliders are at 0")
    page.focus("#hfgi-named-0 input[type=range]")
    page.keyboard.press("End")
    page.wait_for_function("!document.querySelector('#hfgi-video-start').disabled")
    page.click("#hfgi-video-start")
    wait_for_state(page, "No face was found in this video")
    page.wait_for_function("!document.querySelector('#hfgi-video-start').disabled")


PASTE = """async data => {
    const picture = await (await fetch('data:image/jpeg;base64,' + data)).blob();
    const clipboardData = new DataTransfer();
    clipboardData.items.add(new File([picture], 'pasted.jpg', { type: 'image/jpeg' }));
    document.body.dispatchEvent(new ClipboardEvent('paste', { clipboardData, bubbles: true, cancelable: true }));
}"""


def test_pasting_a_picture_anywhere(page, tmp_path):
    for faces, found in ((((320, 240, 90),), "One face found"), (((180, 240, 80), (460, 240, 90)), "2 faces found")):
        path = Path(fakes.save(fakes.draw_photo(faces=faces), tmp_path / "pasted.jpg", quality=95))
        page.evaluate(PASTE, base64.b64encode(path.read_bytes()).decode())  # the second replaces the first
        wait_for_message(page, found)
        wait_for_message(page, "Move a slider")
        settle(page, 1000)  # nobody pastes the next one sooner
    assert result_address(page)


def test_webcam(fake_server, browser, tmp_path):
    film = tmp_path / "camera.mjpeg"
    picture = Path(fakes.save(fakes.draw_photo(), tmp_path / "camera.jpg", quality=95)).read_bytes()
    film.write_bytes(picture * 10)
    camera = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    camera += [f"--use-file-for-fake-video-capture={film}", "--no-sandbox"]
    chromium = browser.browser_type.launch(
        executable_path="/usr/bin/chromium" if Path("/usr/bin/chromium").is_file() else None, args=camera
    )
    try:
        page = chromium.new_context(permissions=["camera"]).new_page()
        page.goto(fake_server.url)
        page.click("#hfgi-photo button[aria-label='Capture from camera']")
        page.get_by_text("Click to Access Webcam").click()
        page.wait_for_function("document.querySelector('#hfgi-photo video')?.readyState >= 2")
        page.wait_for_timeout(1500)  # the camera starts
        page.click("#hfgi-photo button[aria-label='capture photo']")
        wait_for_message(page, "Move a slider")
        assert result_address(page)
    finally:
        chromium.close()


def test_closing_the_page_leaves_nothing_and_stops_the_work(fake_server, page, open_page, clip, one_face):
    upload(page, one_face)
    wait_for_message(page, "Move a slider")
    start_video(page, clip)
    assert fake_server.files()
    page.close()
    assert fake_server.files_after_leaving() == []
    page = open_page(fake_server.url)
    upload(page, one_face)
    wait_for_message(page, "Move a slider")


def test_phone(fake_server, open_page, one_face):
    page = open_page(fake_server.url, width=390, height=800)
    upload(page, one_face)
    wait_for_message(page, "Move a slider")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390, "the page scrolls sideways"
    top = {name: page.locator(f"#hfgi-{name}").bounding_box()["y"] for name in ("photo", "compare", "named-0")}
    assert top["photo"] < top["compare"] < top["named-0"]


def wait_for_refinement(page, text):
    page.wait_for_function(
        "text => document.querySelector('#hfgi-refine-state').innerText.includes(text)", arg=text, timeout=120_000
    )


def refine(page):
    page.wait_for_function("!document.querySelector('#hfgi-refine-start').disabled")
    page.click("#hfgi-refine-start")


def smile_to_the_end(page, before):
    page.focus("#hfgi-named-0 input[type=range]")
    page.keyboard.press("End")
    return wait_for_other_result(page, before)


def test_refining_is_shown_and_the_sliders_edit_the_refined_face(page, one_face, tmp_path):
    refine(page)
    wait_for_refinement(page, "Please choose a photo first")
    upload(page, one_face)
    wait_for_message(page, "Move a slider")
    plain = fetch_picture(page, smile_to_the_end(page, result_address(page)), tmp_path / "plain.jpg")
    before = result_address(page)
    refine(page)
    wait_for_refinement(page, "Refining: step")
    page.wait_for_selector("#hfgi-refine-preview img")
    wait_for_refinement(page, "Refined. Move a slider")
    refined = fetch_picture(page, wait_for_other_result(page, before), tmp_path / "refined.jpg")
    original = np.asarray(Image.open(one_face), float)
    change, less = (np.abs(np.asarray(picture, float) - original)[240, 320].mean() for picture in (refined, plain))
    assert change > less + 5
    with page.expect_download() as download:
        page.click("#hfgi-download")
    with Image.open(download.value.path()) as saved:
        assert "refined on the photo in 12 steps" in saved.text["Description"]
    before = result_address(page)
    page.click("#hfgi-refine-used input")
    again = fetch_picture(page, wait_for_other_result(page, before), tmp_path / "again.jpg")
    assert np.abs(np.asarray(again, float) - np.asarray(plain, float)).mean() < 1
    upload_another = fakes.save(fakes.draw_photo(faces=((200, 240, 80),)), tmp_path / "other.png")
    page.locator(CLEAR).first.click()
    wait_for_message(page, "Upload a photo")
    upload(page, upload_another)
    wait_for_message(page, "Move a slider")
    page.wait_for_selector("#hfgi-refine-used", state="hidden")


def test_refining_can_be_stopped_and_what_there_is_is_kept(fake_server, open_page, one_face):
    page = open_page(fake_server.url)  # whoever has this photo refined already, as in the test before, has no preview
    upload(page, one_face)
    wait_for_message(page, "Move a slider")
    refine(page)
    page.wait_for_selector("#hfgi-refine-preview img")
    page.click("#hfgi-refine-stop")
    wait_for_refinement(page, "steps so far are kept")
    page.wait_for_function("!document.querySelector('#hfgi-refine-start').disabled")
    page.wait_for_selector("#hfgi-refine-used input:checked")
    refine(page)
    wait_for_refinement(page, "Refined. Move a slider")


def test_switch_on_this_device(page):
    page.click("#hfgi-on-device input")
    frame = page.frame_locator("#hfgi-device iframe")
    frame.locator("#start").wait_for()
    assert frame.locator("body").evaluate("() => crossOriginIsolated"), "so that WebAssembly may use several threads"
    frame.locator("body:not([data-state=loading])").wait_for()
    page.wait_for_selector("#hfgi-photo", state="hidden")
    page.click("#hfgi-on-device input")
    page.wait_for_selector("#hfgi-photo")
    assert page.locator("#hfgi-device iframe").count() == 0
