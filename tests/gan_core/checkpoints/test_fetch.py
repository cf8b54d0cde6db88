"""Fetching against a small local server: resume, wrong bytes, gone addresses."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from gan_core.checkpoints import fetch
from gan_core.errors import BadCheckpoint, WeightsMissing
from weights.published import PUBLISHED, PublishedFile, is_complete

BODY = bytes(range(256)) * 5000


class Handler(BaseHTTPRequestHandler):
    """Serves BODY; /norange ignores ranges, /cut ends early, anything else is not there."""

    requests = []

    def do_GET(self):  # noqa: N802 (the base class's name)
        start = self.headers.get("Range")
        self.requests.append((self.path, start))
        if self.path not in ("/file", "/norange", "/cut"):
            self.send_error(404)
            return
        offset = int(start[6:-1]) if start and self.path != "/norange" else 0
        if offset >= len(BODY):
            self.send_error(416)
            return
        self.send_response(206 if offset else 200)
        self.send_header("Content-Length", str(len(BODY) - offset))
        self.end_headers()
        self.wfile.write(BODY[offset : len(BODY) // 2] if self.path == "/cut" else BODY[offset:])

    def log_message(self, *_args):
        pass


@pytest.fixture
def server():
    Handler.requests = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()


def entry(url, digest=None, size=None):
    return PublishedFile("model.pth", url, size, digest)


GOOD = hashlib.sha256(BODY).hexdigest()


def test_whole_file(server, tmp_path):
    seen = []
    path = fetch.fetch_file(entry(f"{server}/file", GOOD, len(BODY)), tmp_path / "model.pth", lambda *s: seen.append(s))
    assert path.read_bytes() == BODY and seen[-1] == (len(BODY), len(BODY))
    assert [p.name for p in tmp_path.iterdir()] == ["model.pth"]


@pytest.mark.parametrize("address", ["file", "norange"])
def test_continues_a_partial_download(server, tmp_path, address):
    (tmp_path / "model.pth.part").write_bytes(BODY[:1000])
    path = fetch.fetch_file(entry(f"{server}/{address}", GOOD), tmp_path / "model.pth")
    assert path.read_bytes() == BODY
    assert Handler.requests == [(f"/{address}", "bytes=1000-")]


def test_partial_that_is_already_whole(server, tmp_path):
    (tmp_path / "model.pth.part").write_bytes(BODY)
    assert fetch.fetch_file(entry(f"{server}/file", GOOD), tmp_path / "model.pth").read_bytes() == BODY


def test_broken_connection_never_counts_as_complete(server, tmp_path):
    with pytest.raises(WeightsMissing, match="again to continue"):
        fetch.fetch_file(entry(f"{server}/cut"), tmp_path / "model.pth")
    assert not (tmp_path / "model.pth").exists()
    assert (tmp_path / "model.pth.part").stat().st_size == len(BODY) // 2
    path = fetch.fetch_file(entry(f"{server}/file", GOOD), tmp_path / "model.pth")
    assert path.read_bytes() == BODY


def test_wrong_content_is_removed(server, tmp_path):
    for wrong in (entry(f"{server}/file", "0" * 64), entry(f"{server}/file", GOOD, 7)):
        with pytest.raises(BadCheckpoint, match="removed"):
            fetch.fetch_file(wrong, tmp_path / "model.pth")
        assert list(tmp_path.iterdir()) == []


def test_gone_and_unreachable(server, tmp_path):
    for url in (f"{server}/gone", "http://127.0.0.1:1/file"):
        with pytest.raises(WeightsMissing):
            fetch.fetch_file(entry(url), tmp_path / "model.pth")
    assert not (tmp_path / "model.pth").exists()


def test_command_line(tmp_path, capsys):
    assert fetch.main(["--folder", str(tmp_path)]) == 0
    assert "hfgi_ffhq (not here)" in capsys.readouterr().out
    assert fetch.main(["nothing_like_it", "--folder", str(tmp_path)]) == 1
    model = PUBLISHED[0]
    assert not is_complete(model, tmp_path)
    (tmp_path / model.name).mkdir()
    for file in model.files:
        (tmp_path / model.name / file.file).touch()
    assert is_complete(model, tmp_path)
