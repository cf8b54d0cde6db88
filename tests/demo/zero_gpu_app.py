"""The app as on a ZeroGPU Space, rehearsed without a GPU: `python -m tests.demo.zero_gpu_app --port 7900`.

The package `spaces` is the real one: it patches PyTorch, forks a worker for each call, and sends calls and steps
through its queues. Two things are ours: the device API that says which GPU is free, whose log is LOG in the temporary
folder; and that a worker does not really initialise a GPU, its models staying on the CPU. With REHEARSAL_DEVICE=cuda
the embedded models are put on the GPU that `spaces` pretends to have until it forks, which is as far as it goes here.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

import pytest

LOG, TENSORS = "device-api.jsonl", "zero-gpu-tensors"


class DeviceAPI(BaseHTTPRequestHandler):
    """One GPU, free at any time, never with a worker kept from the last call: each call forks anew."""

    workers: dict[str, int] = {}

    def do_POST(self) -> None:  # noqa: N802 (http.server's name)
        parts = urlsplit(self.path)
        asked = dict(parse_qsl(parts.query))
        with open(os.path.join(os.environ["TMPDIR"], LOG), "a") as log:
            log.write(json.dumps({"what": parts.path, **asked}) + "\n")
        answer = {}
        if parts.path == "/schedule":
            token = str(len(self.workers) + 1)
            self.workers[token] = 0
            answer = {"idle": False, "nvidiaIndex": 0, "nvidiaUUID": "MIG-rehearsed", "allowToken": token}
        elif parts.path == "/allow":
            self.workers[asked["allowToken"]] = int(asked["pid"])
        elif parts.path == "/release" and self.workers[asked["allowToken"]]:
            with contextlib.suppress(ProcessLookupError):  # it died in the call
                os.kill(self.workers[asked["allowToken"]], signal.SIGTERM)
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        pass


def main() -> None:
    api = ThreadingHTTPServer(("127.0.0.1", 0), DeviceAPI)
    threading.Thread(target=api.serve_forever, daemon=True).start()
    os.environ |= {
        "SPACES_ZERO_GPU": "true",
        "SPACES_ZERO_DEVICE_API_URL": f"http://127.0.0.1:{api.server_port}",
        "ZEROGPU_OFFLOAD_DIR": os.path.join(os.environ["TMPDIR"], TENSORS),
        "STUDIO_DEVICE": os.environ.get("REHEARSAL_DEVICE", "cpu"),
        "GRADIO_ANALYTICS_ENABLED": "False",
    }
    import app

    patch = pytest.MonkeyPatch()
    options = app.settings_module.read(sys.argv[1:])
    patch.setattr(app.settings_module, "read", lambda _arguments: options)
    app.settings_module.export(options)
    import spaces.zero.torch

    patch.setattr(spaces.zero.torch, "init", lambda _uuid: None)
    patch.setattr(spaces.zero.torch, "move", lambda callback=None: None)
    if options.device != "cuda":
        for name in ("tests.demo.fakes", "tests.demo.insetgan.fakes"):
            importlib.import_module(name).install(patch)
    app.main(sys.argv[1:])


if __name__ == "__main__":
    main()
