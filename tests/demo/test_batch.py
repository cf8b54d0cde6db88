"""Several photos through one setting, over the fake editor: as a run, and on the page."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from PIL import Image

from demo.gpu import Step
from demo.parts.batch_panel import FAILED, run
from demo.session import Sessions
from gan_core.errors import BadImage
from gan_core.picture_sets import picture_set
from tests.demo import fakes
from tests.demo.tabs import choose_file, unfold


@pytest.fixture
def session(tmp_path):
    sessions = Sessions(tmp_path / "visitors")
    yield sessions.get("one")
    sessions.close()


def copied(session, path, data):
    """An edit that copies pictures, and fails for red ones."""
    yield Step(0.5, "Half way")
    with Image.open(path) as picture:
        if picture.getpixel((0, 0))[0] > 200:
            raise BadImage("This one is red.")
        result = session.new_file("copied", ".png")
        picture.save(result)
    yield result


def photos(folder: Path, *colours: str) -> list[Path]:
    folder.mkdir()
    for number, colour in enumerate(colours):
        Image.new("RGB", (64, 64), colour).save(folder / f"{number}.png")
    return sorted(folder.iterdir())


def test_one_archive_with_what_worked_and_a_list_of_what_did_not(session, tmp_path) -> None:
    found = picture_set([*photos(tmp_path / "in", "teal", "red", "navy"), tmp_path / "notes.txt"])
    job = session.job("batch")
    *_, (text, path) = run(session, job, found, copied, {})
    assert text == "2 of 3 done, 2 not: notes.txt: This is not a picture.; 1.png: This one is red."
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["0.png", "2.png", FAILED]
        assert archive.read(FAILED).decode().splitlines()[1] == "1.png: This one is red."
    assert sorted(session.folder.iterdir()) == [path], "nothing else is left behind"
    *_, (_, again) = run(session, job, found, copied, {})
    assert sorted(session.folder.iterdir()) == [again], "the earlier archive makes room"


def test_stopped_it_keeps_what_is_done_and_nothing_when_there_is_nothing(session, tmp_path) -> None:
    found = picture_set(photos(tmp_path / "in", "teal", "teal", "teal"))
    job = session.job("batch")
    steps = run(session, job, found, copied, {})
    for text, _ in steps:
        if text.startswith("2 of 3"):
            break
    job.stop()
    *_, (text, path) = steps
    assert text == "Stopped. 1 of 3 done."
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["0.png"]
    job.ask()
    bad = picture_set(photos(tmp_path / "bad", "red"))
    *_, (text, nothing) = run(session, job, bad, copied, {})
    assert nothing is None and text.startswith("0 of 1 done, 1 not") and not list(session.folder.iterdir())


@pytest.mark.browser
def test_on_the_page(fake_server, open_page, tmp_path) -> None:
    page = open_page(fake_server.url)
    fakes.save(fakes.draw_photo(), tmp_path / "one.jpg")
    packed = tmp_path / "party.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.write(tmp_path / "one.jpg", "2024/one.jpg")
        archive.writestr("2024/notes.txt", "hello")
    unfold(page, "Several photos at once", then="#hfgi-batch-files input[type=file]")
    choose_file(page, "#hfgi-batch-files", packed)
    assert "party" in page.inner_text("#hfgi-batch-files .file-preview")
    page.click("#hfgi-batch-start")
    page.wait_for_function("document.querySelector('#hfgi-batch-state').innerText.includes('All sliders are at 0')")
    page.get_by_role("button", name="Subtle smile").click()
    page.wait_for_function("!document.querySelector('#hfgi-batch-start').disabled")
    page.click("#hfgi-batch-start")
    page.wait_for_function("document.querySelector('#hfgi-batch-state').innerText.includes('1 of 1 done, 1 not')")
    with page.expect_download() as download:
        page.locator("#hfgi-batch-result a[download]").first.click()
    assert download.value.suggested_filename.startswith("party edited")
    with zipfile.ZipFile(download.value.path()) as archive:
        assert archive.namelist() == ["2024/one.png", FAILED]
        with Image.open(archive.open("2024/one.png")) as edited:
            assert edited.size == (640, 480) and "smile +1" in edited.text["Description"]
