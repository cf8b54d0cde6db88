"""The whole corpus through the project's readers, in child processes whose memory is limited.

Each file is read properly or refused with one sentence; nothing else happens, nothing is run, nothing is left behind.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from gan_core.errors import StudioError
from tests.hostile import videos
from tests.hostile.cases import MARKER, SECRET, wrong_values
from tests.hostile.corpus import corpus, of_kind
from tests.hostile.readers import READERS, read_frames
from tests.import_graph import ROOT


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """By the kind of cases: what the child process says of each of them."""
    folder = tmp_path_factory.mktemp("corpus")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
    command = [sys.executable, "-m", "tests.hostile.child", str(folder)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr[-3000:]
    found, last = {kind: {} for kind in READERS}, ""
    for line in map(json.loads, done.stdout.splitlines()):
        if "key" in line:
            found[line["key"].partition(":")[0]][line["key"]] = line
        elif "ended" in line:
            assert line["status"] == 0, f"status {line['status']} at {last}\n{done.stderr[-3000:]}"
        last = line.get("begins", last)
    assert not list(folder.rglob(MARKER))
    return found


@pytest.mark.parametrize("kind", READERS)
def test_every_file_is_read_properly_or_refused_with_a_sentence(kind, outcomes) -> None:
    cases = {case.key: case for case in of_kind(kind)}
    assert outcomes[kind].keys() == cases.keys()
    failed = {key: outcome["failed"] for key, outcome in outcomes[kind].items() if "failed" in outcome}
    assert not failed, f"{len(failed)} failed, such as " + "\n".join(f"{k}: {v}" for k, v in list(failed.items())[:3])
    assert {key: outcome["left"] for key, outcome in outcomes[kind].items() if outcome["left"]} == {}
    for key, outcome in outcomes[kind].items():
        if "refused" in outcome:
            assert is_one_sentence(outcome["refused"]), (key, outcome["refused"])
        if cases[key].sound is not None:
            assert ("read" in outcome) == cases[key].sound, (key, outcome)
        assert "nobody may read this" not in str(outcome)


def test_the_corpus_is_on_the_edge_of_being_readable(outcomes) -> None:
    found = Counter("read" if "read" in one else "refused" for each in outcomes.values() for one in each.values())
    assert found["read"] > 300 and found["refused"] > 300


def is_one_sentence(text: str) -> bool:
    """For a person: a few words that end with a full stop, without a name from Python or a path."""
    plain = not any(word in text for word in ("Traceback", "Error(", "0x", "/tmp", "<class", "\n\n"))
    return 20 < len(text) < 330 and text[0].isupper() and text.endswith(".") and plain


def test_the_corpus_is_large_and_the_same_in_every_run(outcomes) -> None:
    cases = corpus()
    assert len({case.key for case in cases}) == len(cases) >= 300
    assert min(Counter(case.kind for case in cases).values()) >= 50
    elsewhere = {outcome["file"] for each in outcomes.values() for outcome in each.values()}
    assert {str(case) for case in cases} == elsewhere


def test_wrong_values_of_a_field() -> None:
    assert set(wrong_values(5, 1).values()) == {0, 1, 6, 4, 255, 128, 127}
    assert 0 not in wrong_values(0, 4).values()


class Counting(BaseHTTPRequestHandler):
    """Counts requests in `hits`."""

    hits: list[str] = []

    def do_GET(self) -> None:  # noqa: N802 (the library's name)
        """Count it."""
        self.hits.append(self.path)
        self.send_response(404)
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


def test_no_video_fetches_an_address_or_opens_another_file(tmp_path) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Counting)
    Thread(target=server.serve_forever, daemon=True).start()
    (tmp_path / SECRET).write_bytes(videos.clip("mp4", "libx264"))
    targets = (f"http://127.0.0.1:{server.server_port}/x.ts", SECRET, str(tmp_path / SECRET), f"file:{SECRET}")
    for target in targets:
        for name, data in videos.pointing(target):
            path = tmp_path / "pointing.mp4"
            path.write_bytes(data)
            with pytest.raises(StudioError):
                read_frames(path)
                pytest.fail(f"{name} to {target} was read")
    server.shutdown()
    assert Counting.hits == []
