"""Fake servers forked from a process that has imported what they need: importing PyTorch and Gradio is nine tenths of
starting one, some eight seconds of processor time.

`python -m tests.demo.forked` is that process. It reads a line of JSON for each server from its standard input and
answers with the server's process id.
"""

from __future__ import annotations

import atexit
import ctypes
import functools
import importlib
import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
POSSIBLE = sys.platform == "linux"


def may_fork(command: list[str]) -> bool:
    """Whether these arguments of Python start a fake app that reads nothing at import which another one set: Hugging
    Face's client is offline, as by default; ZeroGPU patches PyTorch."""
    return (
        POSSIBLE
        and command[0] == "-m"
        and command[1].endswith("_app")
        and not {"--no-offline", "tests.demo.zero_gpu_app"} & set(command)
    )


class Forked:
    """A server that is another process's child, as far as `subprocess.Popen` is used here."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def poll(self) -> int | None:
        """None while it runs, else 0 (nobody asks how it ended)."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return 0
        return None

    def wait(self, timeout: float) -> int:
        """Raises TimeoutExpired."""
        deadline = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout)
            time.sleep(0.02)
        return 0

    def send_signal(self, number: int) -> None:
        """Nothing happens where it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)


def fork(command: list[str], environment: dict[str, str], log: Path) -> Forked:
    """Start `python` with the arguments `command` (see `may_fork`), its output going to `log`."""
    process = _template()
    request = {"module": command[1], "arguments": command[2:], "environment": environment, "log": str(log)}
    process.stdin.write(json.dumps(request) + "\n")
    process.stdin.flush()
    answer = process.stdout.readline()
    assert answer, "the process that servers are forked from has ended: see its traceback"
    return Forked(int(answer))


@functools.cache
def _template() -> subprocess.Popen:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.demo.forked"],
        cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, preexec_fn=end_with_this_process,
    )  # fmt: skip
    atexit.register(process.kill)
    return process


def end_with_this_process() -> None:
    """Of a process about to start: tests that are killed leave none behind (a stopped one would stay for ever)."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def _import_all() -> None:
    from demo import settings

    settings.export(settings.read([]))  # as an app does before it imports Gradio
    for name in (
        "torch", "scipy.ndimage", "pytest", "gradio", "app", "demo.context", "demo.layout", "demo.monitoring",
        "demo.page_cache", "demo.refusals", "tests.demo.fakes", "tests.demo.comodgan.fakes",
        "tests.demo.insetgan.fakes", "tests.demo.self_conditioned.fakes", "tests.demo.swapping_autoencoder.fakes",
    ):  # fmt: skip
        importlib.import_module(name)


def _become(request: dict) -> None:
    """The server that is asked for."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    end_with_this_process()
    with open(request["log"], "wb") as log, open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    os.environ.clear()
    os.environ.update(request["environment"])
    tempfile.tempdir = None  # TMPDIR is another one
    sys.argv[1:] = request["arguments"]
    runpy.run_module(request["module"], run_name="__main__", alter_sys=True)


def main() -> None:
    """Until the standard input ends."""
    _import_all()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # servers that end are no zombies
    for line in sys.stdin:
        request = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _become(request)
            return
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
