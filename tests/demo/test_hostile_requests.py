"""No endpoint reads a path that a client names, fetches an address, or shows one visitor's files to another.

The second half goes through Gradio's published vulnerabilities: `CHECKLIST` says of each which test covers it, or why
it cannot occur here.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import socket
import time

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.demo import fakes
from tests.demo.conftest import files_below
from tests.demo.hostile_client import API, HostileClient, Loopback, file_data, values_of
from tests.import_graph import ROOT


def png(picture: Image.Image) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture
def visitor(fake_server):
    return HostileClient(fake_server.url)


@pytest.fixture
def other(fake_server):
    return HostileClient(fake_server.url)


@pytest.fixture
def photo():
    return png(fakes.draw_photo())


@pytest.fixture
def loopback(photo):
    server = Loopback(photo)
    yield server
    server.close()


@pytest.fixture
def secret(tmp_path):
    """A picture with a face that lies beside the app's files, so that reading it would succeed."""
    path = tmp_path / "private.png"
    fakes.draw_photo().save(path)
    return path


def still_well(visitor: HostileClient, photo: bytes) -> bool:
    """That a proper request is answered, at the latest when those before it are gone; fails with the answer."""
    deadline = time.monotonic() + 120
    while True:
        done, answer = visitor.edit(file_data(visitor.upload(photo)))
        if done:
            return True
        assert "busy, about" in answer and time.monotonic() < deadline, answer
        time.sleep(2)


def text_of(client: HostileClient, path: str) -> str:
    """What an address of events answers; where there is none of that name, Gradio breaks off."""
    try:
        return client.http.get(path).text
    except httpx.RemoteProtocolError:
        return ""


def result_paths(answer: str) -> list[str]:
    """Paths of the results in an endpoint's answer."""
    return [one["path"] for one in values_of(answer)]


# ------------------------------------------------------------ paths


def test_no_path_outside_of_the_uploads_is_read(visitor, secret, photo, fake_server) -> None:
    upload = visitor.upload(photo)
    link = os.path.join(os.path.dirname(upload), "link.png")
    os.symlink(secret, link)  # as if a way had been found to make one
    weights = next((ROOT / "weights").rglob("*.safetensors"))
    paths = [
        str(secret), "/etc/passwd", "../../../../etc/passwd", f"{os.path.dirname(upload)}/../../../{secret}", link,
        f"file://{secret}", f"{upload}/../../../../../../..{secret}", str(weights), str(ROOT / "app.py"),
        "/proc/self/environ", "/dev/zero", f"{secret}\0.png", "~/.ssh/id_rsa", ".", "",
        "C:\\windows\\win.ini", "\\\\host\\share\\x",
        "/" * 5000,
    ]  # fmt: skip
    try:
        for path in paths:
            for file in (file_data(path), file_data(path, orig_name="photo.png", url=upload), path, {"path": path}):
                done, answer = visitor.edit(file)
                assert not done, (path, file)
                assert "root:" not in answer and "PATH=" not in answer
    finally:
        os.unlink(link)
    assert still_well(visitor, photo)


@pytest.mark.parametrize("route", [f"{API}/file=", f"{API}/file/", "/file=", "/file/"])
def test_no_path_outside_of_the_uploads_is_served(visitor, secret, photo, route) -> None:
    upload = visitor.upload(photo)
    folder = os.path.dirname(upload)
    link = f"{folder}/served.png"
    os.symlink(secret, link)
    weights = next((ROOT / "weights").rglob("*.safetensors"))
    paths = [
        str(secret), "/etc/passwd", "//etc/passwd", f"{folder}/../../../../../../etc/passwd", link, "%2fetc%2fpasswd",
        "..%2f..%2f..%2f..%2fetc%2fpasswd", f"{folder}%2f..%2f..%2f..{secret}", str(weights), str(weights).upper(),
        str(weights).replace("weights", "WEIGHTS"), str(ROOT / "app.py"), "app.py", ".git/config", "requirements.txt",
        "/proc/self/environ", f"{weights}::$DATA", f"{weights}%20", f"{weights}%00", "file:///etc/passwd", folder,
    ]  # fmt: skip
    private = secret.read_bytes()
    try:
        for path in paths:
            answer = visitor.get(route + path, headers={"Range": "bytes=0-10"})
            whole = visitor.get(route + path)
            for one in (answer, whole):
                named_page = one.status_code == 200 and "text/html" in one.headers.get("content-type", "")
                assert one.status_code >= 400 or named_page, (path, one.status_code)
                assert b"root:" not in one.content and private not in one.content
    finally:
        os.unlink(link)
    if route.startswith(API):
        assert visitor.get(f"{API}/file={upload}").content == photo, "one's own upload is served"


# ------------------------------------------------------------ addresses


def test_no_endpoint_fetches_an_address(visitor, loopback, photo) -> None:
    upload = visitor.upload(photo)
    for target in (
        loopback.url + "/x.png",
        loopback.url.replace("127.0.0.1", "localhost") + "/y.png",
        "http://[::1]/z",
    ):
        for file in (
            file_data(target), file_data(target, url=target), file_data(None, url=target), target, {"url": target},
            file_data(target, is_stream=True), file_data(None, url=target, path_or_url=target),
        ):  # fmt: skip
            done, _ = visitor.edit(file)
            assert not done, file
        done, _ = visitor.edit(file_data(upload, url=target, orig_name=target))
        assert done, "beside a proper upload it means nothing"
        for route in (f"{API}/proxy=", f"{API}/file=", f"{API}/file/", f"{API}/file=/", "/proxy=", "/file="):
            answer = visitor.get(route + target)
            assert answer.status_code >= 400 or "text/html" in answer.headers["content-type"]
            assert "location" not in answer.headers
    assert loopback.hits == []


def test_public_addresses_are_refused_with_a_sentence(visitor) -> None:
    """Gradio would fetch these; nothing of this test may reach them, so what is read says why not."""
    for target in ("https://huggingface.co/x.png", "http://192.0.2.1/x.png"):
        done, answer = visitor.edit(file_data(target))
        assert not done and "Addresses are not fetched here" in answer
        answer = visitor.get(f"{API}/file={target}")
        assert answer.status_code == 403 and "Addresses are not fetched here" in answer.text
        assert visitor.get(f"{API}/FILE={target}").status_code >= 400
        assert visitor.get(f"{API}/proxy={target}").status_code == 404


# ------------------------------------------------------------ two visitors


def test_a_visitor_cannot_use_or_list_the_files_of_another(visitor, other, photo, fake_server) -> None:
    done, answer = visitor.edit(file_data(visitor.upload(photo)))
    assert done
    result = result_paths(answer)[0]
    assert os.path.basename(os.path.dirname(result)).startswith("visitor-")
    done, answer = other.edit(file_data(result))
    assert not done and "not there any more" in answer
    done, answer = visitor.edit(file_data(result))
    assert done, "one's own result can be edited again"
    root = os.path.dirname(os.path.dirname(result))
    for path in (root, f"{root}/", os.path.dirname(result), f"{os.path.dirname(result)}/*", f"{root}/visitor-*"):
        assert other.get(f"{API}/file={path}").status_code >= 400
    for page in ("/", "/config", f"{API}/info", f"{API}/queue/status", f"{API}/startup-events", "/monitoring/summary"):
        text = other.get(page).text
        assert result not in text and visitor.session not in text and "visitor-" not in text


def test_folders_of_visitors_cannot_be_guessed(visitor, photo) -> None:
    folders = set()
    for _ in range(4):
        one = HostileClient(visitor.url)
        folders.add(os.path.dirname(result_paths(one.edit(file_data(one.upload(photo)))[1])[0]))
    assert len(folders) == 4
    root = os.path.basename(os.path.dirname(next(iter(folders))))
    assert re.fullmatch(r"gan-studio-[0-9a-f]{12}", root)
    assert all(re.fullmatch(r"visitor-[a-z0-9_]{8}", os.path.basename(folder)) for folder in folders)


def test_events_of_another_cannot_be_followed_or_stopped(visitor, other, photo) -> None:
    call = f"{API}/call/hfgi_edit"
    data = [file_data(visitor.upload(photo)), "smile", 1, True, "portraits", False]
    event = visitor.http.post(call, json={"data": data, "session_hash": visitor.session}).json()["event_id"]
    assert re.fullmatch(r"[0-9a-f]{32}", event), "an event's name is a random one that only its visitor gets"
    for guess in ("0" * 32, "1", event[:-1], "../" + event):
        assert "event: complete" not in text_of(other, f"{call}/{guess}")
    body = {"session_hash": other.session, "fn_index": 0, "event_id": "0" * 32}
    assert other.http.post(f"{API}/cancel", json=body).status_code == 200
    assert "event: complete" in text_of(visitor, f"{call}/{event}")
    answer = text_of(other, f"{API}/queue/data?session_hash=nobody")
    assert "process_completed" not in answer and str(event) not in answer


# ------------------------------------------------------------ uploads


@pytest.fixture
def small_server(servers):
    """The app with a limit of 1 MB a file."""
    with servers.awake("small-uploads", "-m", "tests.demo.fake_app", "--max-upload", "1M") as server:
        yield server


def test_uploads_beyond_the_limit_are_refused_with_a_sentence(small_server, photo) -> None:
    visitor = HostileClient(small_server.url)
    noise = np.random.default_rng(0).bytes(1_200_000)
    before = set(files_below(small_server.temporary))
    answer = visitor.http.post(f"{API}/upload", files={"files": ("a.png", noise)})
    assert answer.status_code == 413 and "exceeded maximum allowed size of 1000000 bytes" in answer.text
    answer = visitor.http.post(f"{API}/upload", files=[("files", (f"{i}.png", noise[:900_000])) for i in range(5)])
    assert answer.status_code == 413 and "at most 2 MB" in answer.text

    def chunks():
        yield b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
        for _ in range(40):
            yield noise[:100_000]

    answer = visitor.http.post(
        f"{API}/upload", content=chunks(), headers={"Content-Type": "multipart/form-data; boundary=x"}
    )
    assert answer.status_code == 413
    answer = visitor.http.post(f"{API}/call/hfgi_edit", content=b'{"data": ["' + b"x" * 9_000_000 + b'"]}')
    assert answer.status_code == 413 and "too large" in answer.text
    assert set(files_below(small_server.temporary)) == before, "nothing half-written stays"
    assert still_well(visitor, photo)


@pytest.mark.parametrize(
    "name",
    ["../../../x.png", "/etc/x.png", "..", ".", "", "a/b/c.png", "x" * 500 + ".png", "a\0b.png", "..\\x.png", "CON.png",
     "visitor-x/../../y.png", "a\r\nb.png", "%2e%2e%2fx.png", "\u202egnp.png"],
)  # fmt: skip
def test_uploads_of_any_name_stay_in_their_folder(visitor, fake_server, photo, name) -> None:
    before = set(files_below(fake_server.temporary.parent))
    answer = visitor.http.post(f"{API}/upload", files={"files": (name, photo)})
    new = set(files_below(fake_server.temporary.parent)) - before - {fake_server.log}
    if answer.status_code == 200:
        (path,) = answer.json()
        assert os.path.realpath(path).startswith(str(fake_server.temporary))
        assert re.fullmatch(r"[0-9a-f]{64}", os.path.basename(os.path.dirname(path)))
        assert visitor.edit(file_data(path))[0] or not os.path.isfile(path)
    assert all(fake_server.temporary in path.parents for path in new)


def test_an_upload_never_replaces_another_file(visitor, other, photo) -> None:
    first = visitor.upload(photo, "same.png")
    second = other.upload(png(fakes.draw_photo((400, 300), ((200, 150, 60),))), "same.png")
    assert first != second and visitor.get(f"{API}/file={first}").content == photo


@pytest.mark.parametrize("name", ["x.html", "x.svg", "x.js", "x.xhtml", "x.pdf", "x.xml"])
def test_uploads_are_never_shown_as_pages(visitor, name) -> None:
    path = visitor.upload(b"<script>alert(1)</script>", name)
    answer = visitor.get(f"{API}/file={path}")
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["content-type"] == "application/octet-stream"


# ------------------------------------------------------------ Gradio's vulnerabilities


CHECKLIST = {
    "CVE-2023-51449, CVE-2024-1728, CVE-2024-4941: files read through /file and FileData":
        "test_no_path_outside_of_the_uploads_is_read, test_no_path_outside_of_the_uploads_is_served",
    "CVE-2024-1561, CVE-2024-47164: any method of a component through /component_server":
        "test_only_marked_methods_of_components_can_be_called",
    "CVE-2024-47166: a step up in /custom_component": "test_unused_routes_are_closed",
    "CVE-2024-2206, CVE-2026-28416: requests through /proxy=": "test_no_endpoint_fetches_an_address",
    "CVE-2024-4325, CVE-2024-47167: requests through the address of a FileData": "test_no_endpoint_fetches_an_address",
    "CVE-2024-4940, CVE-2024-8021: redirects through /file=": "test_no_endpoint_fetches_an_address",
    "CVE-2024-1183: ports are told apart by /file=": "test_public_addresses_are_refused_with_a_sentence",
    "CVE-2024-1727, CVE-2024-47084, CVE-2024-47165: other sites' requests to an app on localhost":
        "test_other_sites_may_not_ask_an_app_on_localhost",
    "CVE-2024-1729, CVE-2024-47869: passwords told by the time of an answer":
        "test_passwords_are_compared_in_constant_time",
    "CVE-2024-47168: /monitoring while it is off": "test_unused_routes_are_closed",
    "CVE-2024-47870: one visitor's headers change another's addresses":
        "test_headers_of_one_visitor_do_not_reach_another",
    "CVE-2024-47872: scripts in uploaded files": "test_uploads_are_never_shown_as_pages",
    "CVE-2024-47868: paths returned by components that hold no files": "test_text_that_names_a_file_stays_text",
    "CVE-2024-8966, CVE-2025-0187: multipart boundaries without end": "test_boundaries_without_end",
    "CVE-2024-12217, CVE-2025-23042: blocked paths in other spellings":
        "test_no_path_outside_of_the_uploads_is_served",
    "CVE-2025-48889: copies of any file through flagging": "gr.Blocks has no flagging: test_unused_routes_are_closed",
    "CVE-2024-10648: files written by the format of gr.Audio": "No component of the app is gr.Audio.",
    "CVE-2024-10569, CVE-2024-10624: archives in gr.Dataframe, expressions in gr.Datetime": "Neither is in the app.",
    "CVE-2024-47867, CVE-2024-47871: the program and the connection of --share":
        "Only with --share, which asks for a password or for --public.",
    "CVE-2026-28414: paths without a drive on Windows":
        "Every path must lie in the folder of uploads, resolved: test_no_path_outside_of_the_uploads_is_read",
    "CVE-2026-28415, CVE-2026-27167: sign-in with Hugging Face":
        "No component asks for it, so its routes are not there: test_unused_routes_are_closed",
    "a picture whose meta is left out (Gradio 6.31)": "test_no_path_outside_of_the_uploads_is_read",
    "a stream without end at /dev/reload": "test_unused_routes_are_closed",
    "archives unpacked while a file is read": "No component does; checkpoints are read in place, see tests/hostile.",
}  # fmt: skip
"""Of each: the tests that cover it, or why it cannot occur."""


def test_the_checklist_names_tests_that_are_here() -> None:
    for text in CHECKLIST.values():
        for name in re.findall(r"test_\w+", text):
            assert name in globals(), name


def test_only_marked_methods_of_components_can_be_called(visitor, secret) -> None:
    config = visitor.get("/config").json()
    for component in [one["id"] for one in config["components"]][::40]:
        for name in ("move_resource_to_block_cache", "preprocess", "postprocess", "__init__", "load_event"):
            body = {"component_id": component, "session_hash": visitor.session, "fn_name": name, "data": str(secret)}
            answer = visitor.http.post(f"{API}/component_server", json=body)
            assert answer.status_code >= 400 and str(secret.name) not in answer.text
    body = {"component_id": 99999, "session_hash": visitor.session, "fn_name": "x", "data": None}
    assert visitor.http.post(f"{API}/component_server", json=body).status_code >= 400


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/gradio_api/deep_link?session_hash=x"), ("POST", "/gradio_api/vibe-edit/"),
        ("GET", "/gradio_api/vibe-code/"), ("POST", "/gradio_api/vibe-code/"), ("POST", "/gradio_api/undo-vibe-edit"),
        ("POST", "/gradio_api/process_recording"), ("GET", "/gradio_api/custom_component/../../x/y"),
        ("GET", "/gradio_api/custom_component/1/client/component/..%2f..%2f..%2fetc%2fpasswd"),
        ("GET", "/monitoring"), ("GET", "/monitoring/summary"), ("GET", "/monitoring/x"),
        ("GET", "/gradio_api/dev/reload"), ("GET", "/gradio_api/runs"), ("GET", "/gradio_api/run-history/buckets"),
        ("GET", "/gradio_api/profiling/summary"),
        ("GET", "/gradio_api/mcp/schema"), ("GET", "/gradio_api/mcp/sse"), ("GET", "/login/huggingface"), ("GET", "/login/callback?_target_url=http://x.test"),
        ("POST", "/gradio_api/flag"), ("GET", "/static/..%2f..%2f..%2fetc%2fpasswd"), ("GET", "/assets/../../app.py"),
        ("GET", "/svelte/..%2f..%2f..%2f..%2fetc%2fpasswd"), ("GET", "/static/../../../../../etc/passwd"),
    ],
)  # fmt: skip
def test_unused_routes_are_closed(visitor, method, path) -> None:
    request = visitor.http.build_request(method, "/", json={"code": "x", "prompt": "x"} if method == "POST" else None)
    request.url = request.url.copy_with(raw_path=path.encode())
    answer = visitor.http.send(request)
    assert answer.status_code >= 400, (answer.status_code, answer.text[:200])
    assert "root:" not in answer.text and "location" not in answer.headers


@pytest.mark.parametrize("origin", ["null", "http://evil.example", "http://127.0.0.1.evil.example", "file://"])
def test_other_sites_may_not_ask_an_app_on_localhost(visitor, origin) -> None:
    headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    for answer in (
        visitor.http.options(f"{API}/queue/join", headers=headers),
        visitor.http.get("/config", headers=headers),
    ):
        assert answer.headers.get("access-control-allow-origin") not in (origin, "*")


def test_headers_of_one_visitor_do_not_reach_another(visitor, other) -> None:
    lies = {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https", "Host": "evil.example"}
    assert visitor.http.get("/config", headers=lies).status_code == 200
    assert "evil.example" not in other.http.get("/config").text and "evil.example" not in other.http.get("/").text


def test_text_that_names_a_file_stays_text(visitor, secret, photo) -> None:
    upload = visitor.upload(photo)
    for name in (str(secret), f"[x](file={secret})"):
        _, answer = visitor.call("hfgi_edit", [file_data(upload), name, 1, True, "portraits", False])
        assert "event: error" in answer and "file=" + str(secret) not in answer.replace(name, "")
        _, answer = visitor.call("hfgi_edit", [file_data(upload), "smile", 1, True, name, False])
        assert "event: error" in answer
    assert visitor.get(f"{API}/file={secret}").status_code == 403


def test_boundaries_without_end(visitor, photo) -> None:
    head = {"Content-Type": "multipart/form-data; boundary=x"}
    part = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\nabc\r\n--x'
    for tail in (b"-" * 3_000_000, b"\r" * 1_000_000, b"--" + b"x" * 3_000_000, b"", b"\r\n--x" * 100_000):
        with contextlib.suppress(httpx.TransportError):  # it may hang up before it has read everything
            visitor.http.post(f"{API}/upload", content=part + tail, headers=head)
    for kind in ("multipart/form-data", "multipart/form-data; boundary=" + "x" * 5000, "text/plain", ""):
        with httpx.Client(base_url=visitor.url, timeout=60, trust_env=False) as another:  # with a connection of its own
            assert another.post(f"{API}/upload", content=part, headers={"Content-Type": kind}).status_code >= 400
    assert still_well(visitor, photo)


def test_requests_that_are_no_http(fake_server, visitor, photo) -> None:
    port = int(fake_server.url.rsplit(":", 1)[1])
    lines = (
        b"GET " + b"/" * 100_000,
        b"\0" * 1000,
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -5",
    )
    for line in lines:
        with socket.create_connection(("127.0.0.1", port), timeout=20) as one:
            one.sendall(line)
    assert still_well(visitor, photo)


def test_passwords_are_compared_in_constant_time(monkeypatch) -> None:
    from gradio import routes

    compared = []
    monkeypatch.setattr("hmac.compare_digest", lambda a, b: compared.append((a, b)) or a == b)
    assert not routes.compare_passwords_securely("guess", "secret") and compared
