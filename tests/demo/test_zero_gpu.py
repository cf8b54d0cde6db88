"""A ZeroGPU Space, rehearsed with the real package `spaces` (see zero_gpu_app.py)."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
import urllib.error
import urllib.request

import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from tests.demo import fakes
from tests.demo.conftest import started
from tests.demo.zero_gpu_app import LOG, TENSORS


def connect(server, tmp_path) -> Client:
    return Client(server.url, download_files=str(tmp_path / "downloads"), verbose=False, analytics_enabled=False)


def asked(server, what: str) -> list[dict]:
    lines = (server.temporary / LOG).read_text().splitlines()
    return [entry for entry in map(json.loads, lines) if entry["what"] == what]


def answers(url: str) -> bool:
    try:
        return urllib.request.urlopen(url, timeout=30).status == 200
    except urllib.error.HTTPError:
        return False


def wait_for(condition, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def photo(tmp_path):
    return handle_file(fakes.save(fakes.draw_photo(), tmp_path / "photo.jpg"))


def smile(client: Client, photo, strength: float) -> np.ndarray:
    edited, _ = client.predict(photo, "smile", strength, True, api_name="/hfgi_edit")
    with Image.open(edited) as picture:
        return np.asarray(picture.convert("RGB"), float)


def test_each_call_has_a_worker_of_its_own_and_asks_for_less_when_it_is_known(zero_gpu_server, tmp_path, photo) -> None:
    client = connect(zero_gpu_server, tmp_path)
    pictures = [smile(client, photo, strength) for strength in (0.5, 1, 2, 2.5)]
    assert all(np.abs(a - b).max() > 1 for a, b in zip(pictures, pictures[1:], strict=False))
    invert, *edits = (int(entry["durationSeconds"]) for entry in asked(zero_gpu_server, "/schedule"))
    assert invert == 20 and edits[:3] == [10, 10, 10], "what the tasks say"
    assert edits[3] == 1, "what was measured"
    pids = {entry["pid"] for entry in asked(zero_gpu_server, "/allow")}
    assert len(pids) == 5 and str(zero_gpu_server.process.pid) not in pids
    assert all(entry["fail"] == "false" for entry in asked(zero_gpu_server, "/release"))


def test_long_work_ends(zero_gpu_server, tmp_path) -> None:
    client = connect(zero_gpu_server, tmp_path)
    results = client.predict(None, 1, 1, 20, "portraits", api_name="/insetgan_compose")
    assert len(results) == 3
    (*_, last) = asked(zero_gpu_server, "/schedule")
    assert int(last["durationSeconds"]) == 15 + 20 // 5


def test_a_persons_mistake_is_explained(zero_gpu_server, tmp_path) -> None:
    client = connect(zero_gpu_server, tmp_path)
    nobody = fakes.save(Image.new("RGB", (300, 300), "navy"), tmp_path / "nobody.png")
    with pytest.raises(AppError, match="face"):
        client.predict(handle_file(nobody), "smile", 1, True, api_name="/hfgi_edit")


def test_a_killed_worker_is_said_and_the_next_call_works(zero_gpu_server, tmp_path, photo) -> None:
    client = connect(zero_gpu_server, tmp_path)
    before = len(asked(zero_gpu_server, "/allow"))
    job = client.submit(None, 1, 1, 400, "portraits", api_name="/insetgan_compose")
    wait_for(lambda: len(asked(zero_gpu_server, "/allow")) > before)
    os.kill(int(asked(zero_gpu_server, "/allow")[-1]["pid"]), signal.SIGKILL)
    with pytest.raises(AppError):
        job.result(timeout=60)
    smile(client, photo, 1)


def test_two_visitors_at_once(zero_gpu_server, tmp_path, photo) -> None:
    clients = [connect(zero_gpu_server, tmp_path / str(i)) for i in range(2)]
    results: dict[int, np.ndarray] = {}

    def visit(index: int) -> None:
        results[index] = smile(clients[index], photo, index + 1)

    threads = [threading.Thread(target=visit, args=(index,)) for index in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert np.array_equal(results[0], smile(clients[1], photo, 1)) and not np.array_equal(results[0], results[1])


def test_all_embedded_models_are_on_the_pretended_gpu_before_the_first_visitor(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("REHEARSAL_DEVICE", "cuda")
    with started(["-m", "tests.demo.zero_gpu_app"], tmp_path) as server:
        wait_for(lambda: answers(f"{server.url}/readyz"))
        assert asked(server, "/startup-report")
        packed = sum(path.stat().st_size for path in (server.temporary / TENSORS).iterdir())
        infos = connect(server, tmp_path).predict(api_name="/models")
        on_gpu = [info for info in infos if info["loaded"]]
        assert len(on_gpu) >= 8 and all(info["device"].startswith("cuda") for info in on_gpu)
        assert packed > 0.8 * sum(info["memory_bytes"] for info in on_gpu) > 200e6
