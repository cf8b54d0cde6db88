"""The job behind the page, against a server on loopback: fetched, stopped, continued, refused."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import time

import pytest
import torch

from demo.models_page import lists
from demo.models_page.keeper import Keeper, Status, installed_text
from gan_core.checkpoints import download
from gan_core.checkpoints import fetch as fetch_module
from gan_core.checkpoints.places import Place, installed
from gan_core.errors import BadValue, Busy, WeightsMissing
from tests.gan_core.checkpoints import faulty_server
from tests.gan_core.checkpoints.test_library import canvas
from weights.published import PublishedFile, published

ENTRY = "stylegan_human_v2_512"


@pytest.fixture
def source(monkeypatch):
    """A server with a small model, and the entry that fetches it from the given kind of address."""
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    data = io.BytesIO()
    torch.save(canvas(), data)
    monkeypatch.setattr(faulty_server, "BODY", data.getvalue())
    with faulty_server.serving() as (url, _):
        size, digest = len(data.getvalue()), hashlib.sha256(data.getvalue()).hexdigest()

        def entry(*kinds: str):
            file = PublishedFile("body.pkl", tuple(f"{url}/{kind}" for kind in kinds), size, digest)
            return dataclasses.replace(published(ENTRY), files=(file,))

        yield entry


def finished(keeper: Keeper) -> Status:
    end = time.monotonic() + 60
    while keeper.status.running:
        assert time.monotonic() < end
        time.sleep(0.02)
    return keeper.status


def entry_of(monkeypatch, model):
    known = {ENTRY: model}
    for place in ("gan_core.checkpoints.library", "gan_core.checkpoints.places"):
        monkeypatch.setattr(f"{place}.published", lambda name: known.get(name) or published(name))
    return model


def test_fetched_and_converted(source, tmp_path, monkeypatch) -> None:
    told = []
    keeper = Keeper(tmp_path, offline=False, changed=lambda name: told.append(name) or True)
    keeper.fetch(entry_of(monkeypatch, source("gone", "file")), accepted=True)
    assert finished(keeper).failed is False, keeper.status.text
    assert [here.place for here in installed(tmp_path)] == [Place(ENTRY)]
    assert [path.name for path in (tmp_path / ENTRY).iterdir()] == ["model.safetensors"]
    assert told == [ENTRY], "the app hears which model came"
    assert "once FFHQ faces" in keeper.status.text, "bodies alone are of no use"


@pytest.mark.parametrize(
    ("entry", "offered", "text"),
    [
        ("comodgan_ffhq256", True, 'It is in the menu of "Fill a hole" now.'),
        ("comodgan_ffhq256", False, "Start the app again to find it"),
        ("sg2ada_metfaces", True, "scripts can load it"),
        ("insetgan_face", True, "once a generator of bodies is installed"),
        ("shhq_sg2_512", True, "once FFHQ faces"),
    ],
)
def test_where_a_model_is_found_is_said(entry, offered, text, tmp_path) -> None:
    assert text in installed_text(published(entry), tmp_path, offered)


def test_a_body_with_a_face_is_in_its_menu(tmp_path) -> None:
    for entry in ("insetgan_face", ENTRY):
        (tmp_path / entry).mkdir()
        (tmp_path / entry / "model.safetensors").touch()
    for entry in ("insetgan_face", ENTRY):
        assert '"Compose a body" now' in installed_text(published(entry), tmp_path, True)


def test_stopped_and_continued(source, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(download, "CHUNK", 20_000)
    keeper, model = Keeper(tmp_path, offline=False), entry_of(monkeypatch, source("file"))
    whole = model.files[0].bytes
    show = lists.progress

    def stop_half_way(done, total):
        if done > whole // 2:
            keeper.cancel()

    original = fetch_module.fetch_model

    def fetching(model, root, progress, *, stop):
        return original(model, root, lambda *s: (progress(*s), stop_half_way(*s)), stop=stop)

    monkeypatch.setattr(fetch_module, "fetch_model", fetching)
    keeper.fetch(model, accepted=True)
    assert finished(keeper).failed and "goes on from there" in show(keeper.status)
    assert "Partly here" in lists.facts(model, tmp_path)
    monkeypatch.setattr(fetch_module, "fetch_model", original)
    keeper.fetch(model, accepted=True)
    assert not finished(keeper).failed and installed(tmp_path)


def test_what_cannot_be_is_a_sentence(source, tmp_path, monkeypatch) -> None:
    model = source("wrong")
    with pytest.raises(BadValue, match="licence"):
        Keeper(tmp_path, offline=False).fetch(model, accepted=False)
    with pytest.raises(WeightsMissing, match="no-offline"):
        Keeper(tmp_path, offline=True).fetch(model, accepted=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(WeightsMissing, match="is a file"):
        Keeper(tmp_path / "file" / "weights", offline=False).fetch(model, accepted=True)
    keeper = Keeper(tmp_path, offline=False)
    keeper.fetch(model, accepted=True)
    assert finished(keeper).failed and "other content" in keeper.status.text and installed(tmp_path) == []
    keeper._job.status = dataclasses.replace(keeper._job.status, running=True)
    with pytest.raises(Busy, match="still being installed"):
        keeper.fetch(model, accepted=True)


def test_an_upload_is_deleted_however_it_ends(tmp_path) -> None:
    keeper, path = Keeper(tmp_path / "weights", offline=True), tmp_path / "upload"
    path.write_text("no checkpoint")
    keeper.install(path, Place(ENTRY), True, after=path.unlink)
    assert finished(keeper).failed and "no checkpoint of a kind known" in keeper.status.text and not path.exists()


def test_a_name_that_looks_like_a_page_is_escaped() -> None:
    assert "<script>" not in lists.progress(Status("<script>alert(1)</script>", text="<b>"))


def test_a_space_says_that_its_disk_forgets(tmp_path) -> None:
    assert "lost when it restarts" in lists.disk_line(tmp_path, {"SPACE_ID": "me/studio"})
    assert "lost" not in lists.disk_line(tmp_path, {})
