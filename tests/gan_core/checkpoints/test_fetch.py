"""Fetching against a server on loopback with every fault that hosts have."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

import pytest

from gan_core.checkpoints import download, fetch
from gan_core.checkpoints.download import confirmation, fetch_file
from gan_core.errors import BadCheckpoint, Cancelled, WeightsMissing
from tests.gan_core.checkpoints.faulty_server import BODY, DRIVE, serving
from weights.published import PUBLISHED, PublishedFile, is_complete

GOOD = hashlib.sha256(BODY).hexdigest()


@pytest.fixture
def server(monkeypatch):
    for name in ("HF_TOKEN", "HF_ENDPOINT", "HF_HUB_OFFLINE", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(download, "TRIES", 3)
    monkeypatch.setattr(download, "_sleep", lambda seconds, stop: None)
    with serving() as (url, handler):
        yield url, handler


def entry(*urls, digest=None, size=None):
    return PublishedFile("model.pth", urls, size, digest)


def left(folder):
    return sorted(path.name for path in folder.iterdir())


def test_whole_file(server, tmp_path):
    url, _ = server
    seen = []
    path = tmp_path / "model.pth"
    fetch_file(entry(f"{url}/file", digest=GOOD, size=len(BODY)), path, lambda *s: seen.append(s))
    assert path.read_bytes() == BODY and seen[-1] == (len(BODY), len(BODY))
    assert left(tmp_path) == ["model.pth"]


@pytest.mark.parametrize("fault", ["cut", "norange", "redirect", "busy", "drive", "slow"])
def test_what_a_patient_person_would_get(server, tmp_path, fault):
    """Connections that break off, servers that know no ranges, redirect, throttle, or ask to confirm."""
    url, handler = server
    path = tmp_path / "model.pth"
    fetch_file(entry(f"{url}/{fault}", digest=GOOD, size=len(BODY)), path)
    assert path.read_bytes() == BODY and left(tmp_path) == ["model.pth"]
    if fault == "cut":
        starts = [headers.get("Range") for _, headers in handler.requests]
        assert starts == [None, *(f"bytes={i * len(BODY) // 4}-" for i in (1, 2, 3))]


FAULTS = {
    "gone": (WeightsMissing, "not there any more"),
    "gated": (WeightsMissing, "signed in"),
    "page": (WeightsMissing, "web page"),
    "loop": (WeightsMissing, "loop"),
    "half": (WeightsMissing, "again to continue"),
    "always_busy": (WeightsMissing, "asks to wait"),
    "wrong": (BadCheckpoint, "sha256 differs.* removed"),
    "disguised": (BadCheckpoint, "removed"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_cannot_be_had_is_said_and_never_counts_as_complete(server, tmp_path, fault):
    url, _ = server
    kind, words = FAULTS[fault]
    size = None if fault == "disguised" else len(BODY)
    with pytest.raises(kind, match=words):
        fetch_file(entry(f"{url}/{fault}", digest=GOOD, size=size), tmp_path / "model.pth")
    assert not (tmp_path / "model.pth").exists()
    if kind is BadCheckpoint:
        assert left(tmp_path) == []


def test_a_web_page_is_noticed_without_a_hash(server, tmp_path):
    with pytest.raises(BadCheckpoint, match="web page"):
        fetch_file(entry(f"{server[0]}/disguised"), tmp_path / "model.pth")


@pytest.mark.parametrize("fault", ["shorter", "longer"])
def test_a_length_that_is_not_the_published_one_is_refused_at_once(server, tmp_path, fault):
    url, _ = server
    with pytest.raises(BadCheckpoint, match="offers"):
        fetch_file(entry(f"{url}/{fault}", size=len(BODY)), tmp_path / "model.pth")
    assert left(tmp_path) == []


def test_a_length_that_is_a_lie_is_seen_through_by_the_hash(server, tmp_path):
    url, _ = server
    fetch_file(entry(f"{url}/longer", digest=GOOD), tmp_path / "model.pth")
    with pytest.raises(BadCheckpoint, match="sha256 differs"):
        fetch_file(entry(f"{url}/shorter", digest=GOOD), tmp_path / "other")
    assert left(tmp_path) == ["model.pth"]


def test_sources_are_tried_in_turn(server, tmp_path):
    url, handler = server
    sources = [f"{url}/{fault}" for fault in ("gone", "page", "wrong", "file", "never_asked")]
    fetch_file(entry("http://127.0.0.1:1/file", *sources, digest=GOOD), tmp_path / "model.pth")
    assert (tmp_path / "model.pth").read_bytes() == BODY
    assert [path for path, _ in handler.requests] == ["/gone", "/page", "/wrong", "/file"]


def test_a_break_is_continued_from_another_source_only_if_the_bytes_must_agree(server, tmp_path):
    url, handler = server
    fetch_file(entry(f"{url}/half", f"{url}/file", digest=GOOD), tmp_path / "one")
    assert handler.requests[-1][1]["Range"] == f"bytes={len(BODY) // 2}-"
    fetch_file(entry(f"{url}/half", f"{url}/file"), tmp_path / "two")
    assert "Range" not in handler.requests[-1][1]
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes() == BODY


def test_a_file_that_changed_meanwhile_is_fetched_anew(server, tmp_path):
    url, _ = server
    with pytest.raises(WeightsMissing):
        fetch_file(entry(f"{url}/half"), tmp_path / "model.pth")
    note = tmp_path / "model.pth.part.json"
    assert json.loads(note.read_text()) == {"url": f"{url}/half", "mark": '"first"'}
    note.write_text(json.dumps({"url": f"{url}/changed", "mark": '"first"'}))
    fetch_file(entry(f"{url}/changed"), tmp_path / "model.pth")
    assert (tmp_path / "model.pth").read_bytes() == BODY[::-1]


def test_stopped_and_continued(server, tmp_path, monkeypatch):
    url, handler = server
    monkeypatch.setattr(download, "CHUNK", 100_000)
    done = []
    with pytest.raises(Cancelled):
        fetch_file(entry(f"{url}/file"), tmp_path / "model.pth", lambda *s: done.append(s), stop=lambda: len(done) >= 3)
    assert left(tmp_path) == ["model.pth.part", "model.pth.part.json"]
    fetch_file(entry(f"{url}/file"), tmp_path / "model.pth")
    assert 0 < done[-1][0] < len(BODY) and handler.requests[-1][1]["Range"] == f"bytes={done[-1][0]}-"
    assert (tmp_path / "model.pth").read_bytes() == BODY


def test_a_partial_file_that_is_already_whole(server, tmp_path):
    (tmp_path / "model.pth.part").write_bytes(BODY)
    fetch_file(entry(f"{server[0]}/file", digest=GOOD), tmp_path / "model.pth")
    assert (tmp_path / "model.pth").read_bytes() == BODY


def test_the_hubs_token_goes_to_the_hub_alone(server, tmp_path, monkeypatch):
    url, handler = server
    monkeypatch.setenv("HF_TOKEN", "secret")
    fetch_file(entry(f"{url}/file"), tmp_path / "elsewhere")
    assert "Authorization" not in handler.requests[-1][1]
    monkeypatch.setenv("HF_ENDPOINT", url)
    with serving() as (other, its_handler):
        handler.other = other
        fetch_file(entry("https://huggingface.co/a/b/resolve/main/elsewhere"), tmp_path / "hub")
        assert handler.requests[-1][0] == "/a/b/resolve/main/elsewhere"
        assert handler.requests[-1][1]["Authorization"] == "Bearer secret"
        assert len(its_handler.requests) == 1 and "Authorization" not in its_handler.requests[0][1]


def test_proxies_are_respected(server, tmp_path, monkeypatch):
    url, handler = server
    monkeypatch.setenv("http_proxy", url)
    monkeypatch.setenv("no_proxy", "")
    fetch_file(entry("http://models.example/file", digest=GOOD), tmp_path / "model.pth")
    assert handler.requests[-1][0] == "http://models.example/file"


def test_offline_never_tries(server, tmp_path, monkeypatch):
    url, handler = server
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(WeightsMissing, match="offline"):
        fetch_file(entry(f"{url}/file"), tmp_path / "model.pth")
    assert handler.requests == [] and left(tmp_path) == []


def test_only_a_confirmation_on_the_same_site_is_followed():
    drive = "https://drive.google.com/uc?id=abc"
    assert confirmation(DRIVE, drive) == (
        "https://drive.google.com/confirmed?id=abc&export=download&confirm=t&uuid=1-2"
    )
    assert confirmation(DRIVE.replace('"/confirmed"', '"https://drive.usercontent.google.com/download"'), drive)
    assert confirmation(DRIVE.replace('"/confirmed"', '"https://elsewhere.example/x"'), drive) is None
    assert confirmation(DRIVE.replace('"/confirmed"', '"file:///etc/passwd"'), drive) is None
    assert confirmation("<form action='/search'><input type=hidden name=q value=1></form>", drive) is None


def test_a_model_of_several_files_and_another_set(server, tmp_path):
    url, _ = server
    first = (PublishedFile("a", (f"{url}/file",)), PublishedFile("b", (f"{url}/gone",)))
    model = dataclasses.replace(
        PUBLISHED[0], files=first, instead=((PublishedFile("c", (f"{url}/file",), len(BODY), GOOD),),)
    )
    seen = []
    fetch.fetch_model(model, tmp_path, lambda *s: seen.append(s))
    assert left(tmp_path / model.name) == ["a", "b.part.json", "c"] and is_complete(model, tmp_path)
    assert seen[-1] == (len(BODY), len(BODY))
    by_hand = dataclasses.replace(model, files=(PublishedFile("a"),), instead=())
    with pytest.raises(WeightsMissing, match="by hand"):
        fetch.fetch_model(by_hand, tmp_path)


def test_a_folder_that_cannot_be_written(server, tmp_path):
    (tmp_path / "weights").write_text("a file is in the way")
    with pytest.raises(WeightsMissing, match="cannot be written"):
        fetch.fetch_model(PUBLISHED[0], tmp_path / "weights")


def test_command_line(tmp_path, capsys):
    assert fetch.main(["--folder", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "hfgi_ffhq (not here)" in said and "sc_gan_cats (not here, by hand from https://drive" in said
    assert fetch.main(["nothing_like_it", "--folder", str(tmp_path)]) == 1
    model = PUBLISHED[0]
    assert not is_complete(model, tmp_path)
    (tmp_path / model.name).mkdir()
    for file in model.files:
        Path(tmp_path / model.name / file.file).touch()
    assert is_complete(model, tmp_path)
