"""A client of the app's HTTP interface that sends what no page would send."""

from __future__ import annotations

import json
import secrets
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import httpx

API = "/gradio_api"


class HostileClient:
    """Talks to a server as one visitor with a session of its own."""

    def __init__(self, url: str, session: str | None = None) -> None:
        self.url, self.session = url, session or secrets.token_hex(6)
        self.http = httpx.Client(base_url=url, timeout=120, trust_env=False)

    def get(self, path: str, **options: Any) -> httpx.Response:
        """The answer to a path as it is written: httpx would tidy up dots."""
        request = self.http.build_request("GET", "/", **options)
        request.url = request.url.copy_with(raw_path=path.encode())
        return self.http.send(request)

    def upload(self, data: bytes, name: str = "photo.png") -> str:
        """Upload a file; its path on the server."""
        answer = self.http.post(f"{API}/upload", files={"files": (name, data)})
        answer.raise_for_status()
        return answer.json()[0]

    def call(self, api: str, data: list[Any]) -> tuple[bool, str]:
        """Whether an endpoint answered well, and its answer or its error as text."""
        answer = self.http.post(f"{API}/call/{api}", json={"data": data, "session_hash": self.session})
        if answer.status_code != 200:
            return False, answer.text
        text = self.http.get(f"{API}/call/{api}/{answer.json()['event_id']}").text
        return "event: complete" in text, text

    def edit(self, file: dict[str, Any] | str | None) -> tuple[bool, str]:
        """`hfgi_edit` with this FileData."""
        return self.call("hfgi_edit", [file, "smile", 1, True, "portraits", False])


def file_data(path: str | None = None, **more: Any) -> dict[str, Any]:
    """What a page sends for an uploaded file."""
    return {"path": path, "meta": {"_type": "gradio.FileData"}, **more}


class Loopback:
    """A server on this machine that counts what is asked of it."""

    def __init__(self, content: bytes = b"") -> None:
        self.hits: list[str] = []
        hits = self.hits

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:  # noqa: N802 (the library's name)
                hits.append(self.path)
                self.send_response(200)
                self.end_headers()
                self.wfile.write(content)

            do_HEAD = do_POST = do_GET  # noqa: N815 (the library's names)

            def log_message(self, *_arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop it."""
        self.server.shutdown()
        self.server.server_close()


def values_of(text: str) -> Any:
    """The data of the last event of a stream."""
    lines = [line[6:] for line in text.splitlines() if line.startswith("data: ")]
    return json.loads(lines[-1])
