"""A server on loopback that gives a file well, or with any of the faults that real hosts have."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BODY = bytes(range(256)) * 5000
DRIVE = """<html><form id="download-form" action="/confirmed" method="get">
<input type="hidden" name="id" value="abc"><input type="hidden" name="export" value="download">
<input type="hidden" name="confirm" value="t"><input type="hidden" name="uuid" value="1-2"></form></html>"""


class Handler(BaseHTTPRequestHandler):
    """GET /NAME, where NAME is the kind of fault; see `do_GET`."""

    requests: list[tuple[str, dict[str, str]]] = []
    other: str = ""  # address of a second server

    def do_GET(self) -> None:  # noqa: N802 (the base class's name)
        self.requests.append((self.path, dict(self.headers)))
        kind = self.path.split("?")[0].rsplit("/", 1)[-1]
        if kind in ("redirect", "resolve"):
            self.say(302, b"", Location="/file")
        elif kind == "elsewhere":
            self.say(302, b"", Location=f"{self.other}/file")
        elif kind == "loop":
            self.say(302, b"", Location="/loop")
        elif kind == "page":
            self.say(200, b"<!doctype html><p>Sign in</p>", **{"Content-Type": "text/html; charset=utf-8"})
        elif kind == "disguised":
            self.say(200, b"<!DOCTYPE html><p>Quota exceeded</p>")
        elif kind == "drive":
            self.say(200, DRIVE.encode(), **{"Content-Type": "text/html; charset=utf-8"})
        elif kind == "confirmed" and "confirm=t" not in self.path:
            self.say(403, b"")
        elif kind == "busy" and len([1 for path, _ in self.requests if path == self.path]) < 3:
            self.say(429, b"", **{"Retry-After": "1"})
        elif kind == "always_busy":
            self.say(503, b"", **{"Retry-After": "86400"})
        elif kind in ("gone", "gated"):
            self.say(404 if kind == "gone" else 401, b"")
        else:
            self.file(kind)

    def file(self, kind: str) -> None:
        asked = self.headers.get("Range")
        start = int(asked[6:-1]) if asked and kind != "norange" else 0
        marked = self.headers.get("If-Range")
        mark = '"second"' if kind == "changed" else '"first"'
        body = BODY[::-1] if kind in ("wrong", "changed") else BODY
        if marked and marked != mark:
            start = 0
        if start >= len(body):
            self.say(416, b"")
            return
        part = body[start:]
        length = {"longer": len(part) + 1000, "shorter": len(part) - 1000}.get(kind, len(part))
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(length))
        self.send_header("ETag", mark)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        self.end_headers()
        if kind == "cut":  # a quarter of the file a connection
            part = part[: len(BODY) // 4]
        elif kind == "half":
            part = body[start : len(BODY) // 2]
        if kind == "slow":
            for i in range(0, len(part), 100_000):
                self.wfile.write(part[i : i + 100_000])
        else:
            self.wfile.write(part)

    def say(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        pass


@contextmanager
def serving() -> Iterator[tuple[str, type[Handler]]]:
    """A server's address, and its handler class with the requests it saw."""
    handler = type("OneServer", (Handler,), {"requests": [], "other": ""})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}", handler
        http.shutdown()
