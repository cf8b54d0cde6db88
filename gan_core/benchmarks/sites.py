"""A static site on this machine, as a web server with the live page's headers would give it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from gan_core.errors import BadValue

# As in deploy/static/README.md: without them WebAssembly has one thread.
_ISOLATED = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class _Files(SimpleHTTPRequestHandler):
    """The files of a folder, which log nothing."""

    extensions_map = {
        **SimpleHTTPRequestHandler.extensions_map,  # not every system knows these endings
        ".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm",
    }  # fmt: skip

    def end_headers(self) -> None:
        """See BaseHTTPRequestHandler."""
        for name, value in _ISOLATED.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *arguments: Any) -> None:
        """See BaseHTTPRequestHandler."""


@contextmanager
def site(folder: Path) -> Iterator[str]:
    """The address of `folder` for a while, on a free port. Raises BadValue where it has no index.html."""
    if not (folder / "index.html").is_file():
        raise BadValue(f"{folder} is no static site: it has no index.html. Write one with `gan-studio static FOLDER`.")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Files, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/"
        finally:
            server.shutdown()
            thread.join()
