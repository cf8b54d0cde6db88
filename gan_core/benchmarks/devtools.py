"""A headless Chromium, controlled by its DevTools protocol with the standard library alone.

Machines with a GPU often have no Playwright and no registry to get it from. The protocol goes through two pipes
(`--remote-debugging-pipe`): JSON messages, each ended by a zero byte (chromedevtools.github.io/devtools-protocol).
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from gan_core.errors import NotInstalled, StudioError

_START = "import os, sys; [os.dup2(int(sys.argv[i]), i + 2) for i in (1, 2)]; os.execv(sys.argv[3], sys.argv[3:])"
_FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--no-first-run",
    "--disable-background-networking",
    "--window-size=1000,900",
]
_CLOSED = 10.0  # seconds that the browser may take to close


class BrowserFailed(StudioError):
    """The browser ended, was silent for too long, or the page threw an error."""


class Chromium:
    """A Chromium of its own profile with one page, until it is closed.

    log: file that gets the browser's messages. Raises NotInstalled where `path` is no program.
    """

    def __init__(self, path: str | Path | None, flags: Sequence[str] = (), log: Path | None = None) -> None:
        if path is None or not os.access(path, os.X_OK):
            raise NotInstalled(f"No Chromium was found at {path}. Name one with --browser.")
        self._profile = tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True)
        command = [str(path), *_FLAGS, f"--user-data-dir={self._profile.name}", *flags, "--remote-debugging-pipe"]
        read, self._to = os.pipe()
        self._from, write = os.pipe()
        with (log or Path(os.devnull)).open("ab") as messages:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _START, str(read), str(write), *command],
                pass_fds=(read, write), stdin=subprocess.DEVNULL, stdout=messages, stderr=messages,
                start_new_session=True,
            )  # fmt: skip
        os.close(read)
        os.close(write)
        self._buffer, self._count, self._session = b"", 0, ""
        self.complaints: list[str] = []
        """Errors of the page, as they came."""
        try:
            target = self.call("Target.createTarget", url="about:blank")["targetId"]
            self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            for domain in ("Page", "Runtime", "DOM"):
                self.call(f"{domain}.enable")
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Chromium:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the browser and remove its profile."""
        os.close(self._to)  # it closes when nobody can write to it any more
        try:
            self._process.wait(_CLOSED)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._from)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)  # its helpers, which may outlive it and write to the profile
        deadline = time.monotonic() + _CLOSED
        while Path(self._profile.name).exists() and time.monotonic() < deadline:
            self._profile.cleanup()
            time.sleep(0.05)

    def call(self, method: str, patience: float = 60.0, **values: Any) -> dict[str, Any]:
        """Ask something of the protocol. Raises BrowserFailed after `patience` seconds or where it answers an error."""
        self._count += 1
        message: dict[str, Any] = {"id": self._count, "method": method, "params": values}
        if self._session:
            message["sessionId"] = self._session
        try:
            os.write(self._to, json.dumps(message).encode() + b"\0")
        except BrokenPipeError:
            raise BrowserFailed(f"The browser ended (status {self._process.poll()}) before {method}.") from None
        deadline = time.monotonic() + patience
        while True:
            answer = self._next(method, deadline)
            if answer.get("id") == self._count:
                if "error" in answer:
                    raise BrowserFailed(f"{method}: {answer['error']['message']}")
                return answer["result"]
            if answer.get("method") == "Runtime.exceptionThrown":
                details = answer["params"]["exceptionDetails"]
                self.complaints.append(details.get("exception", {}).get("description", details["text"]))

    def _next(self, method: str, deadline: float) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._from], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise BrowserFailed(f"The browser did not answer {method} in time.")
            data = os.read(self._from, 1 << 20)
            if not data:
                raise BrowserFailed(f"The browser ended (status {self._process.poll()}) during {method}.")
            self._buffer += data
        first, self._buffer = self._buffer.split(b"\0", 1)
        return json.loads(first)

    def open(self, url: str) -> None:
        """Go to an address; returns before the page is loaded. Raises BrowserFailed where there is none."""
        answer = self.call("Page.navigate", url=url)
        if "errorText" in answer:
            raise BrowserFailed(f"{url} could not be opened: {answer['errorText']}")

    def evaluate(self, expression: str, patience: float = 60.0) -> Any:
        """The value of a JavaScript expression or of the promise that it is, as JSON can say it."""
        answer = self.call(
            "Runtime.evaluate", patience, expression=expression, awaitPromise=True, returnByValue=True, userGesture=True
        )
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            raise BrowserFailed(details.get("exception", {}).get("description", details["text"]))
        return answer["result"].get("value")

    def wait_for(self, selector: str, patience: float = 180.0) -> None:
        """Wait until an element of this CSS selector is there. Raises BrowserFailed after `patience` seconds."""
        deadline, wanted = time.monotonic() + patience, json.dumps(selector)
        while not self.evaluate(f"document.querySelector({wanted}) !== null"):
            if time.monotonic() > deadline:
                said = self.evaluate("document.body.innerText.slice(0, 300)")
                raise BrowserFailed(f"{selector} did not come in {patience:.0f} s. The page says: {said}")
            time.sleep(0.005)

    def choose_file(self, selector: str, path: Path) -> None:
        """Choose a file in an <input type=file>."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(path)])

    def screenshot(self) -> bytes:
        """The page as a PNG."""
        return base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])
