"""Many at once, and what a host watches: the real server over the fake editor."""

import json
import logging
import threading
import urllib.error
import urllib.request
from types import SimpleNamespace

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from gradio_client import Client, handle_file

from demo import logs, monitoring
from gan_core.errors import NotInstalled
from tests.demo import fakes
from tests.demo.conftest import started


@pytest.fixture(scope="module")
def small_server(tmp_path_factory):
    """At most two requests at once."""
    command = ["-m", "tests.demo.fake_app", "--metrics", "--requests", "2", "--log-format", "json"]
    with started(command, tmp_path_factory.mktemp("small")) as server:
        yield server


def read(url):
    with urllib.request.urlopen(url, timeout=30) as response:
        return response.status, response.read().decode()


def test_alive_and_ready(small_server) -> None:
    assert read(small_server.url + "/healthz") == (200, '{"status":"ok"}')
    for _ in range(300):
        try:
            assert read(small_server.url + "/readyz")[0] == 200
            return
        except urllib.error.HTTPError as error:
            assert error.code == 503 and b"loading" in error.read()
    pytest.fail("it was never ready")


def test_who_comes_to_a_full_line_reads_when_to_come_back(small_server, tmp_path) -> None:
    """Each of eight people gets a picture or is told when to come back, and the server has counted the same."""
    photo = tmp_path / "photo.png"
    fakes.draw_photo().save(photo)
    answers: list[str] = []

    def person() -> None:
        client = Client(small_server.url, verbose=False, download_files=str(tmp_path))
        gate.wait()
        try:
            client.predict(handle_file(str(photo)), "smile", 1.0, True, "portraits", api_name="/hfgi_edit")
            answers.append("answered")
        except Exception as error:
            answers.append(str(error))

    gate = threading.Barrier(8)
    people = [threading.Thread(target=person) for _ in range(8)]
    for one in people:
        one.start()
    for one in people:
        one.join(120)
    busy = [answer for answer in answers if "busy, about" in answer]
    assert len(answers) == 8 and answers.count("answered") + len(busy) == 8, answers
    assert busy and "answered" in answers
    metrics = read(small_server.url + "/metrics")[1]
    refused = next(line for line in metrics.splitlines() if 'outcome="refused"' in line and "hfgi_edit" in line)
    assert float(refused.split()[-1]) == len(busy)
    assert "studio_requests_waiting 0.0" in metrics and "studio_requests_computing 0.0" in metrics


def test_metrics_name_no_visitor_and_no_file(small_server) -> None:
    metrics = read(small_server.url + "/metrics")[1]
    assert "studio_visitors" in metrics and "photo" not in metrics and "tmp" not in metrics


def test_logs_are_objects(small_server) -> None:
    entries = [json.loads(line) for line in small_server.log.read_text().splitlines() if line.startswith("{")]
    assert {"time", "level", "logger", "message"} <= set(entries[0])
    assert any("open http" in entry["message"] for entry in entries)


def test_an_error_in_the_log_has_its_traceback() -> None:
    try:
        raise ValueError("wrong")
    except ValueError as error:
        info = (ValueError, error, error.__traceback__)
    record = logging.LogRecord("a", logging.ERROR, "", 1, "text %s", ("filled in",), info)
    entry = json.loads(logs._JSON().format(record))
    assert entry["message"] == "text filled in" and "ValueError: wrong" in entry["exception"]


def test_not_ready_before_the_models_are_loaded() -> None:
    studio = SimpleNamespace(ready=threading.Event())
    client = TestClient(FastAPI(routes=monitoring.endpoints(studio, metrics=False)))
    assert client.get("/readyz").status_code == 503 and client.get("/healthz").status_code == 200
    studio.ready.set()
    assert client.get("/readyz").status_code == 200
    assert client.get("/metrics").status_code == 404


def test_metrics_without_the_package_say_what_to_install(monkeypatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "prometheus_client", None)
    with pytest.raises(NotInstalled, match="pip install"):
        monitoring.endpoints(SimpleNamespace(ready=threading.Event()), metrics=True)
